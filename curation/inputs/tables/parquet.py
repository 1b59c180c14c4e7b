"""Read Parquet tables of pairs, by row groups."""

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from curation.inputs.candidates import ROWS, tallies
from curation.inputs.tables.arrow_rows import from_batch, string_columns
from curation.inputs.tables.columns import Glance, TableOptions
from runtime.storage.bounded_parquet import BoundedParquet


def read(file: BinaryIO, path: str, options: TableOptions, pieces: range | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in these row groups of a file, its pieces (None: in all), and its tallies."""
    table = BoundedParquet(file)
    columns = string_columns(table.schema, options, path)
    tally = Counter(files=1)

    def damaged() -> None:
        tally["dropped.corrupt_file"] += 1

    for batch in table.batches(list(set(columns.values())), ROWS, pieces, damaged):
        yield from from_batch(batch, columns, tally)
    yield tallies(tally)


def check(file: BinaryIO, path: str, options: TableOptions) -> Glance:
    """Refuse a file without the columns that are needed; return the compressed bytes of each row group."""
    table = BoundedParquet(file)
    string_columns(table.schema, options, path)
    return Glance(piece_bytes=table.group_bytes())
