"""Bring rows together by bucket, a range of keys: pack them, keep blocks on a disk, and take them bucket by bucket."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from runtime.caches import cache_folder
from runtime.packed_rows import Block, packed, unpack
from runtime.storage.paths import room

MOST_ROWS = 8192  # of a block: what is packed and unpacked stays in the cache
FEWEST_ROWS = 1 << 10  # of a block on average, which costs as much as some hundred rows: fewer wait for more
WAITING_BYTES = 128 << 20  # of rows; while they are sorted, twice as much
HELD_BYTES = 64 << 20  # of blocks that a store holds in memory
BUCKET_BYTES = 256 << 20  # of rows that come together in memory
FEWEST_BYTES = 1 << 20  # of them, where there are more: to take a bucket costs as much as some thousand rows

Keys = Callable[[pa.RecordBatch], np.ndarray]  # uint64 of each row


def buckets_for(size: float, bucket_size: int) -> int:
    """Return the smallest power of two of buckets that makes them about `bucket_size` large, or smaller.

    >>> buckets_for(1_000_000, 1 << 18)
    4
    """
    return 1 << max(0, int(-(-size // bucket_size)) - 1).bit_length()


def bucket_of(keys: np.ndarray, buckets: int) -> np.ndarray:
    """Return the bucket of each key: its leading bits; `buckets` is a power of two."""
    return ((keys >> np.uint64(1)) >> np.uint64(64 - buckets.bit_length())).astype(np.int64)


def in_buckets(blocks: Iterable[Block], buckets: int, schema: pa.Schema, keys: Keys) -> Iterator[Block]:
    """Yield blocks in at least this number of buckets; blocks of fewer buckets are packed again."""
    packer = Packer(buckets)
    for block in blocks:
        if block.buckets >= buckets:
            yield block
        else:
            rows = unpack(block.data, schema)
            yield from packer.deal(rows, keys(rows))
    yield from packer.finish()


def by_bucket(
    blocks: Iterable[bytes], number: int, schema: pa.Schema, keys: Keys, is_dealt_out: bool = False
) -> Iterator[Iterator[pa.RecordBatch]]:
    """Yield the rows of each of this number of buckets, or of small ones together, in their order; all wait on a disk.

    A bucket of more than BUCKET_BYTES is dealt out into smaller ones, once: what is too large then has a single key.
    """
    with Store() as store:
        for block in in_buckets(map(Block.of, blocks), number, schema, keys):
            store.add(block.scaled(number), block.data, block.unpacked)
        for buckets, size in _together(store.unpacked):
            taken = (data for bucket in buckets for data in store.take(bucket))
            if size > BUCKET_BYTES and not is_dealt_out:
                parts = 1 << (2 * size // BUCKET_BYTES).bit_length()
                yield from by_bucket(taken, number * parts, schema, keys, is_dealt_out=True)
            else:
                yield (unpack(data, schema) for data in taken)


def _together(sizes: dict[int, int]) -> Iterator[tuple[list[int], int]]:
    """Yield buckets in their order, several where they hold few bytes, and the bytes that they hold."""
    held: list[int] = []
    total = 0
    for bucket, size in sizes.items():
        if held and total + size > FEWEST_BYTES:
            yield held, total
            held, total = [], 0
        held.append(bucket)
        total += size
    if held:
        yield held, total


class Packer:
    """Packs rows by bucket: they wait until they are enough for a block of each bucket, or take much memory."""

    def __init__(self, buckets: int):
        self._buckets = buckets
        self._waiting: list[tuple[pa.RecordBatch, np.ndarray]] = []
        self._rows = self._bytes = 0

    def add(self, rows: pa.RecordBatch, buckets: np.ndarray) -> Iterator[Block]:
        """Add rows in any order, and yield blocks once enough rows wait; `buckets` has the bucket of each row."""
        if rows.num_rows:
            short = buckets.astype(np.min_scalar_type(self._buckets))  # such numbers are soon sorted
            self._waiting.append((rows, short))
        self._rows += rows.num_rows
        self._bytes += rows.nbytes
        if self._rows >= FEWEST_ROWS * self._buckets or self._bytes > WAITING_BYTES:
            yield from self.finish()

    def deal(self, rows: pa.RecordBatch, keys: np.ndarray) -> Iterator[Block]:
        """Add rows in any order, each to the bucket of its key, and yield blocks once enough rows wait."""
        return self.add(rows, bucket_of(keys, self._buckets))

    def finish(self) -> Iterator[Block]:
        """Yield the blocks of all rows that wait."""
        if not self._waiting:
            return
        schema, buckets = self._waiting[0][0].schema, np.concatenate([numbers for _, numbers in self._waiting])
        waiting, columns = [[*chunks] for chunks in zip(*(rows.columns for rows, _ in self._waiting), strict=True)], []
        self._waiting, self._rows, self._bytes = [], 0, 0
        order = np.argsort(buckets, kind="stable")
        buckets = buckets[order]
        while waiting:  # a column at a time, so that not all are there twice
            columns.append(pa.concat_arrays(waiting.pop(0)).take(pa.array(order)))
        rows = pa.RecordBatch.from_arrays(columns, schema=schema)
        bounds = np.flatnonzero(np.concatenate([[True], buckets[1:] != buckets[:-1], [True]])).tolist()
        for begin, end in zip(bounds, bounds[1:], strict=False):
            for at in range(begin, end, MOST_ROWS):
                some = rows.slice(at, min(MOST_ROWS, end - at))
                yield packed(some.serialize(), int(buckets[at]), self._buckets)


class Store:
    """Blocks by bucket, on a disk of this machine where they are many; a context, at whose end they are gone."""

    def __init__(self, folder: Path | None = None):
        self._folder = folder or cache_folder()
        self._places: dict[int, list[tuple[int, int]]] = {}
        self._unpacked: dict[int, int] = {}

    def __enter__(self) -> Store:
        self._file = tempfile.SpooledTemporaryFile(HELD_BYTES, dir=str(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def unpacked(self) -> dict[int, int]:
        """The bytes that the rows of each bucket take once they are unpacked, the first bucket first."""
        return dict(sorted(self._unpacked.items()))

    def add(self, bucket: int, data: bytes, unpacked: int) -> None:
        """Keep a block, and count the bytes that its rows take."""
        begin = self._file.seek(0, os.SEEK_END)
        with room(self._folder):
            self._file.write(data)
            self._file.flush()
        self._places.setdefault(bucket, []).append((begin, len(data)))
        self._unpacked[bucket] = self._unpacked.get(bucket, 0) + unpacked

    def take(self, bucket: int) -> Iterator[bytes]:
        """Yield the blocks of a bucket, for the only time."""
        for begin, size in self._places.pop(bucket, []):
            self._file.seek(begin)
            yield self._file.read(size)
