"""Pack rows as blocks, write and read files of blocks, and group rows by bucket: a range of keys.

A block is an Arrow record batch as an IPC message, which zstd compresses in one piece. For a hundred rows, this takes a
quarter of the time that Arrow's own files need, in which each buffer is compressed separately. Engines
(`runtime.engine`) move blocks from task to task. `group_buckets` and `items_by_task` choose the numbers of buckets, of
tasks, and of files that a task reads.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from isal import isal_zlib as zlib

from runtime.arrow import differs
from runtime.errors import InputError, low_limit
from runtime.kernel_caches import scratch_folder
from runtime.storage.checksums import checksum_of
from runtime.storage.paths import is_url, room
from runtime.storage.whole import whole

BLOCKS_ENDING = ".arrows.zst"
READ_BYTES = 16 << 20  # the bytes of the pieces in which a file is read
_CODEC = pa.Codec("zstd", compression_level=1)  # Its output is a third smaller than that of lz4, for 0.25 µs a row.
_END_OF_STREAM = pa.py_buffer(b"\xff\xff\xff\xff\x00\x00\x00\x00")  # the end of an Arrow IPC stream
_SKIPPABLE = 0x184D2A50  # zstd skips frames that begin with this number
_HEAD = np.dtype(
    [(name, "<u4") for name in ("magic", "length", "bucket", "buckets", "unpacked", "size", "checksum")]
)  # A skippable frame has a magic number and its length, and then five numbers that describe the next frame.

MAX_BLOCK_ROWS = 8192  # A block of at most this many rows stays in the processor's cache.
MIN_BLOCK_ROWS = 1 << 10  # Blocks have this many rows on average, as each block costs as much as some hundred rows.
WAITING_BYTES = 128 << 20  # The bytes of the rows that wait in a Packer.
STORE_BYTES = 64 << 20  # If the blocks in a Store's memory exceed this, they go to a temporary file.
BUCKET_BYTES = 256 << 20  # The bytes of a bucket's rows that memory may hold: a larger bucket is split.
MIN_BUCKET_BYTES = 1 << 20  # Smaller buckets are joined, as each bucket costs as much as some thousand rows.

BUCKET_ROWS = 1 << 18  # The pairs of a bucket, which are grouped in memory; they take some 250 MB.
MOST_BUCKETS = 1 << 13  # The buckets that a task sends rows to; with more, its blocks would be too small.
BLOCK_ROWS = 100  # The rows that each block should have; a task takes several inputs if one input has too few.
TASK_ROWS = 1 << 20  # The pairs that a task groups, one bucket after another.
ONE_BUCKET_TASKS = 1 << 8  # Up to this number of tasks, each task takes one bucket, so that no core is idle.
MIN_TASKS_PER_CORE = 4  # With as many tasks, all cores end at about the same time.

Item = TypeVar("Item")
Keys = Callable[[pa.RecordBatch], np.ndarray]  # Such a function returns the uint64 key of each row.


class Extent(NamedTuple):
    """The bytes of a block in a local file, which nobody changes or removes while the block is needed."""

    path: Path
    begin: int
    size: int

    def read(self, size: int) -> bytes:
        """Return the first `size` bytes."""
        file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(file, size, self.begin)
        finally:
            os.close(file)


class Block(NamedTuple):
    """A packed batch of rows of one bucket, after a header that states the bucket and the number of buckets.

    `unpacked` is the number of bytes that the rows take once they are unpacked. A block has its bytes in memory, in a
    file, or both. If `buckets` is 0, it holds a schema or the end of a stream instead of rows.
    """

    bucket: int
    buckets: int
    unpacked: int
    data: bytes | None
    extent: Extent | None = None

    @classmethod
    def of(cls, data: bytes, extent: Extent | None = None) -> Block:
        """Return a block, given its bytes: the header and the packed rows."""
        return cls(*_numbers_of(data), data, extent)

    @classmethod
    def at(cls, extent: Extent) -> Block:
        """Return a block in a file; only its header is read."""
        return cls(*_numbers_of(extent.read(_HEAD.itemsize)), None, extent)

    def read(self) -> bytes:
        """Return the bytes of the block."""
        if self.data is not None:
            return self.data
        assert self.extent is not None
        return self.extent.read(self.extent.size)

    def scaled(self, number: int) -> int:
        """Return the bucket to which the block's rows belong if keys are divided into only `number` buckets.

        `number` is at most the block's `buckets`.
        """
        return self.bucket * number // self.buckets


def packed(content: pa.Buffer, bucket: int = 0, buckets: int = 0) -> Block:
    """Return an Arrow IPC message, compressed and with a header, as a block of the bucket `bucket` of `buckets`.

    The defaults are for a schema or the end of a stream, which have no rows.
    """
    data = _CODEC.compress(content, asbytes=True)
    head = np.array([(_SKIPPABLE, _HEAD.itemsize - 8, bucket, buckets, content.size, len(data), 0)], _HEAD)
    head["checksum"] = _checksum(head[0], data)
    return Block(bucket, buckets, content.size, head.tobytes() + data)


def _numbers_of(data: bytes) -> tuple[int, int, int]:
    """Return bucket, number of buckets and unpacked size of a block, as the header in its first bytes states them."""
    head = np.frombuffer(data, _HEAD, 1)[0]
    return int(head["bucket"]), int(head["buckets"]), int(head["unpacked"])


def rows_of_block(data: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows of a block, given its bytes and the schema of the rows; a wrong checksum raises a ValueError."""
    head = np.frombuffer(data, _HEAD, 1)[0]
    packed = pa.py_buffer(data).slice(_HEAD.itemsize)
    if _checksum(head, packed) != head["checksum"]:
        raise ValueError("a checksum differs")
    return pa.ipc.read_record_batch(_CODEC.decompress(packed, int(head["unpacked"])), schema)


def write_blocks(path: Path, schema: pa.Schema, blocks: Iterable[Block]) -> str:
    """Write blocks to a file that gets its name once it is complete; return the file's checksum.

    The file is the Arrow IPC stream of the rows, compressed with zstd (`.arrows.zst`): any program with both libraries
    can read it. A skippable zstd frame before each block states the block's bucket and checksum. In the last skippable
    frame, before the end of the stream, the checksum of all checksums before it is written in place of a bucket, so
    that a missing or repeated frame is found.
    """
    with whole(path) as partial:
        with partial.open("wb") as file:
            passed = 0
            for block in chain([packed(schema.serialize())], blocks):
                data = block.read()
                file.write(data)
                passed = _passed(data, passed)
            file.write(packed(_END_OF_STREAM, passed).read())
        return checksum_of(partial)


def read_blocks(path: Path, schema: pa.Schema | None) -> Iterator[Block]:
    """Yield the blocks of a file; blocks of a local file also say where in the file they are.

    A damaged file, or a file whose schema is not `schema`, raises an InputError; with `schema` None, any schema will
    do. If the server behind a URL fails, its OSError is raised, because the file may be complete.
    """
    try:
        with path.open("rb", buffering=READ_BYTES) as file:
            yield from _in_sequence(_frames(file, None if is_url(path) else path), schema)
    except (ValueError, pa.ArrowException, OSError, MemoryError) as error:
        if is_url(path) and isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise
        raise low_limit(error) or InputError(
            f"{path} is damaged ({error}); delete it and its .json, and run again"
        ) from None


def _checksum(head: np.void, packed: bytes | memoryview | pa.Buffer) -> int:
    return zlib.crc32(packed, zlib.crc32(head.tobytes()[: -head["checksum"].itemsize]))


def _passed(frame: bytes, before: int) -> int:
    """Return a checksum over the checksums of all frames up to `frame`; `before` is the result of the frame before."""
    return zlib.crc32(memoryview(frame)[_HEAD.itemsize - _HEAD["checksum"].itemsize : _HEAD.itemsize], before)


def _in_sequence(frames: Iterator[Block], schema: pa.Schema | None) -> Iterator[Block]:
    """Yield the frames with rows.

    Another schema, or a frame that is missing, repeated or out of sequence, raises a ValueError.
    """
    last = next(frames, None)
    if last is None:
        raise ValueError("it is cut off")
    if schema is not None and last.read() != packed(schema.serialize()).read():
        raise ValueError("its columns are others")
    before = 0
    passed = _passed(last.read(), 0)
    for last in frames:
        before = passed
        passed = _passed(last.read(), passed)
        if last.buckets:
            yield last
    if last.read() != packed(_END_OF_STREAM, before).read():
        raise ValueError("it is cut off, or its parts are not in sequence")


def _frames(file: IO[bytes], path: Path | None) -> Iterator[Block]:
    """Yield all frames of a file, each after its checksum is verified; a damaged or cut frame raises a ValueError.

    The frames have extents if `path`, the path of a local file, is given.
    """
    begin = 0
    while data := file.read(_HEAD.itemsize):
        if len(data) < _HEAD.itemsize:
            raise ValueError("it is cut off")
        head = np.frombuffer(data, _HEAD)[0]
        if head["magic"] != _SKIPPABLE:
            raise ValueError("it is not a file of blocks")
        packed = file.read(int(head["size"]))
        if len(packed) < head["size"]:
            raise ValueError("it is cut off")
        if _checksum(head, packed) != head["checksum"]:
            raise ValueError("a checksum differs")
        frame = data + packed
        yield Block.of(frame, Extent(path, begin, len(frame)) if path else None)
        begin += len(frame)


def buckets_for(size: float, bucket_size: int) -> int:
    """Return the smallest power of two, as the number of buckets, with `size / buckets` of at most `bucket_size`.

    >>> buckets_for(1_000_000, 1 << 18)
    4
    """
    return 1 << max(0, int(-(-size // bucket_size)) - 1).bit_length()


def group_buckets(rows: float) -> tuple[int, int]:
    """Return the number of buckets that `rows` pairs are grouped in, and the number of tasks for these buckets.

    >>> group_buckets(1e6), group_buckets(5e7), group_buckets(1e9), group_buckets(1e11)
    ((4, 4), (256, 256), (4096, 1024), (524288, 8192))
    """
    number = buckets_for(rows, BUCKET_ROWS)
    tasks = max(min(number, ONE_BUCKET_TASKS), buckets_for(rows, TASK_ROWS))
    return number, min(tasks, MOST_BUCKETS)


def items_by_task(items: Sequence[Item], rows: float, buckets: int) -> list[list[Item]]:
    """Return the items split into one list for each task.

    `rows` is the number of rows in all items. The fewer rows there are, the more items a task takes, so that the block
    that it sends to each of the `buckets` is not too small.

    >>> items_by_task("abcdef", 1e6, 4), [len(files) for files in items_by_task([""] * 4000, 1e9, 8192)][:2]
    ([['a'], ['b'], ['c'], ['d'], ['e'], ['f']], [34, 34])
    """
    tasks = max(1, int(rows / (MIN_BLOCK_ROWS * min(buckets, MOST_BUCKETS))))
    per_task = max(1, -(-len(items) // tasks))
    return [list(items[begin : begin + per_task]) for begin in range(0, len(items), per_task)]


def bucket_of(keys: np.ndarray, buckets: int) -> np.ndarray:
    """Return the int64 bucket of each uint64 key, if `buckets` equal ranges hold all keys.

    If `buckets` is a power of two, the first bits of a key are its bucket; otherwise, the first 53 bits are a fraction,
    which is multiplied by `buckets`.
    """
    if buckets & (buckets - 1):
        return ((keys >> np.uint64(11)) * 2.0**-53 * buckets).astype(np.int64)
    return ((keys >> np.uint64(1)) >> np.uint64(64 - buckets.bit_length())).astype(np.int64)


def keys_in(numbers: np.ndarray, buckets: int) -> np.ndarray:
    """Return a uint64 key in the middle of each bucket of these numbers.

    >>> bucket_of(keys_in(np.arange(7), 7), 7).tolist()
    [0, 1, 2, 3, 4, 5, 6]
    """
    return ((numbers + 0.5) * (2.0**64 / buckets)).astype(np.uint64)


def in_buckets(blocks: Iterable[Block], buckets: int, schema: pa.Schema, keys: Keys) -> Iterator[Block]:
    """Yield the blocks; a block that was packed for fewer than `buckets` buckets is first packed again for `buckets`.

    `schema` is the schema of the rows, and `keys` returns the key of each row of a batch.
    """
    packer = Packer(buckets)
    for block in blocks:
        if block.buckets >= buckets:
            yield block
        else:
            rows = rows_of_block(block.read(), schema)
            yield from packer.deal(rows, keys(rows))
    yield from packer.finish()


def by_bucket(
    blocks: Iterable[Block], number: int, schema: pa.Schema, keys: Keys, is_dealt_out: bool = False
) -> Iterator[Iterator[pa.RecordBatch]]:
    """Yield an iterator over the batches of each of `number` buckets, in the order of buckets.

    Small neighbouring buckets share an iterator. All blocks are kept in a Store first. A bucket of more than
    BUCKET_BYTES is split once into smaller buckets. `is_dealt_out` is True for the buckets after this split. They are
    not split again: a bucket that is still too large has a single key.
    """
    with Store() as store:
        for block in in_buckets(blocks, number, schema, keys):
            store.add(block.scaled(number), block)
        for buckets, size in _together(store.unpacked):
            taken = chain.from_iterable(map(store.take, buckets))
            if size > BUCKET_BYTES and not is_dealt_out:
                parts = 1 << (2 * size // BUCKET_BYTES).bit_length()
                yield from by_bucket(taken, number * parts, schema, keys, is_dealt_out=True)
            else:
                yield (rows_of_block(block.read(), schema) for block in taken)


def _together(sizes: dict[int, int]) -> Iterator[tuple[list[int], int]]:
    """Group neighbouring buckets; yield the buckets of each group and their size in bytes.

    `sizes` has the bytes of each bucket. A group has up to MIN_BUCKET_BYTES, or is one larger bucket.
    """
    held: list[int] = []
    total = 0
    for bucket, size in sizes.items():
        if held and total + size > MIN_BUCKET_BYTES:
            yield held, total
            held = []
            total = 0
        held.append(bucket)
        total += size
    if held:
        yield held, total


class Packer:
    """Packs rows by bucket: rows wait until there are enough for a block of each bucket, or exceed WAITING_BYTES."""

    def __init__(self, buckets: int):
        self._buckets = buckets
        self._waiting: list[tuple[pa.RecordBatch, np.ndarray]] = []  # rows sorted by bucket, with their buckets
        self._rows = self._bytes = 0

    def add(self, rows: pa.RecordBatch, buckets: np.ndarray) -> Iterator[Block]:
        """Add rows in any order, and yield blocks once enough rows wait; `buckets` has the bucket of each row.

        Rows are added only when the result is iterated over.
        """
        if rows.num_rows:
            if (buckets[1:] < buckets[:-1]).any():
                # NumPy sorts numbers faster if each has fewer bytes.
                order = np.argsort(buckets.astype(np.min_scalar_type(self._buckets)), kind="stable")
                rows = rows.take(pa.array(order))
                buckets = buckets[order]
            self._waiting.append((rows, buckets))
        self._rows += rows.num_rows
        self._bytes += rows.nbytes
        if self._rows >= MIN_BLOCK_ROWS * self._buckets or self._bytes > WAITING_BYTES:
            yield from self.finish()

    def deal(self, rows: pa.RecordBatch, keys: np.ndarray) -> Iterator[Block]:
        """Add rows in any order, each to the bucket of its uint64 key, and yield blocks once enough rows wait."""
        return self.add(rows, bucket_of(keys, self._buckets))

    def finish(self) -> Iterator[Block]:
        """Yield blocks of all rows that still wait."""
        waiting = self._waiting
        self._waiting = []
        self._rows = 0
        self._bytes = 0
        slices: dict[int, list[pa.RecordBatch]] = {}
        for rows, buckets in waiting:
            bounds = np.append(np.flatnonzero(differs(buckets)), len(buckets))
            for begin, end in pairwise(bounds.tolist()):
                slices.setdefault(int(buckets[begin]), []).append(rows.slice(begin, end - begin))
        for bucket in sorted(slices):
            yield from self._packed(slices[bucket], bucket)

    def _packed(self, slices: list[pa.RecordBatch], bucket: int) -> Iterator[Block]:
        rows = slices[0] if len(slices) == 1 else pa.concat_batches(slices)
        for begin in range(0, rows.num_rows, MAX_BLOCK_ROWS):
            yield packed(rows.slice(begin, MAX_BLOCK_ROWS).serialize(), bucket, self._buckets)


class Store:
    """Keeps blocks by bucket until its context ends; those that are in no file are written to a temporary file.

    The temporary file is in memory until it has STORE_BYTES.
    """

    def __init__(self, folder: Path | None = None):
        self._folder = folder or scratch_folder()
        # A block in the temporary file is kept as (begin, size).
        self._blocks: dict[int, list[Block | tuple[int, int]]] = {}
        self._unpacked: dict[int, int] = {}

    def __enter__(self) -> Store:
        self._file = tempfile.SpooledTemporaryFile(STORE_BYTES, dir=str(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def unpacked(self) -> dict[int, int]:
        """The number of bytes that the rows of each bucket take once they are unpacked, sorted by bucket."""
        return dict(sorted(self._unpacked.items()))

    def add(self, bucket: int, block: Block) -> None:
        """Keep a block as one of `bucket`."""
        kept = self._written(block.read()) if block.extent is None else block._replace(data=None)
        self._blocks.setdefault(bucket, []).append(kept)
        self._unpacked[bucket] = self._unpacked.get(bucket, 0) + block.unpacked

    def take(self, bucket: int) -> Iterator[Block]:
        """Yield the blocks of a bucket; each can be taken only once."""
        for kept in self._blocks.pop(bucket, []):
            if isinstance(kept, Block):
                yield kept
            else:
                begin, size = kept
                self._file.seek(begin)
                yield Block.of(self._file.read(size))

    def _written(self, data: bytes) -> tuple[int, int]:
        """Append bytes to the temporary file; return where they begin, and their number."""
        begin = self._file.seek(0, os.SEEK_END)
        with room(self._folder):
            self._file.write(data)
            self._file.flush()
        return begin, len(data)
