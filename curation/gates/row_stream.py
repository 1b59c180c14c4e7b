"""Rows about the images of files, as Spark brings them to a task: by file, and in the order of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class RowStream:
    """Rows with the columns `file` and `row` that come in batches, taken as the images of a file are read."""

    def __init__(self, batches: Iterable[pa.RecordBatch]):
        self._batches = iter(batches)
        self._held: pa.RecordBatch | None = None
        self._begin = 0

    def files(self) -> Iterator[int]:
        """Yield the number of each file of which rows come; all of one must be taken before the next is asked for."""
        while (held := self._peek()) is not None:
            yield held["file"][0].as_py()

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

    def rest_of(self, file: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows about a file that have not been taken."""
        while (held := self._peek()) is not None and held["file"][0].as_py() == file:
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
