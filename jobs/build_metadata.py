"""From wordnets, Wikipedia dumps and page views to the metadata entries of each language.

spark-submit jobs/build_metadata.py --wordnet PATH --wikipedia PATH --pageviews PATH --output DIR
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import fields
from functools import cache
from pathlib import Path
from shutil import rmtree

from arguments import parse_build
from pyspark.sql import SparkSession

from metadata import stages
from metadata.build import Build, pageview_files, table
from metadata.config import MetadataConfig
from metadata.download.fetch import Manners, Progress, fetch, listing, plan
from metadata.download.sources import SOURCES
from metadata.entry_lists import read_lists
from metadata.languages import language
from metadata.wikipedia import files
from metadata.wordnet import formats
from runtime.console import command
from runtime.errors import InputError
from runtime.progress import ConsoleProgress, Throttled
from runtime.session import session
from runtime.spark import collected, require_shared
from runtime.storage.whole import Parts
from runtime.terminal import say

progress = ConsoleProgress()

CONFIG = [field.name for field in fields(MetadataConfig)]


def main(argv=None) -> None:
    """Run the job on a command line; bad input ends in one sentence and status 2."""
    args = parse_build(argv)
    with command("build_metadata"):
        build_metadata(args)


def build_metadata(args: Namespace) -> None:
    """Build all languages; a source that was counted already, from the same files, is not counted again."""
    output = Path(args.output)
    if (output / "__init__.py").exists():  # `--output metadata` in a checkout
        raise InputError(f"output {output} is the folder of a Python package; give another")
    if args.download is not None:
        fetch_sources(args, output)
        if args.dry_run:
            return
    build = Build(
        config=MetadataConfig(**{name: value for name, value in vars(args).items() if name in CONFIG}),
        rules=args.rules,
        wordnets=formats.find(args.wordnet),
        wikipedias=files.find(args.wikipedia, args.language),
        pageviews=pageview_files(args.pageviews),
        lists=read_lists(args.entries),
        wanted=args.languages and [language(code).code for code in args.languages],
        parts=Parts(output / "sources", output / ".work"),
    )
    for code in build.counted:
        if not build.is_there(f"ngrams/{code}", build.ngrams_made_from(code)):
            count_ngrams(build, code)
    if build.pageviews and not build.is_there("titles", build.titles_made_from()):
        count_titles(build)
    entries, facts = build.merged()
    entries.save(output, facts)
    rmtree(build.parts.work, ignore_errors=True)
    say(table(facts))
    say(f"\nmetadata: {output}, {len(entries):,} entries, digest {entries.digest}")


def fetch_sources(args: Namespace, output: Path) -> None:
    """Fetch what is asked for, and add it to the sources that the command line names."""
    downloads = plan(args.languages, args.download or SOURCES, args.seed, args.mirror)
    shown = Throttled(Progress(len(downloads)))
    folder = Path(args.download_to or output / "downloads")
    results = fetch(downloads, folder, Manners(contact=args.contact), shown, args.dry_run)
    say("\n".join(listing(results)))
    for result in results:
        if result.outcome in ("fetched", "kept"):
            getattr(args, Path(result.download.path).parts[0]).append(str(result.path))


@cache
def session_over(work: Path) -> SparkSession:
    """Return the Spark session, whose workers see the folder that they are to write to."""
    spark = session("build_metadata")
    work.mkdir(parents=True, exist_ok=True)
    require_shared(spark, work)
    return spark


def count_ngrams(build: Build, code: str) -> None:
    """Count words and pairs of a language's Wikipedias, and keep those that become entries."""
    name, spark = f"ngrams/{code}", session_over(build.parts.work)
    plan = stages.NgramPlan(build.config, str(build.parts.begin(name)))
    with progress.stage(f"words of {language(code).name}"):
        tallies = collected(stages.ngrams_of(spark, build.wikipedias_of(code), code, plan))
    build.parts.finish(name, {"made_from": build.ngrams_made_from(code), "tallies": tallies.rows()})


def count_titles(build: Build) -> None:
    """Add up the page views of all languages, and keep the titles that become entries."""
    spark = session_over(build.parts.work)
    plan = stages.TitlePlan(
        build.config, frozenset(build.languages), build.namespaces, str(build.parts.begin("titles"))
    )
    with progress.stage("titles"):
        tallies = collected(stages.titles_of(spark, build.pageviews, plan))
    build.parts.finish("titles", {"made_from": build.titles_made_from(), "tallies": tallies.rows()})


if __name__ == "__main__":
    main()
