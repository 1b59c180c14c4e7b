"""Captions by uid: rows sorted by key in one file, which each process maps into memory.

`curation.captions` builds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.online.draw import purpose
from runtime.arrow.uid_keys import exact_numbers
from runtime.draws import draws
from runtime.errors import InputError
from runtime.storage.own_files import checksum_of
from runtime.storage.whole import whole

VERSION = b"1"
# One row an image; captions of all of them may have more bytes than short strings can.
CAPTIONS = pa.schema(
    [pa.field("high", pa.int64()), pa.field("low", pa.int64()), pa.field("caption", pa.large_string())],
    metadata={b"version": VERSION},
)


@dataclass(frozen=True, eq=False)
class Captions:
    """A caption of each of many images, in the order of their keys."""

    rows: pa.Table
    digest: str
    path: str

    def __reduce__(self) -> tuple:
        return Captions.open, (self.path,)  # another process maps the file, too

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Captions:
        """Map captions into memory; refuse a file that is none."""
        try:
            with pa.memory_map(str(path)) as file:
                rows = pa.ipc.open_file(file).read_all()
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path} holds no captions ({error}); build them with curation.captions.build") from None
        if not rows.schema.equals(CAPTIONS, check_metadata=True):
            raise InputError(f"{path} holds no captions of version {VERSION.decode()}; build them again")
        return cls(rows, checksum_of(Path(path)), str(path))

    @staticmethod
    def save(path: str | PathLike[str], rows: pa.Table) -> None:
        """Write CAPTIONS rows, sorted by key."""
        with whole(path) as partial, pa.ipc.new_file(str(partial), CAPTIONS) as file:
            file.write_table(rows.combine_chunks().cast(CAPTIONS))

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, uids: pa.Array) -> pa.Array:
        """Return the caption of each image, null where it has none."""
        found = self.find(uids)
        return self.rows["caption"].take(pa.array(found, mask=found < 0)).combine_chunks().cast(pa.string())

    def find(self, uids: pa.Array) -> np.ndarray:
        """Return the row of each image, -1 where it has none."""
        keys, high, low = exact_numbers(uids), *(self.rows[name].to_numpy() for name in ("high", "low"))
        rows = np.searchsorted(high, keys[:, 0])
        found, sought = np.full(len(rows), -1), np.arange(len(rows))
        while len(sought):  # more than once only where the first halves of keys are equal
            sought = sought[rows[sought] < len(high)]
            sought = sought[high[rows[sought]] == keys[sought, 0]]
            is_same = low[rows[sought]] == keys[sought, 1]
            found[sought[is_same]] = rows[sought[is_same]]
            sought = sought[~is_same]
            rows[sought] += 1
        return found

    def instead(self, uids: pa.Array, ratio: float, seed: int, epoch: int) -> pa.Array:
        """Return the caption that stands for the alt text of an image in an epoch, null where the alt text stays."""
        captions = self.of(uids)
        is_drawn = draws(seed, purpose("caption", epoch), uids) < ratio
        return pa.array(np.where(is_drawn, captions.to_numpy(zero_copy_only=False), None), pa.string())


def sorted_rows(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Return CAPTIONS rows in the order of keys, of one image the first."""
    rows = pa.Table.from_batches(batches, CAPTIONS)
    order = np.lexsort((rows["low"].to_numpy(), rows["high"].to_numpy()))  # keeps the order of equals
    rows = rows.take(pa.array(order))
    keys = np.stack([rows[name].to_numpy() for name in ("high", "low")])
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    return rows.filter(pa.array(is_first))
