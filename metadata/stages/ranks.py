"""Find the values at given ranks among the rows of each language, exactly, without sorting them.

Ever narrower ranges of integers are counted. The ranges of one pass are those of the numbers that begin with the same
bits, and only the ranges in which a rank lies are counted more finely in the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

FEW = 1 << 20  # rows, of all languages, that are counted by their values themselves

_BITS = 64
_FIRST, _NEXT = 16, 12  # bits by which ranges are narrowed; doubles of one size share most of the first


@dataclass(frozen=True)
class Ranked:
    """The number of rows of a language, and the values at the ranks that were asked for."""

    number: int
    values: list[int]


@dataclass
class _Sought:
    """A rank within the range that holds it: the numbers that begin with the bits `prefix`."""

    rank: int
    prefix: int = 0


def ranked(rows: DataFrame, ranks: Callable[[int], list[int]], few: int = FEW) -> dict[str, Ranked]:
    """Return the values at some ranks from 0 of the int64 column `value`, by the column `language`.

    `ranks` gives the ranks that are wanted among so many rows.
    """
    shift = _BITS - _FIRST
    found = _counted(rows, shift)
    numbers = {code: int(counts.sum()) for code, (_, counts) in found.items()}
    sought = {code: [_Sought(rank) for rank in ranks(number)] for code, number in numbers.items()}
    remaining = _narrow(sought, found, _BITS)
    while shift:
        finer = 0 if remaining <= few else max(0, shift - _NEXT)
        within = [(code, prefix) for code, own in sought.items() for prefix in {each.prefix for each in own}]
        found = _counted(_within(rows, within, shift), finer)
        remaining = _narrow(sought, found, shift - finer)
        shift = finer
    return {code: Ranked(numbers[code], [each.prefix for each in own]) for code, own in sought.items()}


def _counted(rows: DataFrame, shift: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the ranges of each language, in order, and the number of rows in each."""
    ranges = rows.groupBy("language", F.shiftright("value", shift).alias("range")).count()
    table = ranges.toArrow().sort_by([("language", "ascending"), ("range", "ascending")])
    codes = pc.unique(table["language"]).to_pylist()
    return {code: _columns(table.filter(pc.equal(table["language"], code))) for code in codes}


def _columns(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    return table["range"].to_numpy(), table["count"].to_numpy()


def _within(rows: DataFrame, prefixes: list[tuple[str, int]], shift: int) -> DataFrame:
    """Return the rows in these ranges."""
    wanted = rows.sparkSession.createDataFrame(prefixes, "language string, prefix long")
    begins = rows.withColumn("prefix", F.shiftright("value", shift))
    return begins.join(F.broadcast(wanted), ["language", "prefix"], "left_semi")


def _narrow(sought: dict[str, list[_Sought]], found: dict[str, tuple[np.ndarray, np.ndarray]], bits: int) -> int:
    """Replace each range by the one inside it that holds the rank; return how many rows these have.

    Ranges inside another differ from each other in the last `bits` of what they begin with.
    """
    remaining: dict[tuple[str, int], int] = {}
    for code, own in sought.items():
        ranges, counts = found[code]
        for each in own:
            begin, end = (0, len(ranges)) if bits == _BITS else _span(ranges, each.prefix, bits)
            ends = np.cumsum(counts[begin:end])
            position = int(np.searchsorted(ends, each.rank, side="right"))
            each.rank -= int(ends[position] - counts[begin + position])
            each.prefix = int(ranges[begin + position])
            remaining[code, each.prefix] = int(counts[begin + position])
    return sum(remaining.values())


def _span(ranges: np.ndarray, prefix: int, bits: int) -> tuple[int, int]:
    begin, end = np.searchsorted(ranges >> bits, [prefix, prefix + 1])
    return int(begin), int(end)
