"""Pack rows into blocks by bucket, and write and read files of blocks.

A block is an Arrow record batch as an IPC message, compressed with zstd as a whole. For a hundred rows, that takes a
quarter of the time of compressing each buffer, as Arrow's own files do. A file of blocks is the Arrow IPC stream of its
rows, also compressed with zstd (`.arrows.zst`), which any program with both libraries can read. Skippable zstd frames
between the blocks state the bucket of the next frame and its checksum. The last skippable frame, before the end of the
stream, has instead of a bucket the checksum of all checksums before it, so that a missing or repeated frame is found.
`runtime.shuffle` moves blocks from task to task.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pyarrow as pa
from isal import isal_zlib as zlib  # its checksums take a tenth of the time

from runtime.errors import InputError
from runtime.storage.paths import is_url, room
from runtime.storage.whole import whole

ENDING = ".arrows.zst"
MOST_ROWS = 8192  # of a block: what is packed and unpacked stays in the cache
FEWEST_ROWS = 512  # of a block, which costs as much as some hundred rows: fewer wait for more of their bucket
WAITING_BYTES = 256 << 20  # of added rows, some of which may be waiting
READ_BYTES = 16 << 20  # of a file at a time
HELD_BYTES = 64 << 20  # of blocks that a store holds in memory
_CODEC = pa.Codec("zstd", compression_level=1)  # a third smaller than lz4 for 0.25 µs a row
_END = pa.py_buffer(b"\xff\xff\xff\xff\x00\x00\x00\x00")  # of an Arrow IPC stream
_SKIPPABLE = 0x184D2A50  # zstd passes over frames that begin so
_HEAD = np.dtype(
    [(name, "<u4") for name in ("magic", "length", "bucket", "buckets", "unpacked", "size", "checksum")]
)  # a skippable frame: its magic number and its length, and then five numbers of the frame behind it


class Block(NamedTuple):
    """Some rows of one bucket, packed, with a header that names it; if `buckets` is 0, it holds no rows."""

    bucket: int
    buckets: int
    data: bytes

    @classmethod
    def of(cls, data: bytes) -> Block:
        """Return a block from the bytes of its header and rows."""
        head = np.frombuffer(data, _HEAD, 1)[0]
        return cls(int(head["bucket"]), int(head["buckets"]), data)

    def scaled(self, number: int) -> int:
        """Return the bucket of these rows where there are `number` buckets, at most as many."""
        return self.bucket * number // self.buckets


class Packer:
    """Packs rows by bucket, and yields a block once a bucket has enough rows."""

    def __init__(self, buckets: int):
        self._buckets = buckets
        self._waiting: dict[int, list[pa.RecordBatch]] = {}
        self._waiting_bytes = 0

    def add(self, rows: pa.RecordBatch, buckets: np.ndarray) -> Iterator[Block]:
        """Add rows that are sorted by bucket, and yield the blocks that are full; `buckets` has the bucket of each."""
        bounds = np.append(np.flatnonzero(np.diff(buckets, prepend=-1)), len(buckets)).tolist()
        for begin, end in zip(bounds, bounds[1:], strict=False):
            bucket = int(buckets[begin])
            waiting = self._waiting.setdefault(bucket, [])
            waiting.append(rows.slice(begin, end - begin))
            if sum(each.num_rows for each in waiting) >= FEWEST_ROWS:
                yield from self._pack(bucket)
        self._waiting_bytes += rows.nbytes
        if self._waiting_bytes > WAITING_BYTES:
            yield from self.finish()

    def finish(self) -> Iterator[Block]:
        """Yield the blocks of all rows that wait."""
        for bucket in sorted(self._waiting):
            yield from self._pack(bucket)
        self._waiting_bytes = 0

    def _pack(self, bucket: int) -> Iterator[Block]:
        waiting = self._waiting.pop(bucket)
        rows = pa.concat_batches(waiting) if len(waiting) > 1 else waiting[0]
        for at in range(0, rows.num_rows, MOST_ROWS):
            yield _packed(rows.slice(at, MOST_ROWS).serialize(), bucket, self._buckets)


class Store:
    """Blocks by bucket, on a disk of this machine where they are many; a context, at whose end they are gone."""

    def __init__(self, folder: Path):
        self._folder = folder
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

    def add(self, bucket: int, data: bytes) -> None:
        """Keep a block."""
        begin = self._file.seek(0, os.SEEK_END)
        with room(self._folder):
            self._file.write(data)
            self._file.flush()
        self._places.setdefault(bucket, []).append((begin, len(data)))
        self._unpacked[bucket] = self._unpacked.get(bucket, 0) + int(np.frombuffer(data, _HEAD, 1)[0]["unpacked"])

    def take(self, bucket: int) -> Iterator[bytes]:
        """Yield the blocks of a bucket, for the only time."""
        for begin, size in self._places.pop(bucket, []):
            self._file.seek(begin)
            yield self._file.read(size)


def unpack(data: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows of a block; ValueError if its checksum differs."""
    head = np.frombuffer(data, _HEAD, 1)[0]
    packed = pa.py_buffer(data).slice(_HEAD.itemsize)
    if _checksum(head, packed) != head["checksum"]:
        raise ValueError("a checksum differs")
    return pa.ipc.read_record_batch(_CODEC.decompress(packed, int(head["unpacked"])), schema)


def write_blocks(path: Path, schema: pa.Schema, blocks: Iterable[Block]) -> None:
    """Write blocks to a file that is whole under its name."""
    with whole(path) as partial, partial.open("wb") as file:
        passed = 0
        for block in chain([_packed(schema.serialize())], blocks):
            file.write(block.data)
            passed = _passed(block, passed)
        file.write(_packed(_END, passed).data)


def read_blocks(path: Path, schema: pa.Schema | None) -> Iterator[Block]:
    """Yield the blocks of a file, which must be whole, and its rows of this schema, or of any if it is None."""
    try:
        with path.open("rb", buffering=READ_BYTES) as file:
            yield from _in_sequence(_frames(file), schema)
    except (ValueError, pa.ArrowException, OSError, MemoryError) as error:
        if is_url(path) and isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise  # the file may be whole, and the server busy or forbidding
        raise InputError(f"{path} is damaged ({error}); delete it and its .json, and run again") from None


def _packed(content: pa.Buffer, bucket: int = 0, buckets: int = 0) -> Block:
    packed = _CODEC.compress(content, asbytes=True)
    head = np.array([(_SKIPPABLE, _HEAD.itemsize - 8, bucket, buckets, content.size, len(packed), 0)], _HEAD)
    head["checksum"] = _checksum(head[0], packed)
    return Block(bucket, buckets, head.tobytes() + packed)


def _checksum(head: np.void, packed: bytes | memoryview | pa.Buffer) -> int:
    return zlib.crc32(packed, zlib.crc32(head.tobytes()[: -head["checksum"].itemsize]))


def _passed(frame: Block, before: int) -> int:
    """Return the checksum of the checksums of all frames up to this one, given that of the frames before."""
    return zlib.crc32(memoryview(frame.data)[_HEAD.itemsize - _HEAD["checksum"].itemsize : _HEAD.itemsize], before)


def _in_sequence(frames: Iterator[Block], schema: pa.Schema | None) -> Iterator[Block]:
    """Yield the frames with rows; ValueError if the first has another schema, or the last does not say all are here."""
    last = next(frames, None)
    if last is None:
        raise ValueError("it is cut off")
    if schema is not None and last != _packed(schema.serialize()):
        raise ValueError("its columns are others")
    before, passed = 0, _passed(last, 0)
    for last in frames:
        before, passed = passed, _passed(last, passed)
        if last.buckets:
            yield last
    if last != _packed(_END, before):
        raise ValueError("it is cut off, or its parts are not in sequence")


def _frames(file: IO[bytes]) -> Iterator[Block]:
    """Yield all frames of a file, compared with their checksums; ValueError if it does not end with one."""
    while data := file.read(_HEAD.itemsize):
        if len(data) < _HEAD.itemsize:
            raise ValueError("it is cut off")
        head = np.frombuffer(data, _HEAD)[0]
        if head["magic"] != _SKIPPABLE:
            raise ValueError("it is no file of blocks")
        packed = file.read(int(head["size"]))
        if len(packed) < head["size"]:
            raise ValueError("it is cut off")
        if _checksum(head, packed) != head["checksum"]:
            raise ValueError("a checksum differs")
        yield Block.of(data + packed)
