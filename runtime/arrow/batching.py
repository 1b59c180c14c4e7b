"""Gather items, or the rows of Arrow batches, into larger groups of a given size."""

from collections.abc import Callable, Iterable, Iterator
from sys import maxsize
from typing import TypeVar

import pyarrow as pa

Item = TypeVar("Item")


def gather(
    items: Iterable[Item], size_of: Callable[[Item], int], size: float, number: int = maxsize
) -> Iterator[list[Item]]:
    """Yield the items in lists, each of which ends as soon as it has `size` or `number` items; the last has the rest.

    >>> list(gather(["a", "bcd", "", "e", "f", "g"], len, size=3, number=3))
    [['a', 'bcd'], ['', 'e', 'f'], ['g']]
    """
    held, total = [], 0
    for item in items:
        held.append(item)
        total += size_of(item)
        if total >= size or len(held) == number:
            yield held
            held, total = [], 0
    if held:
        yield held


def gather_rows(
    batches: Iterable[pa.RecordBatch], rows: int, size: int, exact: bool = False
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `batches` in larger ones, each of which ends as soon as it has `rows` or `size` bytes.

    The last has the rest. Batches stay whole, unless `exact`: then none has more than `rows`.

    >>> batches = [pa.RecordBatch.from_pydict({"n": list(range(rows))}) for rows in (2, 3, 0, 1, 7)]
    >>> [batch.num_rows for batch in gather_rows(batches, rows=4, size=1000)]
    [5, 8]
    >>> [batch.num_rows for batch in gather_rows(batches, rows=4, size=1000, exact=True)]
    [4, 4, 4, 1]
    """
    held: list[pa.RecordBatch] = []
    count = total = 0
    for batch in batches:
        while exact and count + batch.num_rows > rows:
            yield _joined([*held, batch.slice(0, rows - count)])
            batch = batch.slice(rows - count)
            held, count, total = [], 0, 0
        if not batch.num_rows:
            continue
        held.append(batch)
        count += batch.num_rows
        total += batch.nbytes
        if count >= rows or total >= size:
            yield _joined(held)
            held, count, total = [], 0, 0
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def gather_reduced(
    batches: Iterable[pa.RecordBatch], reduce: Callable[[list[pa.RecordBatch]], pa.RecordBatch], size: int
) -> list[pa.RecordBatch]:
    """Return batches from which `reduce` makes the same as of all `batches`: those so far become one as they grow.

    They do whenever their bytes have doubled, from `size` on. So no more is held than that, or twice the result.

    >>> batches = [pa.RecordBatch.from_pydict({"n": [number]}) for number in range(9)]
    >>> last = lambda held: held[-1]
    >>> [batch["n"][0].as_py() for batch in gather_reduced(batches, last, size=20)]
    [8]
    """
    held: list[pa.RecordBatch] = []
    total, limit = 0, size
    for batch in batches:
        held.append(batch)
        total += batch.nbytes
        if total > limit:
            held = [reduce(held)]
            total = held[0].nbytes
            limit = max(limit, 2 * total)
    return held
