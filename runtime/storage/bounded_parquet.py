"""Read Parquet files of other programs in bounded memory: their row groups and texts may have any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from runtime.arrow.batching import gather_rows
from runtime.storage.own_files import is_of_arrow

PIECE = 4 << 20  # bytes of a column that are read at once: a request to an object store, held for each column
FEW_ROWS = 128  # read at once: a dictionary page of 1 MB may stand for texts of gigabytes
FEW_BYTES = 128 << 20  # of a dictionary page times the rows read at once, as one text may be all of the page
BATCH_BYTES = 16 << 20  # of a batch, at most about
_HEAD = 16  # bytes that hold kind and size of a page
_DICTIONARY = 2


class _Shut(Exception):
    """A file was read while nothing may be read of it."""


class _Gate:
    """A file that can be shut for a while."""

    def __init__(self, file: BinaryIO):
        self._file, self._is_shut = file, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        if self._is_shut:
            raise _Shut
        return self._file.read(size)

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Let any read fail during the block."""
        self._is_shut = True
        try:
            yield
        finally:
            self._is_shut = False


class BoundedParquet:
    """The table in a file; of its row groups, no more is in memory than is asked for."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._gate = _Gate(file)
        try:
            self._table = pq.ParquetFile(
                self._gate, pre_buffer=False, buffer_size=PIECE, page_checksum_verification=True
            )
        except UnicodeDecodeError as error:  # Arrow makes strings of the names of all columns
            raise pa.ArrowInvalid(f"the name of a column, {error.object!r}, is not UTF-8; rename it") from None
        self.schema: pa.Schema = self._table.schema_arrow

    @property
    def rows(self) -> int:
        """The number of its rows, as the end of the file states it."""
        return self._table.metadata.num_rows

    def group_bytes(self) -> list[int]:
        """Return the compressed size of each row group."""
        groups = map(self._chunks, range(self._table.num_row_groups))
        return [sum(chunk.total_compressed_size for chunk in chunks.values()) for chunks in groups]

    def batches(
        self,
        columns: list[str],
        rows: int,
        groups: Iterable[int] | None = None,
        damaged: Callable[[], None] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of these row groups (None: of all), `rows` and about BATCH_BYTES at most in a batch.

        Where Arrow can make no sense of the file, the rows end and `damaged` is called, if it is given. A disk or
        network that fails is an error in any case.
        """
        groups = range(self._table.num_row_groups) if groups is None else groups
        few: Iterator[pa.RecordBatch] = chain.from_iterable(self._few_rows(group, columns) for group in groups)
        if damaged is not None:
            few = _until_damaged(few, damaged)
        # Half, as a batch may have one part more than it needs.
        parts = (part for each in few for part in _parts(each, BATCH_BYTES // 2))
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

    def _chunks(self, group: int) -> dict[str, pq.ColumnChunkMetaData]:
        """Return what the end of the file states of a row group's chunks, by column; ArrowException for nonsense.

        Arrow ends the process where it is asked for a chunk that makes no sense to it, and raises an error where it
        reads one. So it is told to read all, and is stopped before the first byte.
        """
        found = self._table.metadata.row_group(group)
        with self._gate.shut(), suppress(_Shut):
            next(self._table.iter_batches(1, row_groups=[group], use_threads=False), None)
        columns = [self._table.schema.column(i).path for i in range(self._table.metadata.num_columns)]
        return {path: found.column(i) for i, path in enumerate(columns)}

    def _dictionary_bytes(self, chunk: pq.ColumnChunkMetaData) -> int:
        """Return the unpacked size of a column chunk's dictionary page, as the page's header has it; 0 without one."""
        self._file.seek(chunk.dictionary_page_offset or chunk.data_page_offset)
        head = iter(self._file.read(_HEAD))
        # Thrift's compact protocol: the first two fields are integers, each behind a byte that says so.
        (kind_field, kind), (size_field, size) = ((next(head, 0), _zigzag(head)) for _ in range(2))
        return max(0, size) if (kind_field, size_field, kind) == (0x15, 0x15, _DICTIONARY) else 0


def _zigzag(data: Iterator[int]) -> int:
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value >> 1 ^ -(value & 1)


def _until_damaged(batches: Iterator[pa.RecordBatch], damaged: Callable[[], None]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except (pa.ArrowException, OSError) as error:
        if not is_of_arrow(error):
            raise
        damaged()


def _parts(batch: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """Yield a batch in parts of about `size` bytes."""
    rows = max(1, batch.num_rows * size // max(1, batch.nbytes))
    for begin in range(0, batch.num_rows, rows):
        yield batch.slice(begin, rows)
