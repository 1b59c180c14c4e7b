"""Sides and stages for tests of cogroup, in workers of their own: numbers summed by word, then words by their sum."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa

from runtime.buckets import Block, Packer
from runtime.cogroup import PLACE, SIDE, Rows, RowStream
from runtime.tallies import TaskResult

WORDS = pa.schema([SIDE, ("word", pa.string()), ("number", pa.int64()), ("page", pa.string())])
SUMS = pa.schema([("word", pa.string()), ("sum", pa.int64()), ("sides", pa.string())])
PLACED = pa.schema([*PLACE, ("sum", pa.int64())])


def keys_of_words(rows: pa.RecordBatch) -> np.ndarray:
    """Return keys of 8 bits, so that several words have the same key."""
    words = rows["word"].to_pylist()
    return np.array([(crc32(word.encode()) & 255) << 56 if word is not None else 0 for word in words], np.uint64)


def keys_of_sums(rows: pa.RecordBatch) -> np.ndarray:
    """Return the last bits of each sum as the first ones of its key."""
    return rows["sum"].to_numpy().astype(np.uint64) << np.uint64(58)


def read(_: int, file: list[tuple], tallies: TaskResult) -> Iterator[pa.RecordBatch]:
    """Yield words and numbers, without the columns side and page."""
    tallies.add("read", len(file))
    for begin in range(0, len(file), 3):
        words, numbers = zip(*file[begin : begin + 3], strict=True)
        yield pa.RecordBatch.from_arrays(
            [pa.array(numbers, pa.int64()), pa.array(words, pa.string())], ["number", "word"]
        )


def read_packed(number: int, file: list[tuple], tallies: TaskResult) -> Iterator[Block]:
    """Yield the same as blocks of a single bucket, with a page; they are from side 1."""
    packer = Packer(1)
    for batch in read(number, file, tallies):
        size = batch.num_rows
        columns = [pa.repeat(pa.scalar(1, pa.int8()), size), batch["word"], batch["number"], pa.array(["p"] * size)]
        yield from packer.add(pa.RecordBatch.from_arrays(columns, schema=WORDS), np.zeros(size, np.int64))
    yield from packer.finish()


def twice(rows: Rows) -> Rows:
    """Yield one batch instead of all, in which each number is doubled."""
    held = pa.Table.from_batches(rows, schema=pa.schema([("number", pa.int64()), ("word", pa.string())])).to_pylist()
    yield pa.RecordBatch.from_pylist(
        [row | {"number": 2 * (row["number"] or 0)} for row in held], WORDS.remove(0).remove(2)
    )


def sum_words(_: int, buckets: Iterator[Rows], tallies: TaskResult) -> Rows:
    """Yield the sum of each word's numbers, and the sides and pages that have it."""
    for bucket in buckets:
        sums: dict[str | None, list[dict]] = {}
        for row in pa.Table.from_batches(bucket, WORDS).to_pylist():
            sums.setdefault(row["word"], []).append(row)
        for word, rows in sums.items():
            tallies.add("words")
            sides = sorted({f"{row['side']}{row['page'] or ''}" for row in rows})
            found = {"word": word, "sum": sum(row["number"] or 0 for row in rows), "sides": " ".join(sides)}
            yield pa.RecordBatch.from_pylist([found], SUMS)


@dataclass(frozen=True)
class WriteSums:
    """Writes, as the last stage, a line for each row of a task to a file of `folder`, unless it gets none."""

    folder: Path

    def __call__(self, task: int, buckets: Iterator[Rows], tallies: TaskResult) -> None:
        """Write a line for each sum: the sum, its words, and their sides."""
        sums: dict[int, list[str]] = {}
        for bucket in buckets:
            for row in pa.Table.from_batches(bucket, SUMS).to_pylist():
                sums.setdefault(row["sum"], []).append(f"{row['word']}@{row['sides']}")
        lines = [f"{value}: {', '.join(sorted(words))}\n" for value, words in sums.items()]
        (self.folder / f"{task:05d}").write_text("".join(lines), "utf-8")


def place(_: int, buckets: Iterator[Rows], tallies: TaskResult) -> Rows:
    """Yield each number as a row about the file number % 5, and about the row number // 5 there."""
    for bucket in buckets:
        for batch in bucket:
            rows = [{"file": n % 5, "row": n // 5, "sum": n} for n in batch["number"].drop_null().to_pylist()]
            yield pa.RecordBatch.from_pylist(rows, PLACED)


@dataclass(frozen=True)
class WritePlaced:
    """Writes the rows about each file to a file of `folder`."""

    folder: Path

    def __call__(self, number: int, stream: RowStream) -> TaskResult:
        """Write the rows of a file in the order in which they come."""
        rows = [row for batch in stream.rest_of(number) for row in batch.to_pylist()]
        (self.folder / f"{number:05d}").write_text(str([(row["row"], row["sum"]) for row in rows]), "utf-8")
        return TaskResult([{"name": "placed", "item": None, "language": None, "value": len(rows)}])
