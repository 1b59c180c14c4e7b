"""Estimate from samples of the inputs whether a run's files fit on its disks; warn or refuse if they do not."""

import io
import math
import shutil
from collections.abc import Sequence
from os import PathLike

import pyarrow as pa
import pyarrow.parquet as pq

from curation.inputs.files import Input, samples
from curation.run.request import Options
from runtime.engine import Engine
from runtime.errors import InputError
from runtime.folders.ownership import is_free
from runtime.kernel_caches import scratch_folder
from runtime.progress import Progress
from runtime.storage.paths import as_path, existing, is_url
from runtime.terminal import readable
from runtime.warming import compile_kernels

# A row of pairs/, matched/ and curated/ takes this many bytes besides URL, text and page.
PAIR, MATCHED, CURATED = 70, 55, 55
PLENTY = 20  # No run writes more than this many times the bytes of its inputs.
ALL_PARTS = 2.5  # If most pairs match, all files of a run take this many times the bytes of pairs/.


def row_bytes(rows: pa.Table | pa.RecordBatch) -> float:
    """Return the bytes per row of URL, text and page URL, compressed in Parquet."""
    packed = io.BytesIO()
    pq.write_table(pa.table(rows.select(["url", "text", "page_url"])), packed, compression="zstd")
    return packed.tell() / max(1, rows.num_rows)


def free_bytes(output: str | PathLike[str]) -> int | None:
    """Return the bytes that are free on the file system of an output folder; None for a URL, or without a disk."""
    path = as_path(output)
    if is_url(path):
        return None
    usage = shutil.disk_usage(existing(path))
    return usage.free if usage.total else None


def lacking_space(output: str | PathLike[str], need: float, free: float) -> str:
    """Return a sentence that says that about `need` bytes do not fit into an output folder."""
    sizes = readable(round(need)), readable(round(free))
    return f"about {sizes[0]} will be written into {output}, but only {sizes[1]} are free on its disk"


def _free(folder: str | PathLike[str]) -> float:
    """Return the free bytes of a folder's disk; infinity for a folder in an object store."""
    size = free_bytes(folder)
    return math.inf if size is None else size


def require_space(output: str | PathLike[str], inputs: Sequence[Input], options: Options, progress: Progress) -> None:
    """Raise InputError if the pairs of a new run will not fit into its output folder; warn if the whole run may not."""
    free = _free(output)
    if not is_free(as_path(output)) or _surely_fit(inputs, free):
        return
    need = _bytes_of_pairs(inputs, options, progress)
    if need > free:
        raise InputError(f"{lacking_space(output, need, free)}; make room, or pass an output folder on another disk")
    if need * ALL_PARTS > free:
        progress.note(f"{lacking_space(output, need * ALL_PARTS, free)}; --dry-run estimates this more exactly.")


def warn_of_temporary_files(
    output: str | PathLike[str], inputs: Sequence[Input], options: Options, engine: Engine, progress: Progress
) -> None:
    """Warn if the temporary files in which a new run groups pairs by image may not fit on their disk.

    Processes of this machine read the pairs in a local output folder, and write no such files.
    """
    reads_in_place = engine.is_local and not is_url(as_path(output))
    if options.unique_images or reads_in_place or not is_free(as_path(output)):
        return
    temporary = scratch_folder()
    free = _free(temporary)
    if _surely_fit(inputs, free):
        return
    need = _bytes_of_pairs(inputs, options, progress)
    if need > free:
        progress.note(f"{lacking_space(temporary, need, free)}; set TMPDIR to a folder on another disk.")


def _surely_fit(inputs: Sequence[Input], free: float) -> bool:
    """Say whether a run's files fit into this many free bytes, however large they are for inputs of this size."""
    return sum(source.size for source in inputs) * PLENTY < free


def _bytes_of_pairs(inputs: Sequence[Input], options: Options, progress: Progress) -> float:
    """Return the estimated bytes of the pairs of all inputs, packed."""
    compile_kernels(options.kernels(inputs), progress)
    return sum((row_bytes(sample.rows) + PAIR) * sample.pairs for sample in samples([*inputs], options.columns))
