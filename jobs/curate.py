"""From a crawl to a curated manifest.

spark-submit jobs/curate.py --input crawl/*.wat.gz --entries en=words.txt --output DIR
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, fields
from itertools import count

from console import one_line_errors, say, session, stage

from curation import inputs, stages
from curation.arrays import save_array
from curation.balancing import (
    Distribution,
    Thresholds,
    rates_of,
    rates_of_each,
    threshold_for_size,
    unlimited_threshold,
)
from curation.config import ENGLISH, MATCHERS, CurationConfig
from curation.counting import EntryCounts
from curation.identify import Identifier
from curation.output import Output
from curation.parquet import part_files, require_rows
from curation.report import summary
from curation.run import Run
from curation.tables import TableOptions
from metadata.entries import Entries
from metadata.lists import read_lists
from metadata.text import RULES


def main(argv=None) -> None:
    """Run the job on a command line; bad input ends in one sentence and status 2."""
    args = parse(argv)
    with one_line_errors("curate"):
        curate(args)


def curate(args: argparse.Namespace) -> None:
    """Run all stages; what can be known to be wrong is refused before Spark starts."""
    config = CurationConfig(**{name: value for name, value in vars(args).items() if name in CONFIG})
    columns = TableOptions(args.url_column, args.text_column)
    files = inputs.find(args.input, columns)
    entries = Entries.open(args.metadata) if args.metadata else Entries.build(read_lists(args.entries))
    identifier = Identifier.open(args.model)
    output = Output.claim(args.output, made_from(files, columns, entries, identifier, config), args.overwrite)

    spark = session("curate")
    matched = output.matched_tallies()
    if matched is None:
        matched = match(spark, files, columns, entries, args.model, config, output)
    parts = part_files(output.matched)
    require_rows(parts, matched["matched"])
    with stage(spark, "count entries"):
        seen = stages.count(spark, parts, len(entries)).toArrow()
    counts = EntryCounts.zeros(len(entries), entries.digest).add_seen(seen)
    sized, thresholds = choose_thresholds(spark, parts, counts, entries, config, output)
    rates = rates_of(counts.values, entries.languages, thresholds)
    curated = sample(spark, parts, rates, matched["matched"], config, output)
    run = Run(config, output.description, entries, counts, thresholds, matched, curated, sized)
    output.write_results(run, rates)
    say(summary(run.run_json()))
    say(f"\nmanifest: {output.path / 'curated'}\nreport:   {output.path / 'report.html'}")


CONFIG = [field.name for field in fields(CurationConfig)]


def made_from(files, columns, entries, identifier, config) -> dict:
    """Return what the matched images depend on."""
    return {
        "inputs": [asdict(file) for file in files],
        "columns": asdict(columns),
        "metadata": entries.digest,
        "rules": config.rules,
        "model": {"name": identifier.name, "digest": identifier.digest},
        "max_texts": config.max_texts,
        "min_language_score": config.min_language_score,
    }


def match(spark, files, columns, entries, model, config, output):
    """Write the matched images; return the tallies of all that was read, dropped, identified and matched."""
    metadata, matchers = str(output.work / "metadata"), str(output.work / "matchers")
    entries.save(metadata)
    if config.matcher == "trie":
        with stage(spark, "build matchers"):
            stages.collected(stages.build_matchers(spark, metadata, list(entries.languages), config.rules, matchers))
    plan = stages.MatchPlan.of(config, metadata, matchers, model, str(output.begin("matched")))
    with stage(spark, f"match {len(files)} files"):
        candidates = stages.candidates(spark, files, columns)
        tallies = stages.collected(stages.match(stages.sorted_candidates(candidates), plan))
    output.finish_matched(tallies)
    return tallies


def choose_thresholds(spark, parts, counts, entries, config, output):
    """Return the thresholds, by the English one or, first searched for, by the target size."""
    distributions = {code: Distribution.of(c) for code, c in counts.by_language(entries.languages).items()}
    if config.target_size is None:
        return None, Thresholds.of(distributions, config.english_threshold, config.tail_share)
    passes = count()

    def size_of(candidates: list[int]) -> list[float]:
        each = [Thresholds.of(distributions, t) for t in candidates]
        rates = rates_of_each(counts.values, entries.languages, each)
        path = save_array(output.work / f"rates{next(passes)}.npy", rates)
        with stage(spark, f"try {len(each)} thresholds from {candidates[0]:,} to {candidates[-1]:,}"):
            sizes = stages.collected(stages.expected_sizes(spark, parts, path))
        return [sizes[f"size.{column}"] for column in range(len(each))]

    upper = unlimited_threshold(counts.by_language(entries.languages).get(ENGLISH, []))
    sized = threshold_for_size(size_of, config.target_size, upper)
    return sized, Thresholds.of(distributions, sized.threshold)


def sample(spark, parts, rates, images: int, config, output):
    """Write the curated files; return the tallies of what was expected and kept."""
    files = max(1, -(-images // config.rows_per_file))
    path = save_array(output.work / "rates.npy", rates)
    output.retract_results()
    with stage(spark, "sample"):
        drawn = stages.sample(spark, parts, path, config.seed, files)
        tallies = stages.collected(
            stages.write_curated(drawn, files, str(output.begin("curated")), config.row_group_rows)
        )
    output.finish("curated")
    return tallies


def parse(argv=None) -> argparse.Namespace:
    """Return the values of a command line."""
    parser = argparse.ArgumentParser(
        prog="curate.py",
        description="Keep the balanced fraction of image-text pairs: match metadata entries in each text, count, "
        "derive a threshold per language, sample, and write the curated manifest.",
    )
    read = parser.add_argument_group("what is read")
    read.add_argument(
        "--input",
        nargs="+",
        required=True,
        metavar="PATH",
        help="WAT, WARC, Parquet, JSON lines, CSV or TSV: files, folders, globs or URLs",
    )
    source = read.add_mutually_exclusive_group(required=True)
    source.add_argument("--metadata", metavar="DIR", help="what build_metadata.py wrote")
    source.add_argument(
        "--entries",
        nargs="+",
        metavar="LANGUAGE=FILE",
        help="lists of entries, as they are: a JSON array or one per line",
    )
    read.add_argument(
        "--url-column",
        metavar="NAME",
        help="column of image URLs, where it is not recognised; a number, from 0, in a file without header",
    )
    read.add_argument("--text-column", metavar="NAME", help="column of texts, likewise")
    read.add_argument("--model", metavar="FILE", help="fastText language identification model (default: lid.176.ftz)")
    write = parser.add_argument_group("what is written")
    write.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="folder of the results; matched/ in it is used again for the same inputs",
    )
    write.add_argument("--overwrite", action="store_true", help="replace another run in the output folder")
    write.add_argument("--rows-per-file", type=int, metavar="N", help="largest mean number of rows of a curated file")
    balance = parser.add_argument_group("how much is kept")
    size = balance.add_mutually_exclusive_group()
    size.add_argument(
        "--english-threshold",
        type=int,
        metavar="T",
        help="t of English; the other languages follow through its tail share",
    )
    size.add_argument(
        "--target-size",
        type=int,
        metavar="N",
        help="images to keep: take the smallest English t that is expected to give them",
    )
    balance.add_argument(
        "--tail-share",
        type=float,
        metavar="P",
        help="tail share of all languages but English, instead of the one that English has at its t",
    )
    balance.add_argument("--seed", type=int, metavar="N", help="another seed keeps other pairs")
    how = parser.add_argument_group("how texts are matched")
    how.add_argument(
        "--rules",
        choices=RULES,
        help="what counts as a match: symbols of normalised text, or padded substrings as Meta CLIP's reference has them",
    )
    how.add_argument("--matcher", choices=MATCHERS, help="the engine; both give the same matches")
    how.add_argument("--max-texts", type=int, metavar="N", help="texts of one image at most, chosen by hash")
    how.add_argument(
        "--min-language-score", type=float, metavar="S", help="texts whose language is less certain belong to `other`"
    )
    return with_defaults(parser).parse_args(argv)


def with_defaults(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Take the defaults from CurationConfig, and name them in the help."""
    defaults = {field.name: field.default for field in fields(CurationConfig)}
    for action in parser._actions:
        if defaults.get(action.dest) is not None:
            action.help += " (default: %(default)s)"
    parser.set_defaults(**defaults)
    return parser


if __name__ == "__main__":
    main()
