"""From a crawl to a curated manifest.

spark-submit jobs/curate.py --input crawl/*.wat.gz --entries en=words.txt --output DIR
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, fields
from itertools import count

from arguments import parse_curate
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
from curation.config import ENGLISH, CurationConfig
from curation.downloads import SUCCESS, Downloads, find_results, require_success
from curation.identify import Identifier
from curation.output import Output
from curation.report import summary
from curation.run import Run
from curation.tables import TableOptions
from metadata.entries import Entries
from metadata.lists import read_lists
from metadata.parquet import part_files, require_rows


def main(argv=None) -> None:
    """Run the job on a command line; bad input ends in one sentence and status 2."""
    args = parse_curate(argv)
    with one_line_errors("curate"):
        curate(args)


def curate(args: Namespace) -> None:
    """Run all stages; what can be known to be wrong is refused before Spark starts."""
    config = CurationConfig(**{name: value for name, value in vars(args).items() if name in CONFIG})
    columns = TableOptions(args.url_column, args.text_column)
    files = inputs.find(args.input, columns)
    entries = Entries.open(args.metadata) if args.metadata else Entries.build(read_lists(args.entries))
    identifier = Identifier.open(args.model)
    description = made_from(files, columns, entries, identifier, args.unique_images, config)
    results = find_results(args.status or [])
    output = Output.claim(args.output, description, args.overwrite)
    downloads = Downloads.collect(results, output.work / "tried.npy") if results else None

    spark = session("curate")
    matched = output.matched_tallies()
    if matched is None:
        matched = match(spark, files, columns, entries, args, config, output)
    parts, images, there = part_files(output.matched), matched["matched"], None
    require_rows(parts, images)
    if downloads:
        there = {"folders": args.status, "images": keep_existing(spark, parts, downloads, output)}
        parts, images = part_files(output.existing), there["images"][SUCCESS]
    with stage(spark, "count entries"):
        counts = stages.count(spark, parts, entries, output.parts.begin("counts"))
    sized, thresholds = choose_thresholds(spark, parts, counts, entries, config, output)
    rates = rates_of(counts.values, entries.languages, thresholds)
    curated = sample(spark, parts, rates, images, config, output)
    told = {"sized": sized, "lineage": output.lineage(), "downloads": there}
    run = Run(config, output.description, entries, counts, thresholds, matched, curated, **told)
    output.write_results(run, rates)
    say(summary(run.run_json()))
    say(f"\nmanifest: {output.path / 'curated'}\nreport:   {output.path / 'report.html'}")


CONFIG = [field.name for field in fields(CurationConfig)]


def made_from(files, columns, entries, identifier, unique_images: bool, config) -> dict:
    """Return what the matched images depend on."""
    return {
        "inputs": [asdict(file) for file in files],
        "columns": asdict(columns),
        "metadata": entries.digest,
        "rules": config.rules,
        "model": {"name": identifier.name, "digest": identifier.digest},
        "unique_images": unique_images,
        "max_texts": config.max_texts,
        "min_language_score": config.min_language_score,
    }


def match(spark, files, columns, entries, args, config, output):
    """Write the matched images; return the tallies of all that was read, dropped, identified and matched."""
    metadata, matchers = str(output.work / "metadata"), str(output.work / "matchers")
    entries.save(metadata)
    if config.matcher == "trie":
        with stage(spark, "build matchers"):
            stages.build_matchers(spark, metadata, list(entries.languages), config.rules, matchers)
    plan = stages.MatchPlan.of(config, metadata, matchers, args.model)
    unique = args.unique_images
    ledger = output.ledger(files, unique)
    with stage(spark, f"match {len(ledger.missing)} of {len(files)} files"):
        stages.match(spark, ledger, columns, plan, 0 if unique else stages.pair_buckets(files))
    ledger = output.ledger(files, unique)
    ledger.prune()
    tallies = ledger.tallies()
    if not unique:
        with stage(spark, "group by image"):
            tallies += stages.group(spark, ledger, config.max_texts, output.parts.begin("matched"))
    output.finish_matched(tallies)
    return tallies


def keep_existing(spark, parts, downloads, output):
    """Write the matched images that exist; return the number of matched images by status."""
    folder = output.parts.begin("existing")
    with stage(spark, "keep existing images"):
        tallies = stages.existing(spark, parts, str(downloads.path), downloads.statuses, folder)
    statuses = tallies.beginning("status.")
    require_success(statuses)
    require_rows(part_files(folder), statuses[SUCCESS])
    output.retract_results()
    output.parts.finish("existing")
    return statuses


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
            sizes = stages.expected_sizes(spark, parts, path)
        return [sizes[f"size.{column}"] for column in range(len(each))]

    upper = unlimited_threshold(counts.by_language(entries.languages).get(ENGLISH, []))
    sized = threshold_for_size(size_of, config.target_size, upper)
    return sized, Thresholds.of(distributions, sized.threshold)


def sample(spark, parts, rates, images: int, config, output):
    """Write the curated files; return the tallies of what was expected and kept."""
    files = max(1, -(-images // config.rows_per_file))
    path = save_array(output.work / "rates.npy", rates)
    output.retract_results()
    drawn = output.parts.begin("drawn")
    with stage(spark, "sample"):
        tallies = stages.sample(spark, parts, path, config.seed, files, drawn)
    with stage(spark, f"write {files} files"):
        runs, curated = sorted(drawn.glob("*.blocks")), output.parts.begin("curated")
        written = stages.write_curated(spark, runs, files, curated, config.row_group_rows)
    require_rows(part_files(curated), tallies["kept"])
    output.parts.finish("curated")
    return tallies + written


if __name__ == "__main__":
    main()
