"""Read rows about images along with the files of these images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

PLACE = (pa.field("file", pa.int32()), pa.field("row", pa.int64()))  # of an image: a file's number, a row's in it


class RowStream:
    """Rows with the columns `file` and `row`, in this order, read along with the images of a file."""

    def __init__(self, batches: Iterable[pa.RecordBatch]):
        self._batches = iter(batches)
        self._held: pa.RecordBatch | None = None
        self._begin = 0

    def files(self) -> Iterator[int]:
        """Yield the number of each file that has rows; take all rows of one file before asking for the next."""
        while (held := self._peek()) is not None:
            yield held["file"][0].as_py()

    def has(self, file: int) -> bool:
        """Return whether rows about a file come next."""
        held = self._peek()
        return held is not None and held["file"][0].as_py() == file

    def take(self, file: int, begin: int, end: int) -> pa.RecordBatch | None:
        """Return the rows about the images from `begin` to `end` of a file; None where there are none.

        All rows about earlier images must have been taken.
        """
        taken: list[pa.RecordBatch] = []
        while (held := self._peek()) is not None:
            is_own = pc.and_(pc.equal(held["file"], file), pc.less(held["row"], end))
            rows = int(np.argmin(np.append(is_own.to_numpy(zero_copy_only=False), False)))
            if rows:
                taken.append(held.slice(0, rows))
                self._begin += rows
            if rows < held.num_rows:
                break
        return pa.concat_batches(taken) if taken else None

    def columns(self, file: int, begin: int, end: int, fields: Sequence[pa.Field]) -> list[pa.Array]:
        """Return columns of the images from `begin` to `end` of a file, null for an image without a row.

        All rows about earlier images must have been taken.
        """
        found = self.take(file, begin, end)
        return [filled(found, begin, end, field) for field in fields]

    def rest_of(self, file: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows about a file that have not been taken."""
        while self.has(file) and (held := self._peek()) is not None:
            rows = int(np.argmin(np.append(held["file"].to_numpy() == file, False)))
            self._begin += rows
            yield held.slice(0, rows)

    def _peek(self) -> pa.RecordBatch | None:
        """Return the rows that come next, at least one; None at the end."""
        while self._held is None or self._begin == self._held.num_rows:
            self._held, self._begin = next(self._batches, None), 0
            if self._held is None:
                return None
        return self._held.slice(self._begin)


def filled(rows: pa.RecordBatch | None, begin: int, end: int, field: pa.Field) -> pa.Array:
    """Return a column of the images from `begin` to `end` of a file, given rows about some; null for the others."""
    if rows is None:
        return pa.nulls(end - begin, field.type)
    at = np.full(end - begin, -1)
    at[rows["row"].to_numpy() - begin] = np.arange(rows.num_rows)
    return rows[field.name].take(pa.array(at, mask=at < 0))
