"""Write complete Parquet files; read files of this project, and in bounded memory files of other programs.

Workers write row groups of one size: the same rows in the same order give the same bytes, however the rows are batched.
When a file of this project is read, the checksum of all its bytes, if known (`own_files`), is compared first, and then
the checksum of each page. Rows are also split by key into parts on disk, to sort or join tables larger than memory.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runtime.arrow import gather_rows
from runtime.errors import InputError, unusable
from runtime.storage.arrays import open_arrow
from runtime.storage.checksums import checksum_of
from runtime.storage.own_files import OwnFile, as_written, in_words, intact, is_of_arrow, refusing
from runtime.storage.paths import in_threads, is_url
from runtime.storage.whole import whole
from runtime.tallies import TaskResult

PIECE = 4 << 20  # bytes of a column that are read at once: a request to an object store, held for each column
FEW_ROWS = 512  # the most rows read at once: a dictionary page of 1 MB may stand for texts of gigabytes
FEW_BYTES = 256 << 20  # a dictionary page's bytes times the rows read at once, as each text may be the whole page
BATCH_BYTES = 16 << 20  # the bytes of a batch, at most about
_HEAD = 16  # bytes of a page's header, which hold its kind and size
_DICTIONARY = 2
_LONGEST_HEAD = 16 << 10  # bytes of a page's header with statistics
_UNPACKED, _PACKED = 2, 3  # fields of a page's header: sizes of the page
# Thrift's compact protocol gives kinds of fields these numbers.
_BOOLEANS = (1, 2)
_INTEGERS = (4, 5, 6)
_BINARY = 8
_STRUCTURE = 12

MOST_PARTS = 256  # the most files that are open at a time


class PartWriter:
    """Writes batches to one Parquet file, in row groups of one size."""

    def __init__(self, writer: pq.ParquetWriter, row_group_rows: int):
        self._writer = writer
        self._row_group_rows = row_group_rows
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self.rows = 0
        self.checksum = ""  # This becomes the checksum of the file's bytes once the file is complete.

    def write(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch, which has the schema of the file."""
        self.rows += batch.num_rows
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        while self._pending_rows >= self._row_group_rows:
            self._flush(self._row_group_rows)

    def finish(self) -> None:
        """Write the remaining rows, too few for a row group of full size."""
        if self._pending_rows:
            self._flush(self._pending_rows)

    def _flush(self, rows: int) -> None:
        table = pa.Table.from_batches(self._pending, self._writer.schema)
        # One chunk per column, as the limits of pages would otherwise depend on the batches.
        self._writer.write_table(table.slice(0, rows).combine_chunks(), row_group_size=rows)
        rest = table.slice(rows)
        self._pending = rest.to_batches()
        self._pending_rows = len(rest)


@contextmanager
def part_writer(
    path: Path, schema: pa.Schema, row_group_rows: int, see: Callable[[Path], object] | None = None
) -> Iterator[PartWriter]:
    """Yield a writer of one Parquet file, which exists after the block only if no error occurred.

    `see` is called with a local path of the complete file, before the file gets its name. Two tries of one task may
    write at the same time: each has a partial file of its own, and both files hold the same bytes.
    """
    with whole(path) as file:
        with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as parquet:
            writer = PartWriter(parquet, row_group_rows)
            yield writer
            writer.finish()
        writer.checksum = checksum_of(file)
        if see:
            see(file)


def add_file(
    result: TaskResult, path: Path, schema: pa.Schema, row_group_rows: int, rows: Iterable[pa.RecordBatch]
) -> int:
    """Write batches to one Parquet file, as `part_writer` does; add its checksum to `result`, and return its rows."""
    with part_writer(path, schema, row_group_rows) as writer:
        for batch in rows:
            writer.write(batch)
    result.files[path.name] = writer.checksum
    return writer.rows


def write_rows(path: Path, schema: pa.Schema, row_group_rows: int, rows: Iterable[pa.RecordBatch]) -> TaskResult:
    """Write batches to one Parquet file, as `add_file` does; return a result with its checksum."""
    add_file(result := TaskResult(), path, schema, row_group_rows, rows)
    return result


def write_tables(path: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> str:
    """Write tables to one complete Parquet file; each table begins a row group. Return the file's checksum."""
    with whole(path) as file:
        with pq.ParquetWriter(file, schema, write_page_checksum=True) as writer:
            for table in tables:
                writer.write_table(table)
        return checksum_of(file)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file; at a URL, the columns of a row group are fetched together."""
    if is_url(path):
        file = path.open("rb", cache_type="none")  # type: ignore[call-overload]  # UPath passes it on to fsspec.
        return pq.ParquetFile(file, pre_buffer=True, page_checksum_verification=True)
    return pq.ParquetFile(path, page_checksum_verification=True)


def unreadable(path: str, error: Exception) -> InputError:
    """Return the error for a user's Parquet file that Arrow cannot read."""
    words = in_words(error)
    has_no_remedy = is_of_arrow(error) and ";" not in words
    remedy = "; copy or download it again, or leave it out" if has_no_remedy else ""
    return unusable(path, "cannot be read as Parquet", f"{words}{remedy}")


def batches(file: OwnFile, rows: int = 1 << 16, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows in batches of at most `rows` rows; InputError if the file is damaged."""
    with refusing(file), intact(file) as path, open_parquet(path) as opened:
        if opened.num_row_groups:  # pyarrow 19 cannot iterate over a file without row groups.
            yield from opened.iter_batches(rows, columns=columns)


def read_table(file: OwnFile, columns: list[str] | None = None) -> pa.Table:
    """Return the table in a file; only `columns`, if given."""
    with refusing(file), intact(file) as path:
        return pq.read_table(path, columns=columns, page_checksum_verification=True)


def require_rows(files: list[OwnFile], rows: int) -> None:
    """Raise an InputError if the files do not hold `rows` rows in all, as many as were written."""
    total = sum(row_counts(files))
    if total != rows:
        folder, remedy = (files[0].path.parent, files[0].remedy) if files else ("matched/", "curate with --overwrite")
        raise InputError(f"{folder} holds {total:,} images, {rows:,} were written; {remedy}")


def row_counts(files: Sequence[OwnFile]) -> list[int]:
    """Return the number of rows of each file."""
    return [*in_threads(row_count, files)]


def head_rows(files: list[OwnFile], rows: int) -> list[dict]:
    """Return up to `rows` rows of a manifest as dictionaries: the first of the first file's first row group."""
    with refusing(files[0]), intact(files[0]) as path, open_parquet(path) as opened:
        table = opened.read_row_group(0) if opened.num_row_groups else None
    return table.slice(0, rows).to_pylist() if table else []


def row_group_rows(files: list[OwnFile]) -> int:
    """Return the number of rows of a full row group: the largest first row group of the files, or 1 without rows.

    A file's last row group, perhaps its only one, may have fewer.
    """
    ends = map(_metadata, files)
    return max((end.row_group(0).num_rows for end in ends if end.num_row_groups), default=0) or 1


def row_count(file: OwnFile) -> int:
    """Return the number of rows of a file, as its footer states it."""
    return _metadata(file).num_rows


def _metadata(file: OwnFile) -> pq.FileMetaData:
    """Return the footer of a file; the file's checksum is compared only when its rows are read."""
    with refusing(file), open_parquet(file.path) as opened:
        return opened.metadata


class _Shut(Exception):
    """Raised instead of reading from a `_Gate` that is shut."""


class _Gate:
    """A wrapper of an open file; while it is shut, each read raises `_Shut` instead of reading."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._is_shut = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        if self._is_shut:
            raise _Shut
        return self._file.read(size)

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Make any read raise _Shut during the block."""
        self._is_shut = True
        try:
            yield
        finally:
            self._is_shut = False


class BoundedParquet:
    """The table in a Parquet file, read in small batches, so that memory need not hold whole row groups."""

    def __init__(self, file: BinaryIO):
        self._file: BinaryIO = file.merged() if hasattr(file, "merged") else file  # A remote file merges its ranges.
        self._gate = _Gate(self._file)
        try:
            self._table = pq.ParquetFile(
                self._gate, pre_buffer=False, buffer_size=PIECE, page_checksum_verification=True
            )
        except UnicodeDecodeError as error:  # Arrow decodes the names of all columns.
            raise pa.ArrowInvalid(f"the name of a column, {error.object!r}, is not UTF-8; rename it") from None
        self.schema: pa.Schema = self._table.schema_arrow

    @property
    def rows(self) -> int:
        """The number of rows in the table, as the footer of the file states it."""
        return self._table.metadata.num_rows

    def group_rows(self) -> list[int]:
        """Return the number of rows of each row group, as the footer of the file states it."""
        return [self._table.metadata.row_group(group).num_rows for group in range(self._table.num_row_groups)]

    def group_bytes(self) -> list[int]:
        """Return the compressed size of each row group in bytes."""
        sizes = []
        for group in range(self._table.num_row_groups):
            sizes.append(sum(chunk.total_compressed_size for chunk in self._chunks(group).values()))
        return sizes

    def batches(
        self,
        columns: list[str],
        rows: int,
        groups: Iterable[int] | None = None,
        damaged: Callable[[], None] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of row groups (None: of all) in batches of at most `rows` rows and about BATCH_BYTES.

        If Arrow cannot decode the file, the rows end and `damaged` is called; without `damaged`, Arrow's error is
        raised. A disk or network that fails is an error in any case.
        """
        groups = range(self._table.num_row_groups) if groups is None else [*groups]
        if hasattr(self._file, "expect"):
            self._file.expect(self._ranges(groups, columns), len(columns))
        few: Iterator[pa.RecordBatch] = chain.from_iterable(self._few_rows(group, columns) for group in groups)
        if damaged is not None:
            few = _until_damaged(few, damaged)
        # A batch ends after the part that exceeds its limit, so limit and parts are half of BATCH_BYTES each.
        parts = chain.from_iterable(_parts(batch, BATCH_BYTES // 2) for batch in few)
        yield from gather_rows(parts, rows, BATCH_BYTES // 2, exact=True)

    def _few_rows(self, group: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
        rows = self._rows_at_once(group, columns)
        return self._table.iter_batches(rows, row_groups=[group], columns=columns, use_threads=False)

    def _rows_at_once(self, group: int, columns: list[str]) -> int:
        sizes = [
            self._dictionary_bytes(chunk)
            for path, chunk in self._chunks(group).items()
            if path in columns and chunk.total_uncompressed_size > FEW_BYTES // FEW_ROWS
        ]
        return max(1, min(FEW_ROWS, FEW_BYTES // max([1, *sizes])))

    def _ranges(self, groups: Iterable[int], columns: list[str]) -> Iterator[tuple[int, int]]:
        """Yield the (begin, end) of chunks of `columns` in the file, in bytes; chunks of over PIECE bytes are left out.

        Row groups whose metadata make no sense are also left out.
        """
        for group in groups:
            with suppress(pa.ArrowException):
                chunks = [chunk for path, chunk in self._chunks(group).items() if path in columns]
                yield from sorted(_range(chunk) for chunk in chunks if chunk.total_compressed_size <= PIECE)

    def _chunks(self, group: int) -> dict[str, pq.ColumnChunkMetaData]:
        """Return the metadata of the column chunks in a row group, by column; ArrowException if they make no sense.

        Arrow ends the process if it is asked for the metadata of a chunk that makes no sense, but raises an error if it
        reads the chunk. So Arrow is first made to read all columns, and is stopped before the first byte.
        """
        metadata = self._table.metadata.row_group(group)
        with self._gate.shut(), suppress(_Shut):
            next(self._table.iter_batches(1, row_groups=[group], use_threads=False), None)
        columns = [self._table.schema.column(i).path for i in range(self._table.metadata.num_columns)]
        return {path: metadata.column(i) for i, path in enumerate(columns)}

    def _dictionary_bytes(self, chunk: pq.ColumnChunkMetaData) -> int:
        """Return the unpacked size of a chunk's dictionary page, as the page's header states it; 0 if there is none."""
        self._file.seek(_range(chunk)[0])
        head = iter(self._file.read(_HEAD))
        # Thrift's compact protocol: the first two fields are integers, each behind a byte that says so.
        (kind_field, kind), (size_field, size) = ((next(head, 0), _zigzag(head)) for _ in range(2))
        return max(0, size) if (kind_field, size_field, kind) == (0x15, 0x15, _DICTIONARY) else 0

    def largest_page(self, column: str, least: int) -> int:
        """Return the unpacked size of a column's largest page, as headers state it; 0 if none can exceed `least`."""
        chunks = (self._chunks(group)[column] for group in range(self._table.num_row_groups))
        large = (chunk for chunk in chunks if chunk.total_uncompressed_size > least)
        return max(chain.from_iterable(map(self._page_sizes, large)), default=0)

    def _page_sizes(self, chunk: pq.ColumnChunkMetaData) -> Iterator[int]:
        at, end = _range(chunk)
        while at < end:
            self._file.seek(at)
            content = self._file.read(_LONGEST_HEAD)
            head = iter(content)
            sizes = _integers(head)
            yield sizes.get(_UNPACKED, 0)
            at += len(content) - len([*head]) + max(0, sizes.get(_PACKED, 0))


def _range(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """Return where a chunk begins and ends in its file."""
    begin = chunk.dictionary_page_offset or chunk.data_page_offset
    return begin, begin + chunk.total_compressed_size


def _integers(data: Iterator[int]) -> dict[int, int]:
    """Read a structure of Thrift's compact protocol to its end; return its integers by number of field."""
    integers: dict[int, int] = {}
    number = 0
    while kind := (head := next(data, 0)) & 15:
        number = number + (head >> 4) if head >> 4 else _zigzag(data)
        if kind == _STRUCTURE:
            _integers(data)
        elif kind in _INTEGERS:
            integers[number] = _zigzag(data)
        elif kind == _BINARY:
            deque(islice(data, _varint(data)), maxlen=0)
        elif kind not in _BOOLEANS:
            raise pa.ArrowInvalid("the header of a page makes no sense")
    return integers


def _zigzag(data: Iterator[int]) -> int:
    value = _varint(data)
    return value >> 1 ^ -(value & 1)


def _varint(data: Iterator[int]) -> int:
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value


def _until_damaged(batches: Iterator[pa.RecordBatch], damaged: Callable[[], None]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except (pa.ArrowException, OSError) as error:
        if not is_of_arrow(error):
            raise
        damaged()


def _parts(batch: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """Yield a batch in slices of about `size` bytes."""
    rows = max(1, batch.num_rows * size // max(1, batch.nbytes))
    for begin in range(0, batch.num_rows, rows):
        yield batch.slice(begin, rows)


def key_part(high: np.ndarray, parts: int) -> np.ndarray:
    """Return the index of the part of each key; the parts are `parts` equal ranges of keys, in order.

    `high` has the first int64 of each key, which is from `exact_numbers`.

    >>> key_part(np.array([-(2**63), -1, 0, 2**63 - 1]), 3).tolist()
    [0, 1, 1, 2]
    """
    leading = (high >> 32) + (1 << 31)  # These are the first 32 bits, as a number from 0.
    return (leading * parts) >> 32


def in_parts(batches: Iterable[pa.RecordBatch], schema: pa.Schema, parts: int, work: Path) -> Iterator[pa.Table]:
    """Yield the rows of all batches as `parts` tables, each of a range of the keys in the first column.

    `work` is an empty folder for temporary files, or is made.
    """
    work.mkdir(exist_ok=True)
    paths = [work / f"{part}.arrow" for part in range(parts)]
    with ExitStack() as stack:
        files = [stack.enter_context(pa.ipc.new_file(str(path), schema)) for path in paths]
        for batch in batches:
            # NumPy's stable sort takes linear time for numbers of one byte.
            part = key_part(batch[schema.names[0]].to_numpy(), parts).astype(np.uint8)
            order = np.argsort(part, kind="stable")
            ends = np.searchsorted(part[order], np.arange(parts + 1))
            batch = batch.take(pa.array(order))
            for number in np.flatnonzero(np.diff(ends)):
                files[number].write_batch(batch.slice(ends[number], ends[number + 1] - ends[number]))
    for file in [as_written(path) for path in paths]:
        yield open_arrow(file).read_all()
        file.path.unlink()
