"""Parquet files as workers write them: row groups of one size, under their name only when whole.

The same rows in the same order give the same bytes, however they come in batches.
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from metadata.errors import InputError


class PartWriter:
    """Writes batches to one file; as a context, the file is there after the block, and only if nothing went wrong.

    Two tries of one task may write at the same time: each has a partial file of its own, and both hold the same.
    """

    def __init__(self, path: Path, schema: pa.Schema, row_group_rows: int):
        self._path, self._schema, self._row_group_rows = path, schema, row_group_rows
        self._partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self.rows = 0

    def __enter__(self) -> PartWriter:
        self._writer = pq.ParquetWriter(self._partial, self._schema, compression="zstd", write_page_checksum=True)
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch of the schema."""
        self.rows += batch.num_rows
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        while self._pending_rows >= self._row_group_rows:
            self._flush(self._row_group_rows)

    def __exit__(self, kind, error, trace) -> None:
        try:
            if kind is None and self._pending_rows:
                self._flush(self._pending_rows)
            self._writer.close()
            if kind is None:
                os.replace(self._partial, self._path)
        finally:
            self._partial.unlink(missing_ok=True)

    def _flush(self, rows: int) -> None:
        table = pa.Table.from_batches(self._pending, self._schema)
        # One chunk a column: page limits would otherwise follow the batches.
        self._writer.write_table(table.slice(0, rows).combine_chunks(), row_group_size=rows)
        rest = table.slice(rows)
        self._pending, self._pending_rows = rest.to_batches(), len(rest)


def part_files(directory: Path) -> list[Path]:
    """Return the whole Parquet files of a folder, in order."""
    return sorted(path for path in Path(directory).glob("*.parquet") if not path.name.startswith((".", "_")))


def require_rows(files: list[Path], rows: int) -> None:
    """Refuse files that do not hold as many rows as were written."""
    try:
        found = sum(pq.read_metadata(path).num_rows for path in files)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"a file of matched images is damaged ({error}); run again with --overwrite") from None
    if found != rows:
        folder = files[0].parent if files else "matched/"
        raise InputError(f"{folder} holds {found:,} images, {rows:,} were written: run again with --overwrite")


def first_rows(files: list[Path], rows: int) -> list[dict]:
    """Return the first rows of a manifest."""
    table = pq.ParquetFile(files[0]).read_row_group(0) if pq.read_metadata(files[0]).num_row_groups else None
    return table.slice(0, rows).to_pylist() if table else []
