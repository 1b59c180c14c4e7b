"""Choose among the rows of each language: find an exact percentile of their values, and write the best rows to a file.

Neither a task nor the driver holds all rows of a language.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metadata.words.selection import by_language
from runtime.spark import collected, map_batches, over, spread
from runtime.storage.own_files import OwnFile, recorded
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import SCHEMA as TALLIES
from runtime.tallies import Tallies

CHOSEN = pa.schema([("entry", pa.string()), ("score", pa.float64())])

FINENESS = 256  # ranges to a unit of the values, by which rows are counted first

_ROWS = 1 << 20  # of a row group
_KEYS = pa.schema([("language", pa.string()), ("key", pa.float64()), ("count", pa.int64())])


@dataclass(frozen=True)
class Percentile:
    """A percentile of a language's values, and their number."""

    number: int
    value: float


def percentiles(spark: SparkSession, files: list[OwnFile], percent: float) -> dict[str, Percentile]:
    """Return a percentile of the float64 column `value` of files, as NumPy computes it, by the column `language`.

    Rows are counted by narrow ranges of values first, and by values only in the ranges that hold its two neighbours.
    """
    numbers, before, holding = {}, {}, {}
    for code, keys, ends in _counted(spark, files, _range):
        numbers[code] = int(ends[-1])
        first, last = np.searchsorted(ends, percentile_ranks(numbers[code], percent), side="right").tolist()
        before[code] = ends[first - 1] if first else 0
        holding[code] = keys[[first, last]]
    found = {}
    for code, values, ends in _counted(spark, files, partial(_value, holding=holding)):
        ranks = percentile_ranks(numbers[code], percent) - before[code]
        low, high = values[np.searchsorted(ends, ranks, side="right")].tolist()
        found[code] = Percentile(numbers[code], percentile((low, high), numbers[code], percent))
    return found


def _counted(
    spark: SparkSession, files: list[OwnFile], keys_of: Callable[[str, np.ndarray], np.ndarray]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each language with the keys of its rows in order, and how many rows have one of the keys up to there."""
    rows = over(spark, spread(spark, files), partial(_count, keys_of=keys_of), _KEYS)
    counts = rows.groupBy("language", "key").sum("count").toDF(*_KEYS.names).toArrow().sort_by("key")
    for code, own in by_language([counts]):
        yield code, own["key"].to_numpy(), np.cumsum(own["count"])


def _count(files: list[OwnFile], keys_of: Callable[[str, np.ndarray], np.ndarray]) -> Iterator[pa.RecordBatch]:
    sums: dict[str, Counter[float]] = defaultdict(Counter)
    for code, rows in by_language(rows_of(files, ["language", "value"])):
        keys, counts = np.unique(keys_of(code, rows["value"].to_numpy()), return_counts=True)
        sums[code].update(dict(zip(keys.tolist(), counts.tolist(), strict=True)))
    for code, own in sums.items():
        yield pa.RecordBatch.from_arrays([pa.repeat(code, len(own)), [*own], [*own.values()]], schema=_KEYS)


def _range(_: str, values: np.ndarray) -> np.ndarray:
    return np.floor(values * FINENESS)


def _value(code: str, values: np.ndarray, holding: Mapping[str, np.ndarray]) -> np.ndarray:
    return values[np.isin(_range(code, values), holding[code])]


def rows_of(files: list[OwnFile], columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of some files."""
    return chain.from_iterable(batches(file, columns=columns) for file in files)


def percentile_ranks(number: int, percent: float) -> np.ndarray:
    """Return the ranks, from 0, of the two values between which a percentile of `number` values is."""
    low = int((number - 1) * (percent / 100))
    return np.array([low, min(low + 1, number - 1)])


def percentile(neighbours: tuple[float, float], number: int, percent: float) -> float:
    """Return the percentile by linear interpolation between its neighbours, as NumPy computes it.

    >>> values = [1.0, 2.0, 4.0, 8.0]
    >>> low, high = (values[rank] for rank in percentile_ranks(4, 30))
    >>> bool(percentile((low, high), 4, 30) == np.percentile(values, 30))
    True
    """
    (low, high), place = neighbours, (number - 1) * (percent / 100)
    share = place - int(place)
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


def write_best(candidates: DataFrame, name: str, taken: Mapping[str, int], path: Path) -> Tallies:
    """Write the best rows of RATED of each language, by score and then by entry; return their number and checksums.

    `taken` is how many of each language, `name` that of their number, `path` that of the files, with {language} in it.
    """
    in_order = candidates.repartition("language").sortWithinPartitions("language", F.desc("score"), "entry")
    return collected(map_batches(in_order, partial(_write, name=name, taken=taken, pattern=str(path)), TALLIES))


def _write(
    rows: Iterable[pa.RecordBatch], name: str, taken: Mapping[str, int], pattern: str
) -> Iterator[pa.RecordBatch]:
    tally = Tallies()
    for code, parts in groupby(by_language(rows), key=itemgetter(0)):
        path = Path(pattern.replace("{language}", code))
        with part_writer(path, CHOSEN, _ROWS) as writer:
            for _, own in parts:
                writer.write(own.select(CHOSEN.names).cast(CHOSEN).slice(0, taken[code] - writer.rows))
        tally.add(name, writer.rows, code)
        tally.add(*recorded(path.name, writer.checksum), code)
    yield tally.batch()
