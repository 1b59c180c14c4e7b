"""Exchange rows between tasks through files: a task writes its rows by bucket, another reads a bucket of all files.

Rows are packed as Arrow batches, so that neither the JVM nor Python touches single ones. A file is its offsets and then
its packed batches, bucket after bucket. Each packed batch has a checksum. So has each offset, and that covers the
schema too: nothing that is damaged, or of other columns, is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from isal import isal_zlib as zlib  # its checksums take a tenth of the time

from runtime.errors import InputError
from runtime.storage.paths import is_url, ranges
from runtime.storage.whole import whole

MAGIC = b"clipblk1"
HELD_BYTES = 64 << 20  # packed bytes that a writer holds before it begins another file
MOST_ROWS = 8192  # of a batch: what is packed and unpacked stays in the cache
FEWEST_ROWS = 512  # of a batch, which costs as much as some hundred rows: fewer wait for more of their bucket
WAITING_BYTES = 128 << 20  # of added rows, some of which may be waiting
_CODEC = pa.Codec("zstd", compression_level=1)  # a third smaller than lz4 for 0.25 µs a row
_NUMBER = np.dtype("<u8")
_HEAD_BYTES = len(MAGIC) + _NUMBER.itemsize
_OFFSET = np.dtype([("at", "<u8"), ("checksum", "<u4")])  # of each bucket, and of the end of the last
_HEAD = np.dtype([("size", "<u4"), ("unpacked", "<u4"), ("checksum", "<u4"), ("unused", "<u4")])  # of each packed batch


class BucketWriter:
    """Writes rows by bucket into files `name-0.blocks`, `name-1.blocks` … of a folder, each whole under its name."""

    def __init__(self, folder: Path, name: str, buckets: int):
        self._folder, self._name, self._buckets = folder, name, buckets
        self._waiting: list[list[pa.RecordBatch]] = [[] for _ in range(buckets)]
        self._waiting_bytes = 0
        self._begin()
        self.files: list[str] = []

    def add(self, rows: pa.RecordBatch, buckets: np.ndarray) -> None:
        """Add rows that are sorted by bucket; `buckets` has the bucket of each."""
        self._schema = rows.schema
        bounds = np.append(np.flatnonzero(np.diff(buckets, prepend=-1)), len(buckets)).tolist()
        for begin, end in zip(bounds, bounds[1:], strict=False):
            bucket = buckets[begin]
            waiting = self._waiting[bucket]
            waiting.append(rows.slice(begin, end - begin))
            if sum(each.num_rows for each in waiting) >= FEWEST_ROWS:
                self._pack(bucket)
        self._waiting_bytes += rows.nbytes
        if self._waiting_bytes > WAITING_BYTES:
            self._pack_all()
        if self._held > HELD_BYTES:
            self._write()

    def finish(self) -> list[str]:
        """Write all rows that are not written yet; return the names of all files of this writer."""
        self._pack_all()
        self._write()
        return self.files

    def _pack_all(self) -> None:
        for bucket, waiting in enumerate(self._waiting):
            if waiting:
                self._pack(bucket)
        self._waiting_bytes = 0

    def _pack(self, bucket: int) -> None:
        waiting = self._waiting[bucket]
        rows = pa.concat_batches(waiting) if len(waiting) > 1 else waiting[0]
        for at in range(0, rows.num_rows, MOST_ROWS):
            packed = _packed(rows.slice(at, MOST_ROWS))
            self._packed[bucket].append(packed)
            self._held += len(packed)
        self._waiting[bucket] = []

    def _write(self) -> None:
        if self._held:
            self.files.append(f"{self._name}-{len(self.files)}.blocks")
            _write(self._folder / self.files[-1], self._packed, self._schema)
        self._begin()

    def _begin(self) -> None:
        self._packed: list[list[bytes]] = [[] for _ in range(self._buckets)]
        self._held = 0


def read_buckets(path: Path, schema: pa.Schema, first: int, stop: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the buckets first to stop - 1 of a file."""
    try:
        with ranges(path) as read:
            if not is_url(path):  # there a request costs more than it is worth: the offsets have checksums
                _require_buckets(read, stop)
            begin, end = _span(read, schema, first, stop)
            data = read(begin, end)
        if len(data) < end - begin:
            raise ValueError("it is cut off")
        yield from _unpacked(data, schema)
    except (ValueError, pa.ArrowException, OSError) as error:
        if is_url(path) and isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise  # the file may be whole, and the server busy or forbidding
        raise InputError(f"{path} is damaged ({error}); delete it and its .json, and run again") from None


def _write(path: Path, packed: list[list[bytes]], schema: pa.Schema) -> None:
    sizes = [sum(map(len, bucket)) for bucket in packed]
    begin = _HEAD_BYTES + (len(packed) + 1) * _OFFSET.itemsize
    offsets = _offsets(np.cumsum([begin, *sizes]), 0, schema)
    with whole(path) as partial, partial.open("wb") as file:
        file.write(MAGIC + np.array([len(packed)], _NUMBER).tobytes() + offsets.tobytes())
        for bucket in packed:
            file.writelines(bucket)


def _offsets(at: np.ndarray, first: int, schema: pa.Schema) -> np.ndarray:
    """Return the offsets of the buckets from `first` on, as a file stores them."""
    columns = zlib.crc32(str(schema).encode())
    checksums = [zlib.crc32(b"%d %d" % each, columns) for each in enumerate(at.tolist(), first)]
    return np.array(list(zip(at.tolist(), checksums, strict=True)), _OFFSET)


def _packed(rows: pa.RecordBatch) -> bytes:
    content = rows.serialize()
    packed = _CODEC.compress(content, asbytes=True)
    return np.array([(len(packed), content.size, zlib.crc32(packed), 0)], _HEAD).tobytes() + packed


def _require_buckets(read: Callable[[int, int], bytes], buckets: int) -> None:
    head = read(0, _HEAD_BYTES)
    if not head.startswith(MAGIC) or len(head) < _HEAD_BYTES:
        raise ValueError("it is no file of blocks")
    if np.frombuffer(head, _NUMBER, offset=len(MAGIC))[0] < buckets:
        raise ValueError("it has too few buckets")


def _span(read: Callable[[int, int], bytes], schema: pa.Schema, first: int, stop: int) -> tuple[int, int]:
    """Return where the buckets first to stop - 1 begin and end."""
    begin, end = (_HEAD_BYTES + bucket * _OFFSET.itemsize for bucket in (first, stop + 1))
    stored = read(begin, end)
    offsets = np.frombuffer(stored, _OFFSET, len(stored) // _OFFSET.itemsize)
    if len(stored) < end - begin or not np.array_equal(offsets, _offsets(offsets["at"], first, schema)):
        raise ValueError("its offsets are wrong, or its columns are others")
    return int(offsets["at"][0]), int(offsets["at"][-1])


def _unpacked(data: bytes, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    whole, at = pa.py_buffer(data), 0
    while at < len(data):
        head = np.frombuffer(data, _HEAD, 1, at)[0]
        packed = whole.slice(at + _HEAD.itemsize, int(head["size"]))
        if packed.size < head["size"] or zlib.crc32(packed) != head["checksum"]:
            raise ValueError("a checksum differs")
        yield pa.ipc.read_record_batch(_CODEC.decompress(packed, int(head["unpacked"])), schema)
        at += _HEAD.itemsize + packed.size
