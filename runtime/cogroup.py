"""Bring together the rows of many files that have keys in one range: cogroup, the operator below all joins.

A *side* is a list of files whose rows take part. The rows of all sides are dealt to the tasks of the first *stage* by
key, so that all rows of a key are in one bucket of one task. The stage's function takes the buckets one after another;
the rows that it yields are dealt to the next stage by another key. The function of the last stage writes files or
tallies numbers. Results that belong to files are dealt to the tasks that rewrite these files (`Places`), by the numbers
of a file and of a row in it; a RowStream reads the results of a file, sorted by row, in step with the rows of the file.

Neither rows nor files make memory grow. A task holds 128 MB of rows that wait to be packed, and the rows of one bucket:
some 250 MB, unless a single key has more. Its packed rows are in a temporary file. The driver holds the list of files
and the sum of results. Both engines give the same rows to a task, in any order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from sys import maxsize
from typing import Any

import numpy as np
import pyarrow as pa

from runtime.buckets import MIN_BLOCK_ROWS, MOST_BUCKETS, Block, Keys, Packer, by_bucket, items_by_task, rows_of_block
from runtime.engine import Engine, Stage
from runtime.tallies import TaskResult

SIDE = pa.field("side", pa.int8())  # the index, in the list of sides, of the side from which a row comes
PLACE = (pa.field("file", pa.int32()), pa.field("row", pa.int64()))  # the index of a file, and of a row in this file
_STREAM_BATCH_ROWS = 1 << 16

Rows = Iterator[pa.RecordBatch]
Read = Callable[..., Iterator[pa.RecordBatch] | Iterator[Block]]
Function = Callable[..., Iterable[pa.RecordBatch] | None]
Write = Callable[..., TaskResult]  # Such a function takes the index of a file, a RowStream and further arguments.


@dataclass(frozen=True)
class Side:
    """Files whose rows take part: `read(number, file, result, *more)` yields rows of a file, or blocks of such rows.

    The rows have columns of the first stage's schema, in any order. A column that a side lacks is null; the column SIDE
    of the schema, if there is one, becomes the side's number. `rows` is the estimated number of rows in all files: the
    fewer there are, the more files a task reads. If `rows` is None, each file has its own task. `combine`, if given,
    takes all rows that a task reads, and yields fewer.
    """

    files: Sequence[Any]
    read: Read
    rows: float | None = None
    combine: Callable[[Rows], Rows] | None = None
    more: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Grouping:
    """Tasks to which rows of `schema` are dealt by key, in `buckets` ranges of keys; a task takes neighbouring ranges.

    `keys(rows)` returns uint64 keys. `function(task, buckets, result, *more)` takes the rows of each bucket, as an
    iterator over batches, and yields rows for the next stage, if there is one. Small buckets are joined and large
    buckets are split, but all rows of a key are in one iterator. `buckets` is a multiple of `tasks`.
    """

    schema: pa.Schema
    keys: Keys
    function: Function
    buckets: int
    tasks: int
    more: tuple[Any, ...] = ()

    def packed(self, rows: Iterable[pa.RecordBatch] | Iterable[Block]) -> Iterator[Block]:
        """Yield rows as blocks of one bucket each; blocks that were packed for fewer buckets than tasks are repacked.

        Rows are dealt to at most about MOST_BUCKETS buckets; the tasks that receive the blocks split these further.
        """
        packer = Packer(min(self.buckets, self.tasks * max(1, MOST_BUCKETS // self.tasks)))
        for batch in rows:
            if isinstance(batch, Block):
                if batch.buckets >= self.tasks:
                    yield batch
                    continue
                batch = rows_of_block(batch.read(), self.schema)
            yield from packer.deal(batch, self.keys(batch))
        yield from packer.finish()

    def run(self, task: int, blocks: Iterable[Block], result: TaskResult) -> Rows:
        """Call `function` with the buckets of rows in a task's `blocks`; yield the rows that it yields."""
        buckets = by_bucket(blocks, self.buckets, self.schema, self.keys)
        yield from self.function(task, buckets, result, *self.more) or ()


def cogroup(engine: Engine, sides: Sequence[Side], *stages: Grouping) -> TaskResult:
    """Send the rows of all `sides` through the stages, in order; return the sum of the results of all tasks."""
    first = stages[0]
    items: list[list[tuple[int, int, Any]]] = []
    for number_of_side, side in enumerate(sides):
        for share in _shares(side, first.buckets):
            items.append([(number_of_side, number, side.files[number]) for number in share])
    without_files = tuple(replace(side, files=()) for side in sides)
    send = partial(_send, sides=without_files, stage=first)
    running = []
    for stage, after in zip(stages, [*stages[1:], None], strict=True):
        running.append(Stage(partial(_run_stage, stage=stage, after=after), stage.tasks))
    return engine.exchange(items, send, running)


def _shares(side: Side, buckets: int) -> list[list[int]]:
    """Return the numbers of a side's files, in one list for each task that reads them."""
    numbers = range(len(side.files))
    if side.rows is None:
        return [[number] for number in numbers]
    return items_by_task(numbers, side.rows, buckets)


def _send(
    _: int, files: list[tuple[int, int, Any]], result: TaskResult, *, sides: Sequence[Side], stage: Grouping
) -> Iterator[Block]:
    """Read files of one side, and yield their rows in blocks for a stage."""
    number_of_side = files[0][0]
    side = sides[number_of_side]
    rows: Any = chain.from_iterable(side.read(number, file, result, *side.more) for _, number, file in files)
    if side.combine:
        rows = side.combine(rows)
    return stage.packed(_completed(batch, stage.schema, number_of_side) for batch in rows)


def _run_stage(
    task: int, blocks: Iterable[Block], result: TaskResult, *, stage: Grouping, after: Grouping | None
) -> Iterator[Block]:
    """Run a task of a stage, and yield its rows in blocks for the stage `after` it; the last stage yields no rows."""
    rows = stage.run(task, blocks, result)
    if after:
        yield from after.packed(rows)
    else:
        deque(rows, maxlen=0)


def _completed(rows: pa.RecordBatch | Block, schema: pa.Schema, side: int) -> pa.RecordBatch | Block:
    """Return rows of a side with all columns of `schema`: missing columns are null, except SIDE, the side's number."""
    if isinstance(rows, Block) or rows.schema.names == schema.names:
        return rows
    columns = {}
    if SIDE.name in schema.names:
        columns[SIDE.name] = pa.repeat(pa.scalar(side, SIDE.type), rows.num_rows)
    columns |= zip(rows.schema.names, rows.columns, strict=True)
    missing = (field for field in schema if field.name not in columns)
    columns |= {field.name: pa.nulls(rows.num_rows, field.type) for field in missing}
    return pa.RecordBatch.from_pydict(columns, schema=schema)


def place_columns(file: int, begin: int, end: int) -> list[pa.Array]:
    """Return the columns of PLACE for the rows `begin` to `end` - 1 of a file."""
    return [pa.array(np.full(end - begin, file, np.int32)), pa.array(np.arange(begin, end))]


class RowStream:
    """Reads rows, which are sorted by their columns `file` and `row`, in step with the rows of a file."""

    def __init__(self, batches: Iterable[pa.RecordBatch]):
        self._batches = iter(batches)
        self._held: pa.RecordBatch | None = None
        self._begin = 0

    def files(self) -> Iterator[int]:
        """Yield the index of each file that has rows; take all rows about a file before asking for the next file."""
        while (held := self._peek()) is not None:
            yield held["file"][0].as_py()

    def has(self, file: int) -> bool:
        """Say whether the next rows are about a file."""
        return next(self.files(), None) == file

    def take(self, file: int, begin: int, end: int) -> pa.RecordBatch | None:
        """Return the rows about the rows `begin` to `end` - 1 of a file, or None if there are none.

        All rows about earlier rows of the file must have been taken.
        """
        taken = [*self.rest_of(file, end)]
        return pa.concat_batches(taken) if taken else None

    def beside(
        self, file: int, batches: Iterable[pa.RecordBatch], fields: Sequence[pa.Field]
    ) -> Iterator[tuple[pa.RecordBatch, list[pa.Array]]]:
        """Yield each batch of a file's rows with the columns `fields` of the stream's rows about it, else null."""
        end = 0
        for batch in batches:
            begin, end = end, end + batch.num_rows
            rows = self.take(file, begin, end)
            yield batch, [filled(rows, begin, end, field) for field in fields]

    def rest_of(self, file: int, end: int = maxsize) -> Iterator[pa.RecordBatch]:
        """Yield the rows about a file, up to its row `end` - 1, that have not been taken."""
        while (held := self._peek()) is not None:
            is_taken = (held["file"].to_numpy() == file) & (held["row"].to_numpy() < end)
            rows = int(np.argmin(np.append(is_taken, False)))
            self._begin += rows
            if rows:
                yield held.slice(0, rows)
            if rows < held.num_rows:
                return

    def _peek(self) -> pa.RecordBatch | None:
        """Return the rest of the current batch, at least one row, without taking its rows; None at the end."""
        while self._held is None or self._begin == self._held.num_rows:
            self._held = next(self._batches, None)
            self._begin = 0
            if self._held is None:
                return None
        return self._held.slice(self._begin)


def filled(rows: pa.RecordBatch | None, begin: int, end: int, field: pa.Field) -> pa.Array:
    """Return a column of `rows` with a value for each row `begin` to `end` - 1 of a file; null where there is none."""
    if rows is None:
        return pa.nulls(end - begin, field.type)
    indices = np.full(end - begin, -1)
    indices[rows["row"].to_numpy() - begin] = np.arange(rows.num_rows)
    return rows[field.name].take(pa.array(indices, mask=indices < 0))


@dataclass(frozen=True)
class Places:
    """The layout of files and tasks: rows with the columns of PLACE are dealt to the task that writes their file."""

    files: int
    file_bits: int  # the bits that the largest index of a file needs
    tasks: int  # a power of two; if there are fewer tasks than files, a task takes several files in turn
    row_bits: int  # the bits that the largest row number in a file needs
    rows: int  # the number of rows in all files

    @classmethod
    def of(cls, sizes: Sequence[int], most_tasks: int = MOST_BUCKETS) -> Places:
        """Return the layout for files with `sizes` rows, in at most about `most_tasks` tasks."""
        file_bits = max(1, (len(sizes) - 1).bit_length())
        task_bits = max(1, (most_tasks - 1).bit_length())
        row_bits = max(1, max(sizes, default=0).bit_length())
        return cls(len(sizes), file_bits, 1 << min(file_bits, task_bits), row_bits, sum(sizes))

    def tasks_before(self, tasks: int) -> int:
        """Return the number of tasks for the stage before: `tasks`, or fewer if their blocks would be tiny."""
        return min(tasks, 1 << (self.rows // (MIN_BLOCK_ROWS * self.tasks)).bit_length())

    def files_of(self, task: int) -> range:
        """Return the indices of the files that a task writes."""
        size = (1 << self.file_bits) // self.tasks
        return range(min(self.files, task * size), min(self.files, (task + 1) * size))

    def keys(self, rows: pa.RecordBatch) -> np.ndarray:
        """Return a sort key, uint64, of each row, made of its PLACE: the file in the highest bits, then the row."""
        free = 64 - self.file_bits
        file = rows["file"].to_numpy().astype(np.uint64)
        row = rows["row"].to_numpy().astype(np.uint64)
        return file << np.uint64(free) | row << np.uint64(free - self.row_bits)

    def grouping(self, schema: pa.Schema, function: Function, *more: Any) -> Grouping:
        """Return the grouping of rows, of a schema that has PLACE, by the tasks of their files."""
        return Grouping(schema, self.keys, function, self.tasks, self.tasks, more)

    def stage(self, schema: pa.Schema, write: Write, *more: Any) -> Grouping:
        """Return the grouping whose tasks call `write(index, stream, *more)` for the index of each file."""
        return self.grouping(schema, _write_files, self, write, more)


def _write_files(
    task: int, buckets: Iterator[Rows], result: TaskResult, places: Places, write: Write, more: tuple[Any, ...]
) -> None:
    stream = rows_by_place(buckets)
    for number in places.files_of(task):
        result.merge(write(number, stream, *more))


def rows_by_place(buckets: Iterable[Rows]) -> RowStream:
    """Return a RowStream of the rows of a task, sorted by file and row."""
    return RowStream(chain.from_iterable(map(_sorted, buckets)))


def _sorted(bucket: Rows) -> Rows:
    rows = pa.concat_batches([*bucket])
    rows = rows.take(pa.array(np.lexsort((rows["row"].to_numpy(), rows["file"].to_numpy()))))
    return (rows.slice(begin, _STREAM_BATCH_ROWS) for begin in range(0, rows.num_rows, _STREAM_BATCH_ROWS))
