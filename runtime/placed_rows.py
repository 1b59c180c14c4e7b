"""Deal rows to the tasks that rewrite the files of one side: a row has the number of a file, and of a row in it.

This is the last stage of a cogroup whose results belong to files. A RowStream reads the results of a file, sorted by
row, in step with the rows of the file itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from sys import maxsize
from typing import Any

import numpy as np
import pyarrow as pa

from runtime.buckets import FEWEST_ROWS
from runtime.cogroup import Function, Grouping, Rows
from runtime.partitioning import MOST_BUCKETS
from runtime.tallies import TaskResult

PLACE = (pa.field("file", pa.int32()), pa.field("row", pa.int64()))  # the number of a file, and of a row in it
_TAKEN = 1 << 16  # rows in a batch of a RowStream


class RowStream:
    """Reads rows, which are sorted by their columns `file` and `row`, in step with the rows of a file."""

    def __init__(self, batches: Iterable[pa.RecordBatch]):
        self._batches = iter(batches)
        self._held: pa.RecordBatch | None = None
        self._begin = 0

    def files(self) -> Iterator[int]:
        """Yield the number of each file that has rows; take all rows about it before asking for the next."""
        while (held := self._peek()) is not None:
            yield held["file"][0].as_py()

    def has(self, file: int) -> bool:
        """Say whether the next rows are about a file."""
        return next(self.files(), None) == file

    def take(self, file: int, begin: int, end: int) -> pa.RecordBatch | None:
        """Return the rows about the rows `begin` to `end` - 1 of a file, or None if there are none.

        All rows about earlier ones must have been taken.
        """
        taken = [*self.rest_of(file, end)]
        return pa.concat_batches(taken) if taken else None

    def beside(
        self, file: int, batches: Iterable[pa.RecordBatch], fields: Sequence[pa.Field]
    ) -> Iterator[tuple[pa.RecordBatch, list[pa.Array]]]:
        """Yield the batches of all rows of a file, each with `fields` as columns; null where there is no row."""
        end = 0
        for batch in batches:
            begin, end = end, end + batch.num_rows
            rows = self.take(file, begin, end)
            yield batch, [filled(rows, begin, end, field) for field in fields]

    def rest_of(self, file: int, end: int = maxsize) -> Iterator[pa.RecordBatch]:
        """Yield the rows about a file, up to its row `end` - 1, that have not been taken."""
        while (held := self._peek()) is not None:
            is_own = (held["file"].to_numpy() == file) & (held["row"].to_numpy() < end)
            rows = int(np.argmin(np.append(is_own, False)))
            self._begin += rows
            if rows:
                yield held.slice(0, rows)
            if rows < held.num_rows:
                return

    def _peek(self) -> pa.RecordBatch | None:
        """Return the rest of the current batch, at least one row, without taking its rows; None at the end."""
        while self._held is None or self._begin == self._held.num_rows:
            self._held, self._begin = next(self._batches, None), 0
            if self._held is None:
                return None
        return self._held.slice(self._begin)


def filled(rows: pa.RecordBatch | None, begin: int, end: int, field: pa.Field) -> pa.Array:
    """Return a column of `rows` with a value for each row `begin` to `end` - 1 of a file; null where there is none."""
    if rows is None:
        return pa.nulls(end - begin, field.type)
    at = np.full(end - begin, -1)
    at[rows["row"].to_numpy() - begin] = np.arange(rows.num_rows)
    return rows[field.name].take(pa.array(at, mask=at < 0))


Write = Callable[..., TaskResult]  # of the number of a file, a RowStream, and more


@dataclass(frozen=True)
class Places:
    """How rows with a PLACE are dealt to the tasks of files."""

    files: int
    file_bits: int  # of the number of a file
    tasks: int  # a power of two; if there are fewer tasks than files, a task takes several files in turn
    row_bits: int  # of the largest row number in a file
    rows: int  # rows in all files

    @classmethod
    def of(cls, sizes: Sequence[int], most_tasks: int = MOST_BUCKETS) -> Places:
        """Return the layout for files with these numbers of rows, in at most about `most_tasks` tasks."""
        file_bits, task_bits = (max(1, (number - 1).bit_length()) for number in (len(sizes), most_tasks))
        row_bits = max(1, max(sizes, default=0).bit_length())
        return cls(len(sizes), file_bits, 1 << min(file_bits, task_bits), row_bits, sum(sizes))

    def tasks_before(self, tasks: int) -> int:
        """Return the number of tasks of the stage before: `tasks`, or fewer if their blocks would be tiny."""
        return min(tasks, 1 << (self.rows // (FEWEST_ROWS * self.tasks)).bit_length())

    def files_of(self, task: int) -> range:
        """Return the numbers of the files that a task writes."""
        size = (1 << self.file_bits) // self.tasks
        return range(min(self.files, task * size), min(self.files, (task + 1) * size))

    def keys(self, rows: pa.RecordBatch) -> np.ndarray:
        """Return a sort key, uint64, of each row, made of its PLACE: the file in the highest bits, then the row."""
        free = 64 - self.file_bits
        file, row = rows["file"].to_numpy().astype(np.uint64), rows["row"].to_numpy().astype(np.uint64)
        return file << np.uint64(free) | row << np.uint64(free - self.row_bits)

    def grouping(self, schema: pa.Schema, function: Function, *more: Any) -> Grouping:
        """Return the grouping of rows, of a schema that has PLACE, by the tasks of their files."""
        return Grouping(schema, self.keys, function, self.tasks, self.tasks, more)

    def stage(self, schema: pa.Schema, write: Write, *more: Any) -> Grouping:
        """Return the grouping whose tasks call `write(number, stream, *more)` for each file."""
        return self.grouping(schema, _write_files, self, write, more)


def _write_files(
    task: int, buckets: Iterator[Rows], result: TaskResult, places: Places, write: Write, more: tuple[Any, ...]
) -> None:
    stream = in_order(buckets)
    for number in places.files_of(task):
        result.merge(write(number, stream, *more))


def in_order(buckets: Iterable[Rows]) -> RowStream:
    """Return a RowStream of the rows of a task, sorted by file and row."""
    return RowStream(chain.from_iterable(map(_sorted, buckets)))


def _sorted(bucket: Rows) -> Rows:
    rows = pa.concat_batches([*bucket])
    rows = rows.take(pa.array(np.lexsort((rows["row"].to_numpy(), rows["file"].to_numpy()))))
    return (rows.slice(begin, _TAKEN) for begin in range(0, rows.num_rows, _TAKEN))
