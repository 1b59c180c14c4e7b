"""Blocks of rows with two columns, and what a file of blocks holds."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from runtime.buckets import Block, Packer, read_blocks, rows_of_block, write_blocks

SMALL = pa.schema([pa.field("a", pa.int32()), pa.field("b", pa.string())])
BUCKETS = 4
ROWS = [
    (0, (1, "é")),
    (0, (2, None)),
    (2, (None, "犬")),
    (3, (4, "dd")),
    (2, (5, "")),
    (3, (6, "x" * 40)),
]  # each with its bucket, in two batches that are sorted by it; one bucket has none


def small(*rows: tuple) -> pa.RecordBatch:
    """Return rows of SMALL."""
    return pa.RecordBatch.from_pylist([{"a": a, "b": b} for a, b in rows], SMALL)


def small_blocks() -> list[Block]:
    """Return the blocks of ROWS, which lie in the order of the buckets of each batch."""
    packer, blocks = Packer(BUCKETS), []
    for batch in (ROWS[:4], ROWS[4:]):
        blocks += packer.add(small(*(row for _, row in batch)), np.array([bucket for bucket, _ in batch]))
    return [*blocks, *packer.finish()]


def small_file(folder: Path, name: str = "task.arrows.zst") -> Path:
    """Write a file of these blocks."""
    write_blocks(folder / name, SMALL, small_blocks())
    return folder / name


def rows_of(data: bytes | pa.Buffer, schema: pa.Schema = SMALL) -> list[tuple]:
    """Return the rows of a block."""
    rows = rows_of_block(data, schema)
    rows.validate(full=True)
    return [tuple(row.values()) for row in rows.to_pylist()]


def bytes_of(blocks: Iterable[Block]) -> list[bytes]:
    """Return the bytes of each block."""
    return [block.read() for block in blocks]


def by_bucket(blocks: Iterable[Block], schema: pa.Schema = SMALL) -> list[tuple[int, tuple]]:
    """Return all rows with their bucket, in the order of the buckets and in each as they came."""
    rows = [(block.bucket, row) for block in blocks for row in rows_of(block.read(), schema)]
    return sorted(rows, key=lambda row: row[0])


def read(path: Path, schema: pa.Schema = SMALL) -> list[tuple[int, tuple]]:
    """Return what `by_bucket` returns of the blocks in a file."""
    return by_bucket(read_blocks(path, schema), schema)
