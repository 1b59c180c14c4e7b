"""Take steps on DataFrames, and write what they give as Parquet and JSON.

    python -m tests.dataframes.steps FOLDER few|all

takes them on Spark Connect, which cannot be in one process with a classic session. FOLDER holds `pairs` and `metadata`.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from curation import CurationConfig, dataframes
from curation.dataframes import Balance, MatchOptions
from curation.inputs.tables.columns import TableOptions
from metadata import Entries, InputError

CONFIG = CurationConfig(english_threshold=20, seed=3, max_texts=16)
SETTINGS = {"spark.sql.shuffle.partitions": "5", "spark.sql.execution.arrow.maxRecordsPerBatch": "997"}


def main(folder: Path, which: str) -> None:
    spark = SparkSession.builder.remote("local[2]").getOrCreate()
    if which == "all":
        take_all_steps(spark, folder, folder / "connect")
    else:
        configure(spark)
        take_steps(spark.read.parquet(str(folder / "pairs")), folder / "metadata", folder / which)
    spark.stop()


def configure(spark: SparkSession) -> None:
    for name, value in SETTINGS.items():
        spark.conf.set(name, value)


def take_all_steps(spark: SparkSession, folder: Path, out: Path) -> None:
    """Take the steps on the folder's pairs, on no pairs, and with options; also make mistakes."""
    configure(spark)
    out.mkdir()
    pairs = spark.read.parquet(str(folder / "pairs"))
    take_steps(pairs, folder / "metadata", out / "steps")
    spread = pairs.repartition(7).withColumnsRenamed({"url": "img.src", "text": "Words"})
    options = MatchOptions(TableOptions("img.src", "Words"), artefacts=folder / "artefacts")
    take_steps(spread, folder / "metadata", out / "spread", options)
    no_rows = pairs.where("false")
    take_steps(no_rows, folder / "metadata", out / "empty")
    excluded = MatchOptions(exclude=[str(folder / "excluded.txt")])
    write(dataframes.match(pairs, folder / "metadata", CONFIG, excluded), out / "excluded.parquet")
    unique = MatchOptions(unique_images=True, kind_column="language")
    write(dataframes.match(pairs, folder / "metadata", CONFIG, unique), out / "unique.parquet")
    (out / "refused.json").write_text(json.dumps(refusals(spark, pairs, folder)))


def take_steps(pairs: DataFrame, metadata: Path, out: Path, options: MatchOptions | None = None) -> None:
    """Write what each step gives; each is computed once."""
    out.mkdir()
    artefacts = options.artefacts if options else None
    matched = dataframes.match(pairs, metadata, CONFIG, options).cache()
    write(matched, out / "matched.parquet")
    counts = dataframes.count(matched, metadata, CONFIG, artefacts).cache()
    write(counts, out / "counts.parquet")
    balance = dataframes.thresholds(counts, CONFIG)
    (out / "thresholds.json").write_text(json.dumps(asdict(balance.thresholds)))
    pq.write_table(pa.table({"rate": balance.rates}), out / "rates.parquet")
    write(dataframes.sample(matched, balance, CONFIG.seed, artefacts), out / "curated.parquet")
    write(dataframes.dropped(pairs, metadata, CONFIG, options), out / "dropped.parquet")


def write(frame: DataFrame, path: Path) -> None:
    pq.write_table(frame.toArrow(), path)


def refusals(spark: SparkSession, pairs: DataFrame, folder: Path) -> dict[str, str]:
    """Return the sentence with which each mistake is refused."""
    pairs = pairs.limit(50)
    metadata, other = folder / "metadata", Entries.build({"en": ["dog"]})
    matched = dataframes.match(pairs, metadata)
    balance = dataframes.thresholds(dataframes.count(matched, metadata))
    lists = pairs.selectExpr("url", "array(text) as text")
    unknown = matched.selectExpr(
        "uid", "url", "page_url", "slice(candidates, 1, 1000) as candidates"
    )  # without a digest
    twice = pairs.selectExpr("url", "text", "text")
    mistakes = {
        "no url": lambda: dataframes.match(pairs.drop("url"), metadata),
        "no text": lambda: dataframes.match(pairs, metadata, options=MatchOptions(TableOptions("url", "Text"))),
        "no kind": lambda: dataframes.match(pairs, metadata, options=MatchOptions(kind_column="kind")),
        "twice": lambda: dataframes.match(twice, metadata),
        "lists": lambda: dataframes.match(lists, metadata),
        "intervals": lambda: dataframes.match(pairs.selectExpr("url", "interval 1 year as text"), metadata),
        "pairs counted": lambda: dataframes.count(pairs, metadata),
        "pairs sampled": lambda: dataframes.sample(pairs, balance),
        "no counts": lambda: dataframes.thresholds(matched),
        "bare counts": lambda: dataframes.thresholds(dataframes.count(matched, metadata).withMetadata("id", {})),
        "unknown ids": lambda: dataframes.thresholds(dataframes.count(unknown, other)),
        "other metadata": lambda: dataframes.count(matched, other),
        "other rates": lambda: dataframes.sample(matched, Balance(balance.thresholds, balance.rates, other.digest)),
        "size": lambda: dataframes.thresholds(dataframes.count(matched, metadata), CurationConfig(target_size=10)),
    }
    return {name: refusal(mistake) for name, mistake in mistakes.items()}


def refusal(mistake) -> str:
    try:
        mistake()
    except InputError as error:
        return str(error)
    return "nothing was refused"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
