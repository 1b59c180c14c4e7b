"""Parquet files as workers write and read them: row groups of one size, under their name only when whole.

The same rows in the same order give the same bytes, however they come in batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from runtime.errors import InputError
from runtime.storage.paths import AT_ONCE, files, is_url, read_bytes
from runtime.storage.whole import whole


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
            self._writer = pq.ParquetWriter(file, self._schema, compression="zstd", write_page_checksum=True)
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

    def __exit__(self, *error) -> None:
        self._opened.__exit__(*error)

    def _close(self, kind, error, trace) -> None:
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


def part_files(directory) -> list[Path]:
    """Return the whole Parquet files of a folder, in order."""
    return [path for path in files(directory, ".parquet") if not path.name.startswith((".", "_"))]


def open_parquet(path: Path, **options) -> pq.ParquetFile:
    """Return a Parquet file, opened; of a URL, a row group's columns are fetched together."""
    if is_url(path):
        return pq.ParquetFile(path.open("rb", cache_type="none"), pre_buffer=True, **options)
    return pq.ParquetFile(path, **options)


def batches(path: Path, rows: int, columns: list[str] | None = None, **options) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows in batches of at most so many; of a URL, one row group is in memory at a time."""
    with open_parquet(path, **options) as file:
        groups = [[group] for group in range(file.num_row_groups)] if is_url(path) else [None]
        for group in groups:
            yield from file.iter_batches(rows, row_groups=group, columns=columns)


def read_table(path: Path, **options) -> pa.Table:
    """Return the table in one file."""
    return pq.read_table(pa.BufferReader(read_bytes(path)) if is_url(path) else path, **options)


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


def _rows_of(path: Path) -> int:
    with open_parquet(path) as file:
        return file.metadata.num_rows
