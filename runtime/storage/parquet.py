"""Write Parquet files whole under their names, and read this project's: those of others are read by `bounded_parquet`.

Workers write row groups of one size: the same rows in the same order give the same bytes, however they are batched. A
file is read after the checksum of all its bytes is compared, if one is known (`own_files`), and with its page
checksums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runtime.errors import InputError
from runtime.storage.own_files import OwnFile, checksum_of, intact, refusing
from runtime.storage.paths import in_threads, is_url
from runtime.storage.whole import whole


class PartWriter:
    """Writes batches to one file, in row groups of one size."""

    def __init__(self, writer: pq.ParquetWriter, row_group_rows: int):
        self._writer, self._row_group_rows = writer, row_group_rows
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self.rows = 0
        self.checksum = ""  # of the file's bytes, once it is whole

    def write(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch of the schema."""
        self.rows += batch.num_rows
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        while self._pending_rows >= self._row_group_rows:
            self._flush(self._row_group_rows)

    def finish(self) -> None:
        """Write the rows that fill no row group."""
        if self._pending_rows:
            self._flush(self._pending_rows)

    def _flush(self, rows: int) -> None:
        table = pa.Table.from_batches(self._pending, self._writer.schema)
        # One chunk a column: page limits would otherwise follow the batches.
        self._writer.write_table(table.slice(0, rows).combine_chunks(), row_group_size=rows)
        rest = table.slice(rows)
        self._pending, self._pending_rows = rest.to_batches(), len(rest)


@contextmanager
def part_writer(
    path: Path, schema: pa.Schema, row_group_rows: int, see: Callable[[Path], object] | None = None
) -> Iterator[PartWriter]:
    """Yield a writer of one file, which exists after the block only if no error occurred; `see` is given a local path.

    Two tries of one task may write at the same time: each has a partial file of its own, and both hold the same.
    """
    with whole(path) as file:
        with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as parquet:
            writer = PartWriter(parquet, row_group_rows)
            yield writer
            writer.finish()
        writer.checksum = checksum_of(file)
        if see:
            see(file)


def write_tables(path: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> str:
    """Write tables to a file that is whole under its name; each begins a row group. Return the file's checksum."""
    with whole(path) as file:
        with pq.ParquetWriter(file, schema, write_page_checksum=True) as writer:
            for table in tables:
                writer.write_table(table)
        return checksum_of(file)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file; at a URL, the columns of a row group are fetched together."""
    if is_url(path):
        file = path.open("rb", cache_type="none")  # type: ignore[call-overload]  # UPath passes it on to fsspec
        return pq.ParquetFile(file, pre_buffer=True, page_checksum_verification=True)
    return pq.ParquetFile(path, page_checksum_verification=True)


def batches(file: OwnFile, rows: int = 1 << 16, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows in batches of at most so many; a damaged file is refused."""
    with refusing(file), intact(file) as path, open_parquet(path) as opened:
        if opened.num_row_groups:  # pyarrow 19 iterates over no file without
            yield from opened.iter_batches(rows, columns=columns)


def read_table(file: OwnFile, columns: list[str] | None = None, rows: pc.Expression | None = None) -> pa.Table:
    """Return the table in one file, or some columns of it, or the rows for which an expression is true."""
    with refusing(file), intact(file) as path:
        return pq.read_table(path, columns=columns, filters=rows, page_checksum_verification=True)


def require_rows(files: list[OwnFile], rows: int) -> None:
    """Refuse files that do not hold as many rows as were written."""
    found = sum(row_counts(files))
    if found != rows:
        folder, remedy = (files[0].path.parent, files[0].remedy) if files else ("matched/", "curate with --overwrite")
        raise InputError(f"{folder} holds {found:,} images, {rows:,} were written; {remedy}")


def row_counts(files: Sequence[OwnFile]) -> list[int]:
    """Return the number of rows of each file."""
    return [*in_threads(rows_of, files)]


def first_rows(files: list[OwnFile], rows: int) -> list[dict]:
    """Return the first rows of a manifest."""
    with refusing(files[0]), intact(files[0]) as path, open_parquet(path) as opened:
        table = opened.read_row_group(0) if opened.num_row_groups else None
    return table.slice(0, rows).to_pylist() if table else []


def row_group_rows(files: list[OwnFile]) -> int:
    """Return the size of row groups: the largest first group, since only the last of a file has fewer rows."""
    ends = map(_metadata, files)
    return max((end.row_group(0).num_rows for end in ends if end.num_row_groups), default=0) or 1


def rows_of(file: OwnFile) -> int:
    """Return the number of rows of a file, as its end states it."""
    return _metadata(file).num_rows


def _metadata(file: OwnFile) -> pq.FileMetaData:
    """Return what stands at the end of a file, which is compared with the checksum only when its rows are read."""
    with refusing(file), open_parquet(file.path) as opened:
        return opened.metadata
