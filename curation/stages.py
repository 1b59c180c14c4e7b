"""The stages as DataFrame → DataFrame; the only module of this package that knows Spark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from curation import inputs, sampling, schemas
from curation.config import CurationConfig
from curation.counting import SEEN, EntryCounts
from curation.draws import draws
from curation.finders import open_finders, save_matcher
from curation.identify import Identifier
from curation.images import group
from curation.lists import parts
from curation.matching import Matching
from curation.tables import TableOptions
from metadata.entries import Entries
from metadata.parquet import PartWriter
from metadata.spark import map_batches, over
from metadata.tallies import SCHEMA as TALLIES
from metadata.tallies import Tallies

MATCHED_ROW_GROUP = 50_000  # images; what a worker holds at a time when it reads them again

# A CURATED row on its way to its file. Tally rows have no uid: text is the name, probability the value.
DRAWN = schemas.CURATED.append(pa.field("file", pa.int32())).append(pa.field("draw", pa.float64()))


@dataclass(frozen=True)
class MatchPlan:
    """What the workers of the matching stage open, and where they write."""

    metadata: str
    matchers: str
    engine: str
    rules: str
    model: str | None
    max_texts: int
    min_language_score: float
    output: str

    @classmethod
    def of(cls, config: CurationConfig, metadata: str, matchers: str, model: str | None, output: str) -> MatchPlan:
        """Return the plan for these folders with the numbers of `config`."""
        numbers = (config.max_texts, config.min_language_score)
        return cls(metadata, matchers, config.matcher, config.rules, model, *numbers, output)


def build_matchers(spark: SparkSession, metadata: str, codes: list[str], rules: str, matchers: str) -> DataFrame:
    """Stage 0: the saved matcher of each language; returns their number as a tally."""
    return over(spark, codes, partial(_build_matcher, metadata=metadata, rules=rules, matchers=matchers), TALLIES)


def candidates(spark: SparkSession, files: list[inputs.Input], columns: TableOptions) -> DataFrame:
    """Stage 1: the (image, text) candidates of all inputs, each with a uid and a hash, and tally rows."""
    rows = over(spark, files, partial(_read, columns=columns), schemas.CANDIDATES)
    uid = F.coalesce("uid", F.md5("url"))
    return rows.withColumn("uid", uid).withColumn("hash", F.xxhash64("uid", "text"))


def sorted_candidates(rows: DataFrame) -> DataFrame:
    """Stage 2: the same, with all texts of an image in one partition, next to each other."""
    together = rows.select(schemas.SORTED_CANDIDATES.names).repartition("uid")
    return together.sortWithinPartitions("uid", "hash", "text", "kind", "language")


def match(rows: DataFrame, plan: MatchPlan) -> DataFrame:
    """Stage 3: images with the entries of their texts, written to the plan's output; returns tallies."""
    return map_batches(rows, partial(_match, plan=plan), TALLIES)


def count(spark: SparkSession, files: list[Path], entries: int) -> DataFrame:
    """Stage 4: the number of texts that contain each entry, as id and count."""
    seen = over(spark, files, partial(_count, entries=entries), SEEN)
    return seen.groupBy("id").agg(F.sum("count").alias("count"))


def expected_sizes(spark: SparkSession, files: list[Path], rates: str) -> DataFrame:
    """Stage 5, asked several times: expected kept images for each column of the rates saved as [id, column]."""
    return over(spark, files, partial(_expected_sizes, rates=rates), TALLIES)


def sample(spark: SparkSession, files: list[Path], rates: str, seed: int, curated_files: int) -> DataFrame:
    """Stage 6: the pairs that balanced sampling keeps, each with its place in the curated order, and tally rows."""
    return over(spark, files, partial(_sample, rates=rates, seed=seed, files=curated_files), DRAWN)


def write_curated(drawn: DataFrame, curated_files: int, directory: str, row_group_rows: int) -> DataFrame:
    """Stage 7: the curated files, each in the order of draws; returns tallies."""
    by_file = drawn.repartition(curated_files, "file").sortWithinPartitions("file", "draw", "uid")
    return map_batches(by_file, partial(_write_curated, directory=directory, row_group_rows=row_group_rows), TALLIES)


def _build_matcher(code: str, metadata: str, rules: str, matchers: str) -> Iterator[pa.RecordBatch]:
    save_matcher(_entries(metadata), code, rules, matchers)
    yield Tallies([{"name": "matchers", "language": code, "value": 1}]).batch()


def _read(file: inputs.Input, columns: TableOptions) -> Iterator[pa.RecordBatch]:
    return inputs.read(file, columns)


def _match(batches: Iterable[pa.RecordBatch], plan: MatchPlan) -> Iterator[pa.RecordBatch]:
    finders = open_finders(plan.metadata, plan.engine, plan.rules, plan.matchers)
    matching = Matching(Identifier.open(plan.model), finders, plan.min_language_score)
    tally = Tallies()
    part = Path(plan.output) / f"{TaskContext.get().partitionId():05d}.parquet"
    with PartWriter(part, schemas.MATCHED, MATCHED_ROW_GROUP) as writer:
        for images in group(batches, plan.max_texts, tally):
            writer.write(matching.match(images, tally))
    tally.add("matched", writer.rows)
    yield tally.batch()


def _count(file: Path, entries: int) -> Iterator[pa.RecordBatch]:
    counts = EntryCounts.zeros(entries, "")
    for batch in pq.ParquetFile(file).iter_batches(MATCHED_ROW_GROUP, columns=["candidates.list.element.entries"]):
        counts.count(parts(batch["candidates"])[0].field("entries"))
    yield counts.seen()


def _expected_sizes(file: Path, rates: str) -> Iterator[pa.RecordBatch]:
    total = 0.0
    for batch in _matched(file):
        total = total + sampling.expected_size(batch, _array(rates)).sum(axis=0)
    sums = [{"name": f"size.{column}", "language": None, "value": v} for column, v in enumerate(np.atleast_1d(total))]
    yield Tallies(sums).batch()


def _sample(file: Path, rates: str, seed: int, files: int) -> Iterator[pa.RecordBatch]:
    tally = Tallies()
    for batch in _matched(file):
        _tally_expected(batch, _array(rates), tally)
        kept = sampling.sample_batch(batch, _array(rates), seed)
        draw = draws(seed, "order", kept["uid"])
        places = [pa.array((draw * files).astype(np.int32)), pa.array(draw)]
        yield pa.RecordBatch.from_arrays([*kept.columns, *places], schema=DRAWN)
    yield _as_drawn(tally)


def _tally_expected(batch: pa.RecordBatch, rates: np.ndarray, tally: Tallies) -> None:
    expected = sampling.expected_size(batch, rates)
    tally.add("images", batch.num_rows)
    tally.add("expected", expected.sum())
    tally.add("variance", (expected * (1 - expected)).sum())
    for row in sampling.texts_by_language(batch, rates).to_pylist():
        for name in ("texts", "matches", "expected"):
            tally.add(f"language.{name}", row[name], row["language"])


def _as_drawn(tally: Tallies) -> pa.RecordBatch:
    rows = tally.rows()
    known = {"text": "name", "language": "language", "probability": "value"}
    values = [{field: row[name] for field, name in known.items()} | {"file": 0} for row in rows]
    return pa.RecordBatch.from_pylist(values, schema=DRAWN)


def _write_curated(batches: Iterable[pa.RecordBatch], directory: str, row_group_rows: int) -> Iterator[pa.RecordBatch]:
    tally = Tallies()
    for file, runs in groupby(_runs(batches, tally), key=itemgetter(0)):
        with PartWriter(Path(directory) / f"{file:05d}.parquet", schemas.CURATED, row_group_rows) as writer:
            for _, rows in runs:
                writer.write(rows)
        tally.add("kept", writer.rows)
    yield tally.batch()


def _runs(batches: Iterable[pa.RecordBatch], tally: Tallies) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield (file, CURATED rows), the files ascending; the first file comes even without rows."""
    for batch in batches:
        for row in batch.filter(pc.is_null(batch["uid"])).to_pylist():
            tally.add(row["text"], row["probability"], row["language"])
        for row in sampling.kept_by_language(batch.filter(pc.is_valid(batch["uid"]))).to_pylist():
            tally.add("language.kept", row["kept"], row["language"])
        files = batch["file"].to_numpy()
        bounds = np.append(np.flatnonzero(np.diff(files, prepend=-1)), len(files))
        for begin, end in zip(bounds, bounds[1:], strict=False):
            rows = batch.slice(begin, end - begin)
            yield int(files[begin]), rows.filter(pc.is_valid(rows["uid"])).select(schemas.CURATED.names)


def _matched(file: Path) -> Iterator[pa.RecordBatch]:
    return pq.ParquetFile(file).iter_batches(MATCHED_ROW_GROUP)


@lru_cache(maxsize=4)
def _array(path: str) -> np.ndarray:
    return np.load(path, mmap_mode="r")


@lru_cache(maxsize=1)
def _entries(metadata: str) -> Entries:
    return Entries.open(metadata)
