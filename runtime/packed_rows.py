"""Pack rows as blocks, and write and read files of blocks.

A block is an Arrow record batch as an IPC message, compressed with zstd as a whole. For a hundred rows, that takes a
quarter of the time of compressing each buffer, as Arrow's own files do. A file of blocks is the Arrow IPC stream of its
rows, also compressed with zstd (`.arrows.zst`), which any program with both libraries can read. Skippable zstd frames
between the blocks state the bucket of the next frame and its checksum. The last skippable frame, before the end of the
stream, has instead of a bucket the checksum of all checksums before it, so that a missing or repeated frame is found.
`runtime.engine` moves blocks from task to task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pyarrow as pa
from isal import isal_zlib as zlib  # its checksums take a tenth of the time

from runtime.errors import InputError
from runtime.storage.own_files import checksum_of
from runtime.storage.paths import is_url
from runtime.storage.whole import whole

ENDING = ".arrows.zst"
READ_BYTES = 16 << 20  # of a file at a time
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

    @property
    def unpacked(self) -> int:
        """The bytes that its rows take once they are unpacked."""
        return int(np.frombuffer(self.data, _HEAD, 1)[0]["unpacked"])

    def scaled(self, number: int) -> int:
        """Return the bucket of these rows where there are `number` buckets, at most as many."""
        return self.bucket * number // self.buckets


def packed(content: pa.Buffer, bucket: int = 0, buckets: int = 0) -> Block:
    """Return a message of Arrow as a block."""
    data = _CODEC.compress(content, asbytes=True)
    head = np.array([(_SKIPPABLE, _HEAD.itemsize - 8, bucket, buckets, content.size, len(data), 0)], _HEAD)
    head["checksum"] = _checksum(head[0], data)
    return Block(bucket, buckets, head.tobytes() + data)


def unpack(data: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows of a block; ValueError if its checksum differs."""
    head = np.frombuffer(data, _HEAD, 1)[0]
    packed = pa.py_buffer(data).slice(_HEAD.itemsize)
    if _checksum(head, packed) != head["checksum"]:
        raise ValueError("a checksum differs")
    return pa.ipc.read_record_batch(_CODEC.decompress(packed, int(head["unpacked"])), schema)


def write_blocks(path: Path, schema: pa.Schema, blocks: Iterable[Block]) -> str:
    """Write blocks to a file that is whole under its name; return its checksum."""
    with whole(path) as partial:
        with partial.open("wb") as file:
            passed = 0
            for block in chain([packed(schema.serialize())], blocks):
                file.write(block.data)
                passed = _passed(block, passed)
            file.write(packed(_END, passed).data)
        return checksum_of(partial)


def read_blocks(path: Path, schema: pa.Schema | None) -> Iterator[Block]:
    """Yield the blocks of a file, which must be whole, and its rows of this schema, or of any if it is None."""
    try:
        with path.open("rb", buffering=READ_BYTES) as file:
            yield from _in_sequence(_frames(file), schema)
    except (ValueError, pa.ArrowException, OSError, MemoryError) as error:
        if is_url(path) and isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise  # the file may be whole, and the server busy or forbidding
        raise InputError(f"{path} is damaged ({error}); delete it and its .json, and run again") from None


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
    if schema is not None and last != packed(schema.serialize()):
        raise ValueError("its columns are others")
    before, passed = 0, _passed(last, 0)
    for last in frames:
        before, passed = passed, _passed(last, passed)
        if last.buckets:
            yield last
    if last != packed(_END, before):
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
