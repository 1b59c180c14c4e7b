"""Parquet in bounded memory: by pieces of the columns that are wanted, however large row groups and texts are."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from curation.candidates import ROWS

PIECE = 4 << 20  # bytes of a column that are read at once: a request to an object store, held for each column
FEW_ROWS = 128  # read at once: a dictionary page of 1 MB may stand for texts of gigabytes
BATCH_BYTES = 16 << 20


def open_parquet(file: BinaryIO) -> pq.ParquetFile:
    """Return the table in `file`, of which no more is read than is asked for; it keeps whole row groups otherwise."""
    return pq.ParquetFile(file, pre_buffer=False, buffer_size=PIECE)


def batches(table: pq.ParquetFile, groups: Iterable[int], columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of these row groups in batches of at most ROWS rows and about BATCH_BYTES."""
    held, rows, size = [], 0, 0
    for few in table.iter_batches(FEW_ROWS, row_groups=list(groups), columns=columns, use_threads=False):
        if held and (rows + few.num_rows > ROWS or size + few.nbytes > BATCH_BYTES):
            yield _joined(held)
            held, rows, size = [], 0, 0
        held.append(few)
        rows, size = rows + few.num_rows, size + few.nbytes
    if held:
        yield _joined(held)


def _joined(held):
    """Return one batch of some; `concat_batches` came with pyarrow 19."""
    if len(held) == 1:
        return held[0]
    return pa.Table.from_batches(held).combine_chunks().to_batches()[0]
