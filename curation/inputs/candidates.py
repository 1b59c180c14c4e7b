"""Batches of candidates, made from the rows and the tallies of any format.

A tally counts what one file held and what was dropped from it: `files`, `records` (WARC records, or rows of a table),
`pages` (those with an image), `image_links`, `pairs` (rows that became candidates) and `dropped.REASON`. A dropped pair
counts once. FIRST_BAD is no count: it is the number of a line.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from curation.schemas import CANDIDATES
from runtime.arrow.batching import gather

ROWS = 8192  # rows of one batch: a few MB
BYTES = 32 << 20  # a batch ends when it has so many, even if it has few rows: a URL may have megabytes

FIRST_BAD = "first_bad_line"  # among the tallies of one file: the line of its first bad record, from 1

Row = tuple[str | int | None, ...]


def candidates(columns: dict[str, pa.Array]) -> pa.RecordBatch:
    """Return a batch with these columns; those that are not given are null."""
    rows = len(next(iter(columns.values())))
    arrays = [
        columns[name] if name in columns else pa.nulls(rows, CANDIDATES.field(name).type) for name in CANDIDATES.names
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=CANDIDATES)


def tallies(tally: Counter[str]) -> pa.RecordBatch:
    """Return a row for each number of `tally` that is not zero, by name."""
    counted = sorted((name, count) for name, count in tally.items() if count)
    names = pa.array([name for name, _ in counted], pa.string())
    return candidates({"text": names, "tally": pa.array([count for _, count in counted], pa.int64())})


def columns_of(
    rows: Iterable[Row], tally: Counter[str], types: Sequence[pa.DataType] | None = None
) -> Iterator[list[pa.Array]]:
    """Yield the columns of `rows`, for ROWS rows at a time; for fewer where these have BYTES, and for the last."""
    for gathered in gather(rows, _characters, BYTES, ROWS):
        yield arrays_of(gathered, tally, types)


def arrays_of(rows: list[Row], tally: Counter[str], types: Sequence[pa.DataType] | None = None) -> list[pa.Array]:
    """Return the columns of `rows`, strings without `types`; rows that UTF-8 cannot hold are left out and counted."""
    types = types or [pa.string()] * len(rows[0])
    try:
        return [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), types, strict=True)]
    except UnicodeEncodeError:  # lone surrogates: legal in JSON, not in UTF-8; also bytes that were no UTF-8
        kept = [row for row in rows if all(map(_is_unicode, row))]
        tally["dropped.bad_utf8"] += len(rows) - len(kept)
        return [pa.array([row[i] for row in kept], kind) for i, kind in enumerate(types)]


def _characters(row: Row) -> int:
    size = 0
    for value in row:
        if type(value) is str:
            size += len(value)
    return size


def _is_unicode(value: str | int | None) -> bool:
    try:
        if type(value) is str:
            value.encode()
    except UnicodeEncodeError:
        return False
    return True
