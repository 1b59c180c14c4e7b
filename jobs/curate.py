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
from curation.exclusion import Exclusion
from curation.finders import save_matchers
from curation.identify import Identifier
from curation.limits import require_sound
from curation.output import Output
from curation.report import summary
from curation.run import Run
from curation.tables import TableOptions
from metadata.entries import Entries
from metadata.errors import InputError
from metadata.lists import read_lists
from metadata.parquet import part_files, require_rows
from metadata.places import files as placed
from metadata.spark import require_shared, ship


def main(argv=None) -> None:
    """Run the job on a command line; bad input ends in one sentence and status 2."""
    args = parse_curate(argv)
    with one_line_errors("curate"):
        curate(args)


def curate(args: Namespace) -> None:
    """Run all stages; what can be known to be wrong is refused before Spark starts."""
    config = CurationConfig(**{name: value for name, value in vars(args).items() if name in CONFIG})
    columns = TableOptions(args.url_column, args.text_column)
    files = inputs.find(args.input, columns, config.sample_files, config.seed)
    exclusion = Exclusion.read(args.exclude)
    entries = Entries.open(args.metadata) if args.metadata else Entries.build(read_lists(args.entries))
    identifier = Identifier.open(args.model)
    description = made_from(files, columns, entries, identifier, exclusion, args.unique_images, config)
    with Output.claim(args.output, description, args.overwrite) as output:
        curate_into(output, files, columns, entries, identifier, exclusion, args, config)


def curate_into(output, files, columns, entries, identifier, exclusion, args, config) -> None:
    """Run all stages into an output folder that is this run's own."""
    spark = session("curate")
    require_shared(spark, output.path)
    matched = output.matched_tallies()
    if matched is None:
        plan = match_plan(spark, entries, identifier, exclusion, config, output)
        matched = match(spark, files, columns, plan, args.unique_images, config, output)
    require_sound(matched, config)
    parts = part_files(output.matched)
    require_rows(parts, matched["matched"])
    with stage(spark, "count entries"):
        counts = stages.count(spark, parts, entries, output.parts.begin("counts"))
    sized, thresholds = choose_thresholds(spark, parts, counts, entries, config, output)
    rates = rates_of(counts.values, entries.languages, thresholds)
    curated = sample(spark, parts, rates, matched["matched"], config, output)
    run = Run(config, output.description, entries, counts, thresholds, matched, curated, sized, output.lineage())
    output.write_results(run, rates)
    say(summary(run.run_json()))
    say(f"\nmanifest: {output.path / 'curated'}\nreport:   {output.path / 'report.html'}")


CONFIG = [field.name for field in fields(CurationConfig)]


def made_from(files, columns, entries, identifier, exclusion, unique_images: bool, config) -> dict:
    """Return what the matched images depend on."""
    return {
        "inputs": [asdict(file) for file in files],
        "columns": asdict(columns),
        "metadata": entries.digest,
        "rules": config.rules,
        "model": {"name": identifier.name, "digest": identifier.digest},
        "exclusion": exclusion.digest if len(exclusion) else None,
        "unique_images": unique_images,
        "max_texts": config.max_texts,
        "max_text_length": config.max_text_length,
        "min_language_score": config.min_language_score,
    }


def match_plan(spark, entries, identifier, exclusion, config, output):
    """Make what workers need to match, and return the plan that names it."""
    metadata, matchers, excluded = (output.artefacts / name for name in ("metadata", "matchers", "exclusion"))
    entries.save(metadata)
    if config.matcher == "trie":
        with stage(spark, "build matchers"):
            save_matchers(metadata, config.rules, matchers)
    if len(exclusion):
        exclusion.save(excluded)
    made = {
        "metadata": metadata,
        "matchers": matchers if config.matcher == "trie" else None,
        "model": identifier.path,
        "exclusion": excluded if len(exclusion) else None,
    }
    shipped = {name: path and ship(spark, path) for name, path in made.items()}
    return stages.MatchPlan.of(config, stages.Artefacts(**shipped))


def match(spark, files, columns, plan, unique: bool, config, output):
    """Write the matched images; return the tallies of all that was read, dropped, identified and matched."""
    ledger = output.ledger(files, unique)
    with stage(spark, f"match {len(ledger.missing)} of {len(files)} files"):
        stages.match(spark, ledger, columns, plan, 0 if unique else stages.pair_buckets(files))
    ledger = output.ledger(files, unique)
    require_whole(ledger, output)
    ledger.prune()
    tallies = require_sound(ledger.tallies(), config)
    if not unique:
        with stage(spark, "group by image"):
            tallies += stages.group(spark, ledger, plan.max_texts, output.parts.begin("matched"))
    output.finish_matched(tallies)
    return tallies


def require_whole(ledger, output) -> None:
    """Refuse to go on without what workers say they have written."""
    if ledger.missing:
        raise InputError(
            f"what {len(ledger.missing)} inputs gave was written but is not in {output.path}: that is no folder that "
            "all machines share, or it shows files late; run the same command again to go on"
        )


def choose_thresholds(spark, parts, counts, entries, config, output):
    """Return the thresholds, by the English one or, first searched for, by the target size."""
    distributions = {code: Distribution.of(c) for code, c in counts.by_language(entries.languages).items()}
    if config.target_size is None:
        return None, Thresholds.of(distributions, config.english_threshold, config.tail_share)
    passes = count()

    def size_of(candidates: list[int]) -> list[float]:
        each = [Thresholds.of(distributions, t) for t in candidates]
        rates = rates_of_each(counts.values, entries.languages, each)
        shipped = ship(spark, save_array(output.artefacts / f"rates{next(passes)}.npy", rates))
        with stage(spark, f"try {len(each)} thresholds from {candidates[0]:,} to {candidates[-1]:,}"):
            sizes = stages.expected_sizes(spark, parts, shipped)
        return [sizes[f"size.{column}"] for column in range(len(each))]

    upper = unlimited_threshold(counts.by_language(entries.languages).get(ENGLISH, []))
    sized = threshold_for_size(size_of, config.target_size, upper)
    return sized, Thresholds.of(distributions, sized.threshold)


def sample(spark, parts, rates, images: int, config, output):
    """Write the curated files; return the tallies of what was expected and kept."""
    files = max(1, -(-images // config.rows_per_file))
    shipped = ship(spark, save_array(output.artefacts / "rates.npy", rates))
    output.retract_results()
    drawn = output.parts.begin("drawn")
    with stage(spark, "sample"):
        tallies = stages.sample(spark, parts, shipped, config.seed, files, drawn)
    with stage(spark, f"write {files} files"):
        runs, curated = placed(drawn, ".blocks"), output.parts.begin("curated")
        written = stages.write_curated(spark, runs, files, curated, config.row_group_rows)
    require_rows(part_files(curated), tallies["kept"])
    output.finish_curated()
    return tallies + written


if __name__ == "__main__":
    main()
