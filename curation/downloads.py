"""What img2dataset could download: the images that exist, and the matched images among them.

Links of the web die, and a balance struck over dead ones is none: counting and sampling run again over these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.finished import batches
from curation.row_ids import uids
from curation.schemas import MATCHED, require
from curation.uids import contains, keys_of, save_sorted
from metadata.errors import InputError
from metadata.parquet import PartWriter, part_files

SUCCESS = "success"
_NO_STATUS = "no_status"
_BATCH = 1 << 16  # rows of a status file in memory at a time


@dataclass(frozen=True, eq=False)
class Downloads:
    """The images that exist, as ascending keys of their uids, and how many tries ended how."""

    keys: np.ndarray
    statuses: dict[str, int]  # img2dataset's words: success, failed_to_download, failed_to_resize

    @classmethod
    def collect(cls, folder, path) -> Downloads:
        """Return what img2dataset's results in `folder` say; the keys are written to `path`, a .npy, and mapped.

        Images are known by the column `uid`, or else by the MD5 of `url`, which is the uid of any image whose input
        brought none.
        """
        statuses: Counter = Counter()
        save_sorted((_existing_keys(batch, statuses) for batch in _results(Path(folder))), Path(path))
        return cls(open_keys(path), dict(sorted(statuses.items())))


def open_keys(path) -> np.ndarray:
    """Map the keys that `collect` wrote into memory; the workers of one machine share the pages."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def existing(batch: pa.RecordBatch, keys: np.ndarray) -> pa.RecordBatch:
    """Return the images of a MATCHED batch that are among the keys of those that exist."""
    batch = require(batch, MATCHED)
    return batch.filter(pa.array(contains(keys, keys_of(batch["uid"]))))


def write_existing(files: Iterable[Path], keys: np.ndarray, folder: Path, row_group_rows: int) -> int:
    """Write the images that exist of each file of matched images to a file of that name in `folder`.

    Returns their number; none at all is refused.
    """
    rows = sum(_write_file(file, keys, Path(folder) / file.name, row_group_rows) for file in files)
    if not rows:
        raise InputError(
            f"none of the {len(keys):,} downloaded images is among the matched ones; give the results of downloading "
            "this run's images, with `uid` among --save_additional_columns where the input brought its own uids"
        )
    return rows


def _write_file(file: Path, keys: np.ndarray, path: Path, row_group_rows: int) -> int:
    with PartWriter(path, MATCHED, row_group_rows) as writer:
        for batch in batches(file):
            writer.write(existing(batch, keys))
    return writer.rows


def _existing_keys(batch: pa.RecordBatch, statuses: Counter) -> np.ndarray:
    for each in batch["status"].fill_null(_NO_STATUS).value_counts().to_pylist():
        statuses[each["values"]] += each["counts"]
    there = batch.filter(pc.equal(batch["status"], SUCCESS))
    return keys_of(there["uid"] if "uid" in there.schema.names else uids(there["url"]))


def _results(folder: Path) -> Iterator[pa.RecordBatch]:
    """Yield `status` and `uid`, or else `url`, of all results of img2dataset in a folder."""
    files = part_files(folder)
    if not files:
        raise InputError(
            f"{folder} holds no results of img2dataset; give its --output_folder, with 00000.parquet beside 00000.tar"
        )
    for file in files:
        yield from _results_of(file)


def _results_of(file: Path) -> Iterator[pa.RecordBatch]:
    try:
        opened = pq.ParquetFile(file)
        names = opened.schema_arrow.names
        known_by = "uid" if "uid" in names else "url"
        if not {"status", known_by} <= set(names):
            raise InputError(f"{file} has the columns {names}; results of img2dataset have status and uid or url")
        yield from opened.iter_batches(_BATCH, columns=["status", known_by])
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{file} cannot be read ({error}): its shard is unfinished; run the same img2dataset command to its end"
        ) from None
