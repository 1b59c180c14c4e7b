"""Captions by uid: rows sorted by key in one file, which each process maps into memory.

`curation.captions` builds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.online.config import OnlineConfig
from curation.online.draw import purpose
from curation.online.keyed import KEY, open_rows, rows_of
from runtime.arrow.uid_keys import exact_numbers
from runtime.draws import draws
from runtime.parameters import require_integer, require_share
from runtime.storage.own_files import checksum_of
from runtime.storage.whole import whole

VERSION = b"2"
# What is known of a caption: its score and who wrote it are null where the table does not say.
VALUES = (pa.field("caption", pa.string()), pa.field("score", pa.float64()), pa.field("source", pa.string()))
# One row an image. Keys ascend, also from one record batch to the next, and those with one first half are in one
# batch. A batch may have more bytes than short strings can.
CAPTIONS = pa.schema(
    [
        *KEY,
        *(field.with_type(pa.large_string()) if field.type == pa.string() else field for field in VALUES),
    ],
    metadata={b"version": VERSION},
)
_NONE = pa.RecordBatch.from_pylist([dict.fromkeys(CAPTIONS.names)], CAPTIONS)


@dataclass(frozen=True)
class CaptionDraw:
    """Which captions stand for the texts of their images: a share of them, drawn by seed, epoch and uid."""

    ratio: float = OnlineConfig.caption_ratio
    seed: int = OnlineConfig.seed
    epoch: int = 0

    def __post_init__(self) -> None:
        require_share("caption_ratio", self.ratio)
        require_integer("epoch", self.epoch, 0)


@dataclass(frozen=True, eq=False)
class Captions:
    """A caption of each of many images, in the order of their keys."""

    batches: Sequence[pa.RecordBatch]
    digest: str
    path: str

    def __reduce__(self) -> tuple:
        return Captions.open, (self.path,)  # another process maps the file, too

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Captions:
        """Map captions into memory; refuse a file that is none."""
        rows = open_rows(path, CAPTIONS, "captions")
        return cls([batch for batch in rows.to_batches() if batch.num_rows], checksum_of(Path(path)), str(path))

    @staticmethod
    def save(path: str | PathLike[str], batches: Iterable[pa.RecordBatch]) -> None:
        """Write batches of CAPTIONS rows, sorted by key."""
        with whole(path) as partial, pa.ipc.new_file(str(partial), CAPTIONS) as file:
            for batch in batches:
                file.write_batch(batch.cast(CAPTIONS))

    def __len__(self) -> int:
        return sum(batch.num_rows for batch in self.batches)

    def of(self, uids: pa.Array) -> pa.Array:
        """Return the caption of each image, null where it has none."""
        return self.values(uids)["caption"]

    def values(self, uids: pa.Array) -> pa.RecordBatch:
        """Return the VALUES of each image's caption, nulls where it has none."""
        batch_of, row_of = self._find(uids)
        order = np.argsort(batch_of, kind="stable")
        found = [_NONE.slice(0, 0)]
        for number in np.unique(batch_of):
            batch = _NONE if number < 0 else self.batches[number]
            found.append(batch.take(pa.array(row_of[batch_of == number])))
        rows = pa.concat_batches(found).take(pa.array(np.argsort(order)))
        return rows.select([field.name for field in VALUES]).cast(pa.schema(VALUES))

    def has(self, uids: pa.Array) -> np.ndarray:
        """Return whether each image has a caption."""
        return self._find(uids)[0] >= 0

    def instead(self, uids: pa.Array, draw: CaptionDraw) -> pa.Array:
        """Return the caption that stands for the text of an image in an epoch, null where the text stays."""
        captions = self.of(uids)
        is_drawn = draws(draw.seed, purpose("caption", draw.epoch), uids) < draw.ratio
        return pa.array(np.where(is_drawn, captions.to_numpy(zero_copy_only=False), None), pa.string())

    @cached_property
    def _firsts(self) -> np.ndarray:
        """The first half of the first key of each batch."""
        return np.array([batch["high"][0].as_py() for batch in self.batches], np.int64)

    def _find(self, uids: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Return the batch of each image and its row in it: -1 and 0 where it has none."""
        keys = exact_numbers(uids)
        batch_of = np.searchsorted(self._firsts, keys[:, 0], "right") - 1
        row_of = np.zeros(len(keys), np.int64)
        for number in np.unique(batch_of[batch_of >= 0]):
            sought = np.flatnonzero(batch_of == number)
            rows = rows_of(self.batches[number], keys[sought])
            batch_of[sought[rows < 0]] = -1
            row_of[sought] = np.maximum(rows, 0)
        return batch_of, row_of
