"""Bring together the rows of many files that have keys in one range: cogroup, the operator below all joins.

A *side* is a list of files whose rows take part. The rows of all sides are dealt to the tasks of the first *stage* by
key, so that all rows of a key are in one bucket of one task. The stage's function takes the buckets one after another;
the rows that it yields are dealt to the next stage by another key. The function of the last stage writes files or
tallies numbers.

Neither rows nor files make memory grow. A task holds 128 MB of rows that wait to be packed, and the rows of one bucket:
some 250 MB, unless a single key has more. Its packed rows are in a temporary file. The driver holds the list of files
and the sum of results. Both engines give the same rows to a task, in any order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import pyarrow as pa

from runtime.buckets import Block, Keys, Packer, by_bucket, unpack
from runtime.engine import Engine, Stage
from runtime.partitioning import MOST_BUCKETS, items_by_task
from runtime.tallies import TaskResult

SIDE = pa.field("side", pa.int8())  # the number of the side that a row is from

Rows = Iterator[pa.RecordBatch]
Read = Callable[..., Iterator[pa.RecordBatch] | Iterator[Block]]
Function = Callable[..., Iterable[pa.RecordBatch] | None]


@dataclass(frozen=True)
class Side:
    """Files whose rows take part: `read(number, file, result, *more)` yields rows of a file, or blocks of such rows.

    The rows have columns of the first stage's schema, in any order; a column that a side lacks is null, and SIDE, if
    the schema has it, is the side's number. `rows` is the estimated number of rows in all files: the fewer there are,
    the more files a task reads. If it is None, each file has a task of its own. `combine`, if given, takes all rows
    that a task reads, and yields fewer.
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
    iterator over batches, and yields rows for the next stage, if there is one. Small buckets come together, and large
    ones in parts, but all rows of a key come at once. `tasks` divides `buckets`.
    """

    schema: pa.Schema
    keys: Keys
    function: Function
    buckets: int
    tasks: int
    more: tuple[Any, ...] = ()

    def packed(self, rows: Iterable[pa.RecordBatch] | Iterable[Block]) -> Iterator[Block]:
        """Yield rows as blocks of one bucket each; blocks that were packed for fewer buckets than tasks are repacked.

        At most MOST_BUCKETS are told apart: the tasks that receive the blocks split these further.
        """
        packer = Packer(min(self.buckets, self.tasks * max(1, MOST_BUCKETS // self.tasks)))
        for batch in rows:
            if isinstance(batch, Block):
                if batch.buckets >= self.tasks:
                    yield batch
                    continue
                batch = unpack(batch.data, self.schema)
            yield from packer.deal(batch, self.keys(batch))
        yield from packer.finish()

    def run(self, task: int, blocks: Iterable[bytes], result: TaskResult) -> Rows:
        """Yield the rows that the function yields for a task, given the task's blocks."""
        buckets = by_bucket(blocks, self.buckets, self.schema, self.keys)
        yield from self.function(task, buckets, result, *self.more) or ()


def cogroup(engine: Engine, sides: Sequence[Side], *stages: Grouping) -> TaskResult:
    """Take the rows of all sides through the stages; return the sum of the results of all tasks."""
    first = stages[0]
    items = [
        [(side, number, of_side.files[number]) for number in numbers]
        for side, of_side in enumerate(sides)
        for numbers in _shares(of_side, first.buckets)
    ]
    send = _Send(tuple(replace(side, files=()) for side in sides), first)
    after_each = [*stages[1:], None]
    running = [Stage(_RunStage(stage, after), stage.tasks) for stage, after in zip(stages, after_each, strict=True)]
    return engine.exchange(items, send, running)


def _shares(side: Side, buckets: int) -> list[list[int]]:
    numbers = range(len(side.files))
    return [[number] for number in numbers] if side.rows is None else items_by_task(numbers, side.rows, buckets)


@dataclass(frozen=True)
class _Send:
    """Reads files of one side, and yields their rows in blocks for a stage."""

    sides: Sequence[Side]
    stage: Grouping

    def __call__(self, _: int, files: list[tuple[int, int, Any]], result: TaskResult) -> Iterator[Block]:
        number_of_side = files[0][0]
        side = self.sides[number_of_side]
        rows: Any = chain.from_iterable(side.read(number, file, result, *side.more) for _, number, file in files)
        rows = side.combine(rows) if side.combine else rows
        return self.stage.packed(_completed(batch, self.stage.schema, number_of_side) for batch in rows)


@dataclass(frozen=True)
class _RunStage:
    """Runs a task of a stage, and yields its rows in blocks for the stage `after` it; rows of the last go nowhere."""

    stage: Grouping
    after: Grouping | None

    def __call__(self, task: int, blocks: Iterable[bytes], result: TaskResult) -> Iterator[Block]:
        rows = self.stage.run(task, blocks, result)
        if self.after:
            yield from self.after.packed(rows)
        else:
            deque(rows, maxlen=0)


def _completed(rows: pa.RecordBatch | Block, schema: pa.Schema, side: int) -> pa.RecordBatch | Block:
    """Return rows of a side with all columns of `schema`: SIDE is the side's number, others are null."""
    if isinstance(rows, Block) or rows.schema.names == schema.names:
        return rows
    columns = {SIDE.name: pa.repeat(pa.scalar(side, SIDE.type), rows.num_rows)} if SIDE.name in schema.names else {}
    columns |= zip(rows.schema.names, rows.columns, strict=True)
    missing = (field for field in schema if field.name not in columns)
    columns |= {field.name: pa.nulls(rows.num_rows, field.type) for field in missing}
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
