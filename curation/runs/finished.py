"""The Parquet files of a finished run, for what is made from them; its figures are read by `results`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from curation.runs.results import Results
from runtime.errors import InputError
from runtime.storage import parquet
from runtime.storage.parquet import part_files, require_rows

_BATCH = 1 << 16  # rows in memory at a time


def open_local(path) -> Results:
    """Return the results in a local folder; a URL is refused."""
    if "://" in str(path):
        raise InputError(f"{path} is a URL; copy the run to a local folder first, and give that")
    return Results.open(path)


def curated_files(run: Results) -> list[Path]:
    """Return the files of the manifest; a manifest with other rows than the run wrote is refused."""
    return _whole_files(run.path / "curated", run.facts["rows"]["kept"])


def matched_files(run: Results) -> list[Path]:
    """Return the files of the matched images that were counted; refused where rows are missing."""
    return _whole_files(*run.counted)


def batches(file: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows batch by batch; a damaged file is refused."""
    try:
        yield from parquet.batches(file, _BATCH, columns, verified=True)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file} is damaged ({error}); curate again with --overwrite") from None


def _whole_files(folder: Path, rows: int) -> list[Path]:
    files = part_files(folder)
    if not files:
        raise InputError(f"{folder} holds no Parquet files, the run wrote {rows:,} rows; curate again with --overwrite")
    require_rows(files, rows)
    return files
