"""Read img2dataset's results, and keep the matched images that were downloaded.

Links of the web die, and a balance over dead links is wrong: counting and sampling run again over what exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.images.uids import uids
from curation.schemas import MATCHED
from runtime.arrow.schemas import require
from runtime.arrow.uid_keys import LABELLED, keys_of, labelled, labels, save_sorted
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import PartWriter, batches, open_parquet, part_files
from runtime.tallies import Tallies

SUCCESS = "success"
NOT_TRIED = "not_tried"  # the status of a matched image that is in no result
_NO_STATUS = "no_status"
_MOST_STATUSES = 256  # as many as a byte can number; img2dataset has three
_BATCH = 1 << 16  # rows of a file of results in memory at a time


@dataclass(frozen=True)
class Downloads:
    """The results of img2dataset: a file with the status of each image tried, and the names of the statuses.

    The file is a .npy of the images' LABELLED keys, ascending; a label is the index of the status among the names.
    Success comes first: if an image was tried several times, the try that succeeded is found.
    """

    path: Path
    statuses: tuple[str, ...]

    @classmethod
    def collect(cls, files: Iterable[Path], path: Path) -> Downloads:
        """Return the downloads that files of results record, written to `path`.

        The column `uid` says which image a row is. Without it the MD5 of `url` does, which is the uid of every image
        whose input brought none.
        """
        statuses = {SUCCESS: 0}
        save_sorted((_tried(batch, statuses) for file in files for batch in _results(file)), path, kind=LABELLED)
        return cls(path, tuple(statuses))


def find_results(folders: Iterable[str | PathLike[str]]) -> list[Path]:
    """Return the files of img2dataset's results in its output folders; refuse a folder without any."""
    found = {folder: part_files(Path(folder)) for folder in folders}
    for folder, files in found.items():
        if not files:
            raise InputError(
                f"{folder} holds no results of img2dataset; give its --output_folder, with 00000.parquet beside "
                "00000.tar"
            )
    return [file for files in found.values() for file in files]


def write_existing(
    file: OwnFile, tried: np.ndarray, statuses: tuple[str, ...], path: Path, row_group_rows: int
) -> Tallies:
    """Write those images of a file of matched ones that exist to `path`; return the number of images by status."""
    tallies = Tallies()
    with PartWriter(path, MATCHED, row_group_rows) as writer:
        for batch in batches(file):
            writer.write(existing(batch, tried, statuses, tallies))
    tally(tallies, path, writer.checksum)
    return tallies


def existing(batch: pa.RecordBatch, tried: np.ndarray, statuses: tuple[str, ...], tallies: Tallies) -> pa.RecordBatch:
    """Return the images of a MATCHED batch that were downloaded; tally all of them by status."""
    batch = require(batch, MATCHED)
    of_image = labels(tried, keys_of(batch["uid"]))
    for status, images in zip(*np.unique(of_image, return_counts=True), strict=True):
        tallies.add(f"status.{statuses[status] if status >= 0 else NOT_TRIED}", int(images))
    return batch.filter(pa.array(of_image == 0))


def require_success(statuses: Mapping[str, int]) -> None:
    """Refuse a download without any matched image, given the number of matched images by status."""
    if not statuses.get(SUCCESS):
        counts = ", ".join(f"{images:,} {status}" for status, images in statuses.items()) or "there is none"
        raise InputError(
            f"no matched image was downloaded ({counts}); give the results of downloading this run's matched/, with "
            "`uid` among --save_additional_columns where the input brought its own uids"
        )


def _tried(batch: pa.RecordBatch, statuses: dict[str, int]) -> np.ndarray:
    """Return the LABELLED keys of some results; a new status gets the next number."""
    column = batch["status"].cast(pa.string()).fill_null(_NO_STATUS).dictionary_encode()
    numbers = [statuses.setdefault(status, len(statuses)) for status in column.dictionary.to_pylist()]
    if len(statuses) > _MOST_STATUSES:
        raise InputError(f"the results of img2dataset hold more than {_MOST_STATUSES} different words for a status")
    keys = keys_of(batch["uid"] if "uid" in batch.schema.names else uids(batch["url"]))
    return labelled(keys, np.array(numbers, np.uint8)[column.indices.to_numpy()])


def _results(file: Path) -> Iterator[pa.RecordBatch]:
    """Yield `status` and `uid`, or else `url`, of a file of results."""
    try:
        with open_parquet(file) as opened:
            names = opened.schema_arrow.names
            identity = "uid" if "uid" in names else "url"
            if not {"status", identity} <= set(names):
                raise InputError(f"{file} has the columns {names}; results of img2dataset have status and uid or url")
            yield from opened.iter_batches(_BATCH, columns=["status", identity])
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{file} cannot be read ({error}): its shard is unfinished; run the same img2dataset command to its end"
        ) from None
