"""Parquet in bounded memory: by pieces of the columns that are wanted, however large row groups and texts are."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from curation.inputs.candidates import ROWS

PIECE = 4 << 20  # bytes of a column that are read at once: a request to an object store, held for each column
FEW_ROWS = 128  # read at once: a dictionary page of 1 MB may stand for texts of gigabytes
FEW_BYTES = 128 << 20  # of a dictionary page times the rows read at once, as one text may be all of the page
BATCH_BYTES = 16 << 20
_HEAD = 16  # bytes that hold kind and size of a page
_DICTIONARY = 2


def open_parquet(file: BinaryIO) -> pq.ParquetFile:
    """Return the table in `file`, of which no more is read than is asked for; it keeps whole row groups otherwise."""
    return pq.ParquetFile(file, pre_buffer=False, buffer_size=PIECE)


def batches(
    table: pq.ParquetFile, file: BinaryIO, groups: Iterable[int], columns: list[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of these row groups of the table in `file`: at most ROWS and about BATCH_BYTES in a batch."""
    few = (each for group in groups for each in _few(table, file, group, columns))
    yield from _joined_up(part for each in few for part in _parts(each))


def _few(table, file, group, columns):
    at_once = _rows_at_once(file, table.metadata.row_group(group), columns)
    return table.iter_batches(at_once, row_groups=[group], columns=columns, use_threads=False)


def _rows_at_once(file: BinaryIO, group: pq.RowGroupMetaData, columns: list[str]) -> int:
    chunks = (group.column(i) for i in range(group.num_columns))
    sizes = [
        _dictionary_bytes(file, chunk)
        for chunk in chunks
        if chunk.path_in_schema in columns and chunk.total_uncompressed_size > FEW_BYTES // FEW_ROWS
    ]
    return max(1, min(FEW_ROWS, FEW_BYTES // max([1, *sizes])))


def _dictionary_bytes(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> int:
    """Return the unpacked size of a column chunk's dictionary page, as the page's header has it; 0 without one."""
    file.seek(chunk.dictionary_page_offset or chunk.data_page_offset)
    head = iter(file.read(_HEAD))
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


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield a batch in parts of about BATCH_BYTES."""
    rows = max(1, batch.num_rows * BATCH_BYTES // max(1, batch.nbytes))
    for begin in range(0, batch.num_rows, rows):
        yield batch.slice(begin, rows)


def _joined_up(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    held, rows, size = [], 0, 0
    try:
        for few in batches:
            if held and (rows + few.num_rows > ROWS or size + few.nbytes > BATCH_BYTES):
                yield _joined(held)
                held, rows, size = [], 0, 0
            held.append(few)
            rows, size = rows + few.num_rows, size + few.nbytes
    except (pa.ArrowException, OSError):
        if held:  # what came before the damage
            yield _joined(held)
        raise
    if held:
        yield _joined(held)


def _joined(held):
    """Return one batch of some; `concat_batches` came with pyarrow 19."""
    if len(held) == 1:
        return held[0]
    return pa.Table.from_batches(held).combine_chunks().to_batches()[0]
