"""Results of img2dataset, and matched images."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.schemas import MATCHED
from runtime.storage.paths import is_url

PARQUET_COLUMNS = ["uid", "url", "status"]


def all_bytes(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files below a folder, or at a URL, by their paths in it."""
    if is_url(folder):
        folder.fs.invalidate_cache()
        return {path[len(folder.path) + 1 :]: folder.fs.cat_file(path) for path in sorted(folder.fs.find(folder.path))}
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def results(folder: Path, rows: list[dict], columns=PARQUET_COLUMNS) -> Path:
    """A folder as img2dataset leaves it, without the tars."""
    folder.mkdir(exist_ok=True)
    table = pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in columns})
    pq.write_table(table, folder / "00000.parquet")
    (folder / "00000_stats.json").write_text("{}")
    return folder


def matched(images: list[dict]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(images, MATCHED)
