"""Write Parquet files that are whole under their names, and read these files of our own.

Workers write row groups of one size: the same rows in the same order give the same bytes, however they come in batches.
Files of others are read by `bounded_parquet`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetFile, ParquetWriter
from pyarrow.parquet import read_table as read_arrow_table

from runtime.errors import InputError
from runtime.storage.paths import AT_ONCE, files, is_url, read_bytes
from runtime.storage.whole import whole

VERIFIED = False  # whether a read compares the checksums of all pages, where its caller does not say


class PartWriter:
    """Writes batches to one file; as a context, the file is there after the block, and only if nothing went wrong.

    Two tries of one task may write at the same time: each has a partial file of its own, and both hold the same.
    """

    def __init__(self, path: Path, schema: pa.Schema, row_group_rows: int):
        self._path, self._schema, self._row_group_rows = path, schema, row_group_rows
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self.rows = 0

    def __enter__(self) -> PartWriter:
        with ExitStack() as opened:
            file = opened.enter_context(whole(self._path))
            self._writer = ParquetWriter(file, self._schema, compression="zstd", write_page_checksum=True)
            opened.push(self._close)
            self._opened = opened.pop_all()
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch of the schema."""
        self.rows += batch.num_rows
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        while self._pending_rows >= self._row_group_rows:
            self._flush(self._row_group_rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def _close(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._pending_rows:
                self._flush(self._pending_rows)
        finally:
            self._writer.close()

    def _flush(self, rows: int) -> None:
        table = pa.Table.from_batches(self._pending, self._schema)
        # One chunk a column: page limits would otherwise follow the batches.
        self._writer.write_table(table.slice(0, rows).combine_chunks(), row_group_size=rows)
        rest = table.slice(rows)
        self._pending, self._pending_rows = rest.to_batches(), len(rest)


def write_tables(path: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> None:
    """Write tables to a file that is whole under its name; each begins a row group."""
    with whole(path) as file, ParquetWriter(file, schema, write_page_checksum=True) as writer:
        for table in tables:
            writer.write_table(table)


def part_files(directory: Path) -> list[Path]:
    """Return the whole Parquet files of a folder, in order."""
    return [path for path in files(directory, ".parquet") if not path.name.startswith((".", "_"))]


def open_parquet(path: Path, verified: bool = VERIFIED) -> ParquetFile:
    """Return a Parquet file, opened; of a URL, a row group's columns are fetched together."""
    if is_url(path):
        file = path.open("rb", cache_type="none")  # type: ignore[call-overload]  # UPath passes it on to fsspec
        return ParquetFile(file, pre_buffer=True, page_checksum_verification=verified)
    return ParquetFile(path, page_checksum_verification=verified)


def batches(
    path: Path, rows: int, columns: list[str] | None = None, verified: bool = VERIFIED
) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows in batches of at most so many; of a URL, one row group is in memory at a time."""
    with open_parquet(path, verified) as file:
        groups = [[group] for group in range(file.num_row_groups)] if is_url(path) else [None]
        for group in groups:
            yield from file.iter_batches(rows, row_groups=group, columns=columns)


def intact_batches(path: Path, columns: list[str] | None = None, rows: int = 1 << 16) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows in batches of at most so many; refuse a file that the checksums of its pages show damaged."""
    try:
        yield from batches(path, rows, columns, verified=True)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is damaged ({error}); curate again with --overwrite") from None


def read_table(path: Path, columns: list[str] | None = None, rows: pc.Expression | None = None) -> pa.Table:
    """Return the table in one file, or some columns of it, or the rows of which an expression is true."""
    file = pa.BufferReader(read_bytes(path)) if is_url(path) else path
    return read_arrow_table(file, columns=columns, filters=rows, page_checksum_verification=VERIFIED)


def require_rows(files: list[Path], rows: int) -> None:
    """Refuse files that do not hold as many rows as were written."""
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = sum(pool.map(_rows_of, files))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"a file of matched images is damaged ({error}); run again with --overwrite") from None
    if found != rows:
        folder = files[0].parent if files else "matched/"
        raise InputError(f"{folder} holds {found:,} images, {rows:,} were written: run again with --overwrite")


def first_rows(files: list[Path], rows: int) -> list[dict]:
    """Return the first rows of a manifest."""
    with open_parquet(files[0]) as file:
        table = file.read_row_group(0) if file.num_row_groups else None
    return table.slice(0, rows).to_pylist() if table else []


def row_group_rows(files: list[Path]) -> int:
    """Return the size of row groups: that of the largest first one, since only the last of a file has fewer rows."""
    return max((_first_group_rows(file) for file in files), default=0) or 1


def _first_group_rows(path: Path) -> int:
    with open_parquet(path) as file:
        return file.metadata.row_group(0).num_rows if file.num_row_groups else 0


def _rows_of(path: Path) -> int:
    with open_parquet(path) as file:
        return file.metadata.num_rows
