"""The command `clip-metadata`: build the metadata entries of each language."""

import logging
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from metadata import pipeline, starter
from metadata.config import MetadataConfig
from metadata.download.fetch import FetchResult, Manners, fetch, files_to_fetch
from metadata.download.sources import SOURCES, WORDNETS, Snapshot, plan
from metadata.entries import ENTRIES, FACTS, read_lists
from metadata.frequency_lists import WORDFREQ
from metadata.languages import named
from metadata.pipeline import DOWNLOADS
from metadata.rules import RULES
from metadata.sources import Sources, read_recipe, require_entries, require_sources
from runtime.arguments import FlagGroup, Parser, absolute_path, add_flags, helps, made
from runtime.console import command
from runtime.engine import engine_for
from runtime.errors import InputError, flag
from runtime.folders.apart import require_apart
from runtime.packages import UPLOADS, load_own
from runtime.progress import ConsoleProgress
from runtime.redaction import redacted
from runtime.storage.json_files import content_of
from runtime.storage.paths import local_folder
from runtime.terminal import aligned, print_result, readable, say

NAME = "clip-metadata"
log = logging.getLogger("metadata")

COLUMNS = ("list", "numbers", "wordnet", "unigrams", "bigrams", "titles", "frequencies")  # sources in the printed table
KINDS = (*SOURCES, "frequencies")  # kinds of sources
CARD = "README.md"
# Flags that only affect --download, with their defaults.
OF_DOWNLOADS: dict[str, Any] = {
    "mirror": None,
    "dump": Snapshot.dump,
    "content_current": False,
    "download_wordnets": [*Snapshot.wordnets],
    "seed": 0,
}
OF_WIKIMEDIA = {  # licences by column of the printed table
    "unigrams": "CC BY-SA 4.0 (Wikipedia)",
    "bigrams": "CC BY-SA 4.0 (Wikipedia)",
    "titles": "CC BY-SA 4.0 (Wikipedia); views of pages: CC0",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line `argv` (None: the process's own); bad input prints one sentence and exits with status 2."""
    parser = command_line()
    args = parser.parse_args(argv)
    with command(NAME):
        run(args)


def run(args: Namespace) -> None:
    """Fetch the sources that the flags name, build all entries, and print the number of entries from each source."""
    original = followed_recipe(args) if args.recipe else None
    config = made(MetadataConfig, args)
    uploads = load_own(UPLOADS).values()
    output = output_of(local_folder(args.output))
    for module in uploads:
        module.require(args)
    if args.starter:
        for flag, starter_paths in starter.paths().items():
            setattr(args, flag, [*getattr(args, flag), *starter_paths])
    counted = [argument.rpartition("=")[2] for argument in args.frequencies if argument != WORDFREQ]
    require_apart(output, [*args.wordnet, *args.wikipedia, *args.pageviews, *counted], except_in=[DOWNLOADS])
    languages = sorted(args.languages) if args.languages else None
    pipeline.require_build_folder(output, pipeline.asked_for(config, {"languages": languages}), args.overwrite)
    fetched = fetch_sources(args, output)
    if args.dry_run:
        return
    paths = {kind: getattr(args, kind) + fetched.get(kind, []) for kind in KINDS}
    lists = read_lists(args.entries)
    sources = Sources.find(**paths, lists=lists, languages=args.languages, wikipedia_code=args.wikipedia_code)
    if original:
        require_sources(original["recipe"], sources.recipe, original["name"])
    engine = engine_for(args, "build_metadata")
    pipeline.write_metadata(engine, config, sources, output, ConsoleProgress(), args.overwrite)
    facts = content_of((output / FACTS).read_bytes())
    described = f"{output}, {facts['entries']:,} entries, {facts['name']}, digest {facts['digest']}"
    print_result(f"{source_table(facts)}\n\nmetadata: {described}")
    if original:
        require_entries(original, facts)
        print_result(f"These are the same entries as in {original['name']}.")
    for module in uploads:
        module.upload(args, {CARD: metadata_card(facts)}, [FACTS, ENTRIES])


def followed_recipe(args: Namespace) -> dict[str, Any]:
    """Return the recipe that `--recipe` names, and set its parameters and languages in `args`.

    If the command line names no source, the recipe's sources are also set. InputError if flags contradict the recipe.
    """
    if made(MetadataConfig, args) != MetadataConfig() or args.languages:
        raise InputError("--recipe already states the numbers, rules and languages; leave out the flags that set them")
    facts = read_recipe(args.recipe)
    values = facts["parameters"] | {"rules": facts["rules"], "languages": facts["recipe"]["languages"]}
    if args.download is None and not (args.starter or any(getattr(args, kind) for kind in KINDS)):
        values |= {kind: facts["inputs"].get(kind, []) for kind in KINDS}
    for name, value in values.items():
        setattr(args, name, value)
    return facts


def output_of(output: Path) -> Path:
    """Return the output folder; InputError for a Python package, such as `--output metadata` in a checkout."""
    if (output / "__init__.py").exists():
        raise InputError(f"output {output} is the folder of a Python package; specify another folder")
    return output


def fetch_sources(args: Namespace, output: Path) -> dict[str, list[str]]:
    """Fetch the sources that `--download` names; return the paths of their files by kind of source.

    With `--dry-run` only print the files and sizes. Without `--download` return no paths.
    """
    paths: dict[str, list[str]] = {name: [] for name in SOURCES}
    if args.download is None:
        if args.dry_run:
            raise InputError("--dry-run prints what --download would fetch; also pass --download")
        if alone := [flag(name) for name, usual in OF_DOWNLOADS.items() if getattr(args, name) != usual]:
            raise InputError(f"{alone[0]} only affects --download; also pass --download, or leave out {alone[0]}")
        return paths
    if not args.contact.strip():
        raise InputError(
            "--download asks Wikimedia's servers, whose policy is that programs say how to reach their users; pass"
            " --contact with your e-mail address or a URL"
        )
    manners = Manners(args.contact)
    snapshot = Snapshot(args.dump, args.content_current, tuple(args.download_wordnets))
    planned = plan(args.languages, args.download or SOURCES, args.seed, args.mirror, snapshot)
    downloads, failed = files_to_fetch(planned, manners)
    with ConsoleProgress().stage(f"download {len(downloads)} files", "MB of the files begun"):
        results = fetch(downloads, output / DOWNLOADS, manners, args.dry_run) + failed
    write = print_result if args.dry_run else say
    write("\n".join(listing(results)))
    lost = 0 if args.dry_run else sum(result.outcome == "failed" for result in results)
    if lost:
        log.warning(
            "%d of %d files could not be downloaded; to add them, run the same command again with --overwrite",
            lost,
            len(results),
        )
    for result in results:
        if result.outcome in ("fetched", "kept"):
            paths[Path(result.download.path).parts[0]].append(str(result.path))
    return paths


def command_line() -> Parser:
    """Return the parser of the command's flags, with the defaults of MetadataConfig."""
    parser = Parser.of(NAME, __package__)
    _add_main(parser)
    add_flags(parser.add_argument_group("sources"), helps(__package__, "sources"))
    _add_downloads(parser.add_argument_group("downloads"))
    for module in load_own(UPLOADS).values():
        module.add(parser)
    parser.add_engine()
    parser.take_defaults(MetadataConfig)
    return parser


def _add_main(parser: Parser) -> None:
    """Add the flags that most builds need."""
    add_flags(parser, helps(__package__, "paths"), nargs="+", default=[])
    add_flags(parser, helps(__package__, "starter"), action="store_true")
    add_flags(parser, helps(__package__, "download"), nargs="*", choices=tuple(SOURCES))
    add_flags(parser, helps(__package__, "contact"), default="")
    add_flags(parser, helps(__package__, "output"), required=True, type=absolute_path)
    add_flags(parser, helps(__package__, "switches"), action="store_true")
    add_flags(parser, helps(__package__, "languages"), nargs="+")
    add_flags(parser, helps(__package__, "rules"), choices=RULES)
    add_flags(parser, helps(__package__, "preview"), action="store_true")


def _add_downloads(group: FlagGroup) -> None:
    names = tuple(WORDNETS)
    usual = list(Snapshot.wordnets)
    add_flags(group, helps(__package__, "places"))
    add_flags(group, helps(__package__, "day"), default="latest")
    add_flags(group, helps(__package__, "current"), action="store_true")
    wordnets = f"the wordnets to download: any of {', '.join(names)} (default: {' '.join(usual)})"
    group.add_argument("--download-wordnets", nargs="+", choices=names, default=usual, metavar="NAME", help=wordnets)
    add_flags(group, helps(__package__, "seed"), type=int, default=0)


def source_table(facts: dict) -> str:
    """Return a text table, one line per language, of the number of entries by source; `facts` is metadata.json."""
    counts: dict[str, dict[str, int]] = facts["sources"]
    present = set[str]().union(*counts.values())
    names = [name for name in COLUMNS if name in present]
    total = {code: sum(by_source.values()) for code, by_source in counts.items()}
    rows = [("language", "entries", *names)]
    for code in sorted(total, key=lambda code: (-total[code], code)):
        numbers = [counts[code].get(name, 0) for name in names]
        rows.append((named(code), *(f"{count:,}" for count in (total[code], *numbers))))
    return "\n".join([*aligned(rows), *(f"No source has entries of {named(code)}." for code in facts["missing"])])


def metadata_card(facts: dict) -> str:
    """Return the card of metadata on the Hugging Face Hub, with a licence per source; `facts` is metadata.json."""
    names = set[str]().union(*facts["sources"].values())
    licences = {source: OF_WIKIMEDIA[source] for source in OF_WIKIMEDIA if source in names} | facts["licences"]
    rows = [f"| {source} | {licence} |" for source, licence in sorted(licences.items())]
    return "\n".join(
        [
            "---\nlicense: other\nlicense_name: of-its-sources\nlicense_link: '#sources'\n---\n",
            f"# Metadata {facts['name']}\n",
            f"Entries of clip-curation: {facts['entries']:,} of {len(facts['sources'])} languages, rules "
            f"{facts['rules']}, digest `{facts['digest']}`. The recipe is in `{FACTS}`.\n",
            "## Sources\n\nSources that state no licence are not listed.\n\n| source | licence |\n| --- | --- |",
            *rows,
            f"\n## Entries\n\n```\n{source_table(facts)}\n```\n",
        ]
    )


def listing(results: Iterable[FetchResult]) -> list[str]:
    """Return a line for each download, with size, outcome and path or reason, and a last line with the total size."""
    results = [*results]
    lines = []
    for result in results:
        about = result.reason or f"{result.download.path}  {redacted(result.download.url)}"
        lines.append(f"{readable(result.size):>9}  {result.outcome:7}  {about}")
    total = sum(result.size or 0 for result in results)
    unknown = sum(result.size is None for result in results)
    more = f", {unknown} of unknown size" if unknown else ""
    return [*lines, f"{readable(total):>9}  in {len(results)} files{more}"]
