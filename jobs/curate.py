"""From a crawl to a curated manifest.

spark-submit jobs/curate.py --input crawl/*.wat.gz --entries en=words.txt --output DIR
"""

from __future__ import annotations

from itertools import count
from pathlib import Path

from arguments import parse_curate
from pyspark.sql import SparkSession
from request import Request

from curation import stages, warm
from curation.balancing.counts import EntryCounts
from curation.balancing.thresholds import (
    Distribution,
    SizedThreshold,
    Thresholds,
    rates_of,
    rates_of_each,
    threshold_for_size,
    unlimited_threshold,
)
from curation.config import ENGLISH, CurationConfig
from curation.images.downloads import SUCCESS, Downloads, require_success
from curation.inputs.limits import require_sound
from curation.matching.finders import save_matchers
from curation.report.facts import Run
from curation.report.page import summary
from curation.runs.output import Output
from runtime.arrow.buffers import save_array
from runtime.console import command
from runtime.errors import InputError
from runtime.progress import ConsoleProgress
from runtime.session import session
from runtime.spark import require_shared, ship
from runtime.storage.parquet import part_files, require_rows
from runtime.storage.paths import files as placed
from runtime.tallies import Tallies
from runtime.terminal import say
from runtime.warming import compile_kernels

progress = ConsoleProgress()


def main(argv=None) -> None:
    """Run the job on a command line; bad input ends in one sentence and status 2."""
    args = parse_curate(argv)
    with command("curate"):
        request = Request.of(args)
        with Output.claim(args.output, request.made_from(), args.overwrite) as output:
            curate(request, output)


def curate(request: Request, output: Output) -> None:
    """Run all stages into an output folder that is this run's own."""
    config, entries = request.config, request.entries
    downloads = Downloads.collect(request.results, output.artefacts / "tried.npy") if request.results else None
    compile_kernels(warm.CALLS, warm.SECONDS, progress)
    with progress.stage("start Spark"):
        spark = session("curate")
    require_shared(spark, output.path)
    matched = output.matched_tallies()
    if matched is None:
        matched = match(spark, request, output)
    require_sound(matched, config)
    parts, images, there = part_files(output.matched), matched["matched"], None
    require_rows(parts, images)
    if downloads:
        there = {"folders": request.status, "images": keep_existing(spark, parts, downloads, output)}
        parts, images = part_files(output.existing), there["images"][SUCCESS]
    with progress.stage("count entries"):
        counts = stages.count(spark, parts, entries, output.parts.begin("counts"))
    sized, thresholds = choose_thresholds(spark, parts, counts, request, output)
    rates = rates_of(counts.values, entries.languages, thresholds)
    curated = sample(spark, parts, save_array(output.artefacts / "rates.npy", rates), images, config, output)
    told = {"sized": sized, "lineage": output.lineage(), "downloads": there}
    run = Run(config, output.description, entries, counts, thresholds, matched, curated, **told)
    output.write_results(run, rates)
    say(summary(run.run_json()))
    say(f"\nmanifest: {output.path / 'curated'}\nreport:   {output.path / 'report.html'}")


def match(spark: SparkSession, request: Request, output: Output) -> Tallies:
    """Write the matched images; return the tallies of all that was read, dropped, identified and matched."""
    files, unique = request.files, request.unique_images
    plan = stages.MatchPlan.of(request.config, artefacts(spark, request, output))
    ledger = output.ledger(files, unique)
    with progress.stage(f"match {len(ledger.missing)} of {len(files)} files"):
        stages.match(spark, ledger, request.columns, plan, 0 if unique else stages.pair_buckets(files))
    ledger = output.ledger(files, unique)
    require_whole(ledger, output)
    ledger.prune()
    tallies = require_sound(ledger.tallies(), request.config)
    if not unique:
        with progress.stage("group by image", "ranges"):
            tallies += stages.group(spark, ledger, plan.max_texts, output.parts.begin("matched"))
    output.finish_matched(tallies)
    return tallies


def artefacts(spark: SparkSession, request: Request, output: Output) -> stages.Artefacts:
    """Make what workers need to match, and see to it that they get it."""
    metadata, matchers, exclusion = (output.artefacts / name for name in ("metadata", "matchers", "exclusion"))
    request.entries.save(metadata)
    by_trie, excludes = request.config.matcher == "trie", len(request.exclusion) > 0
    if by_trie:
        with progress.stage("build matchers"):
            save_matchers(metadata, request.config.rules, matchers)
    if excludes:
        request.exclusion.save(exclusion)
    return stages.Artefacts(
        metadata=None if by_trie else ship(spark, metadata),
        matchers=ship(spark, matchers) if by_trie else None,
        model=ship(spark, request.identifier.path),
        exclusion=ship(spark, exclusion) if excludes else None,
    )


def require_whole(ledger, output) -> None:
    """Refuse to go on without what workers say they have written."""
    if ledger.missing:
        raise InputError(
            f"what {len(ledger.missing)} inputs gave was written but is not in {output.path}: that is no folder that "
            "all machines share, or it shows files late; run the same command again to go on"
        )


def keep_existing(spark: SparkSession, parts: list, downloads: Downloads, output: Output) -> dict[str, int]:
    """Write the matched images that exist; return the number of matched images by status."""
    folder = output.parts.begin("existing")
    with progress.stage("keep existing images"):
        tallies = stages.existing(spark, parts, ship(spark, downloads.path), downloads.statuses, folder)
    statuses = tallies.beginning("status.")
    require_success(statuses)
    require_rows(part_files(folder), statuses[SUCCESS])
    output.retract_results()
    output.parts.finish("existing")
    return statuses


def choose_thresholds(
    spark: SparkSession, parts: list, counts: EntryCounts, request: Request, output: Output
) -> tuple[SizedThreshold | None, Thresholds]:
    """Return the thresholds, by the English one or, first searched for, by the target size."""
    config, entries = request.config, request.entries
    distributions = {code: Distribution.of(c) for code, c in counts.by_language(entries.languages).items()}
    if config.target_size is None:
        return None, Thresholds.of(distributions, config.english_threshold, config.tail_share)
    passes = count()

    def size_of(candidates: list[int]) -> list[float]:
        each = [Thresholds.of(distributions, t) for t in candidates]
        rates = rates_of_each(counts.values, entries.languages, each)
        shipped = ship(spark, save_array(output.artefacts / f"rates{next(passes)}.npy", rates))
        with progress.stage(f"try {len(each)} thresholds from {candidates[0]:,} to {candidates[-1]:,}"):
            sizes = stages.expected_sizes(spark, parts, shipped)
        return [sizes[f"size.{column}"] for column in range(len(each))]

    upper = unlimited_threshold(counts.by_language(entries.languages).get(ENGLISH, []))
    sized = threshold_for_size(size_of, config.target_size, upper)
    return sized, Thresholds.of(distributions, sized.threshold)


def sample(
    spark: SparkSession, parts: list, rates: Path, images: int, config: CurationConfig, output: Output
) -> Tallies:
    """Write the curated files; return the tallies of what was expected and kept."""
    files = max(1, -(-images // config.rows_per_file))
    output.retract_results()
    drawn = output.parts.begin("drawn")
    with progress.stage("sample"):
        tallies = stages.sample(spark, parts, ship(spark, rates), config.seed, files, drawn)
    with progress.stage(f"write {files} files"):
        runs, curated = placed(drawn, ".blocks"), output.parts.begin("curated")
        written = stages.write_curated(spark, runs, files, curated, config.row_group_rows)
    require_rows(part_files(curated), tallies["kept"])
    output.finish_curated()
    return tallies + written


if __name__ == "__main__":
    main()
