"""The command `clip-curate`: curate pairs into a manifest.

The defaults of flags come from the config classes.
"""

import sys
from argparse import Namespace, _ActionsContainer
from collections.abc import Sequence
from typing import Any, Protocol

from curation.commands.flags import add_exclude, add_language_rules
from curation.config import CurationConfig
from curation.inputs.tables.columns import TableOptions
from curation.inputs.tables.lines import DIALECTS
from curation.report import warnings
from curation.report.page import summary
from curation.run.pipeline import curate
from curation.run.preview import lines, preview
from curation.run.request import PDQ_NEAR, Options
from curation.run.results import Results
from metadata.entries import Entries, read_lists
from runtime.arguments import Parser, add_fields, helps, made
from runtime.console import FAILED, command
from runtime.engine import engine_for
from runtime.packages import modules
from runtime.progress import ConsoleProgress
from runtime.terminal import say

NAME = "clip-curate"
IDENTITY = {
    "--unique-images": "the inputs state each image once: nothing is brought together by image, which is faster",
    "--model FILE": "fastText language identification model (default: lid.176.ftz)",
    "--exclude-bits K": "bits in which the PDQ of an image may differ from one that an --exclude list names (default: "
    f"{PDQ_NEAR})",
}


class FlagsHook(Protocol):
    """Flags that an optional feature (a leaf), or another package, adds to clip-curate."""

    def add(self, parser: Parser) -> None:
        """Add the flags to the parser; flags that most runs do not need go into a group of their own."""

    def options(self, args: Namespace) -> dict[str, Any]:
        """Return the fields of `Options` that these flags set, by name."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run clip-curate, or preview it with --dry-run; bad input ends in one sentence and exit status 2.

    A run that keeps nothing writes all its files, and ends with status 1 unless --allow-empty is given.
    """
    args = parse_curate(argv)
    with command(NAME):
        if args.dry_run:
            request = called(args)
            del request["engine"]
            foreseen = preview(**request)
            say(lines(foreseen), numbers=foreseen.numbers())
            return
        results = run(args)
        why = None if args.allow_empty else warnings.nothing_kept(results.facts)
        shown = summary(results.facts | {"warnings": [line for line in results.facts["warnings"] if line != why]})
        paths = f"manifest: {results.path / 'curated'}\nreport:   {results.path / 'report.html'}"
        say(f"{shown}\n\n{paths}", numbers=results.facts["rows"])
        if why:
            say(f"{NAME}: {why} (--allow-empty makes this no failure)", "error")
            sys.exit(FAILED)


def run(args: Namespace) -> Results:
    """Curate with the arguments of a command line; return the results."""
    return curate(**called(args))


def called(args: Namespace) -> dict[str, Any]:
    """Return the arguments for `curate` or `preview` that a command line sets."""
    return {
        "inputs": args.input,
        "output": args.output,
        "metadata": Entries.build(read_lists(args.entries)) if args.entries else args.metadata,
        "config": made(CurationConfig, args),
        "options": options_of(args),
        "engine": engine_for(args, "curate"),
        "progress": ConsoleProgress(),
    }


def options_of(args: Namespace) -> Options:
    """Return the Options that a command line sets."""
    values = vars(args) | {"columns": made(TableOptions, args)}
    for flags in _hooked():
        values |= flags.options(args)
    return made(Options, Namespace(**values))


def parse_curate(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line of clip-curate; return the values."""
    parser = Parser(
        NAME,
        "Keep the balanced fraction of image-text pairs: match metadata entries in each text, count, "
        "derive a threshold per language, sample, and write the curated manifest.",
        (
            "--input pairs.parquet --output curated",
            "--input crawl/ --metadata metadata --target-size 1e6 --output out",
            "--input pairs.parquet --policy recommended --output out --dry-run",
        ),
    )
    _add_main(parser)
    _add_inputs(parser.add_argument_group("what is read"))
    written = parser.add_argument_group("what is written")
    add_fields(written, CurationConfig, helps(__package__, "written"))
    written.add_argument("--allow-empty", action="store_true", help="end with status 0, not 1, if nothing is kept")
    share = "tail share of all languages but English, instead of the one that English has at its t"
    amount = {"--tail-share P": share, "--seed N": "another seed keeps other pairs"}
    add_fields(parser.add_argument_group("how much is kept"), CurationConfig, amount)
    matching = parser.add_argument_group("how texts are matched")
    add_fields(matching, CurationConfig, helps(__package__, "matching"))
    add_language_rules(matching)
    ablations = parser.add_argument_group("ablations of the papers (docs/how-to/ablations.md)")
    add_fields(ablations, CurationConfig, helps(__package__, "ablations"))
    ablations.add_argument(
        "--no-balance", dest="balance", action="store_false", help="keep every image that has a match: all rates are 1"
    )
    for flags in _hooked():
        flags.add(parser)
    parser.add_engine()
    parser.take_defaults(Options)
    parser.take_defaults(CurationConfig)
    return parser.parse_args(argv)


def _hooked() -> list[FlagsHook]:
    return modules("clip_curation.curate_flags", "add", "options")


def _add_main(parser: Parser) -> None:
    """Add the flags that most runs need."""
    parser.add_argument(
        "--input",
        nargs="+",
        required=True,
        metavar="PATH",
        help="WAT, WARC, Parquet, JSON lines, CSV or TSV: files, folders, globs or URLs; or a crawl of Common Crawl, "
        "as commoncrawl:CC-MAIN-2024-10; or a table of Spark's catalog, as table:db.pairs",
    )
    entries = parser.add_mutually_exclusive_group()
    entries.add_argument(
        "--metadata",
        metavar="DIR",
        help="metadata of all languages, as clip-metadata writes it; or its URL (default: the frequent words of "
        "45 languages, from the package wordfreq)",
    )
    entries.add_argument(
        "--entries",
        nargs="+",
        metavar="LANGUAGE=FILE",
        help="lists of entries, as they are: a JSON array or one per line",
    )
    add_fields(parser, TableOptions, helps(__package__, "columns"))
    parser.add_output(
        "folder of the results, which all machines share, or s3://bucket/name or the like; matched/ in it is used "
        "again for the same inputs",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace another run in the output folder")
    add_fields(parser.add_mutually_exclusive_group(), CurationConfig, helps(__package__, "size"))
    add_exclude(parser, default=[])
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check all of this and look into the inputs: columns, first rows, languages, disk and time of a run; "
        "write nothing",
    )


def _add_inputs(group: _ActionsContainer) -> None:
    add_fields(group, CurationConfig, {"--sample-files N": "read N files of the input, chosen by the seed"})
    group.add_argument(
        "--dialect",
        choices=DIALECTS,
        metavar="NAME",
        help="how CSV and TSV are written, instead of what the first rows of each show: comma, tab or semicolon, and "
        "-quoted (fields may stand in quotes), -escaped (with backslashes before quotes in them, as Spark writes) or "
        "-plain (quotes mean nothing), such as tab-plain",
    )
    add_fields(group, TableOptions, helps(__package__, "inputs"))
    add_fields(group, Options, IDENTITY)
    add_fields(group, CurationConfig, helps(__package__, "read"))
