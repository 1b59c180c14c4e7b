"""Captions by uid: rows sorted by key in one file, which each process maps into memory.

`curation.by_uid.caption_tables` builds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.mapped_rows import KEY, open_rows, rows_of, save_rows
from runtime.arrow.uid_keys import exact_numbers

VERSION = b"2"
# What is known of a caption: its score and who wrote it are null where the table does not say.
VALUES = (pa.field("caption", pa.string()), pa.field("score", pa.float64()), pa.field("source", pa.string()))
# One row an image, in the order of keys. All are in one record batch, which may have more bytes than short strings can.
# Nothing is null: a score that is not known is NaN, a source "".
CAPTIONS = pa.schema(
    [
        *KEY,
        pa.field("caption", pa.large_string()),
        pa.field("score", pa.float64()),
        pa.field("source", pa.large_string()),
    ],
    metadata={b"version": VERSION},
)


@dataclass(frozen=True, eq=False)
class Captions:
    """A caption of each of many images, in the order of their keys."""

    rows: pa.RecordBatch
    digest: str
    path: str

    def __reduce__(self) -> tuple:
        return Captions.open, (self.path,)  # another process maps the file, too

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Captions:
        """Map captions into memory; refuse a file that is none."""
        return cls(*open_rows(path, CAPTIONS, "captions"), str(path))

    @staticmethod
    def save(path: str | PathLike[str], rows: pa.RecordBatch) -> None:
        """Write CAPTIONS rows, sorted by key."""
        save_rows(path, rows)

    def __len__(self) -> int:
        return self.rows.num_rows

    def of(self, uids: pa.Array) -> pa.Array:
        """Return the caption of each image, null where it has none."""
        return self._values("caption", self._find(uids))

    def values(self, uids: pa.Array) -> pa.RecordBatch:
        """Return the VALUES of each image's caption, nulls where it has none."""
        found = self._find(uids)
        return pa.RecordBatch.from_arrays([self._values(each.name, found) for each in VALUES], schema=pa.schema(VALUES))

    def has(self, uids: pa.Array) -> np.ndarray:
        """Return whether each image has a caption."""
        return self._find(uids) >= 0

    def instead(self, uids: pa.Array, is_drawn: np.ndarray) -> pa.Array:
        """Return the caption of each image for which `is_drawn` is true, null where its text stays."""
        captions = self.of(uids)
        return pa.array(np.where(is_drawn, captions.to_numpy(zero_copy_only=False), None), pa.string())

    def _values(self, name: str, rows: np.ndarray) -> pa.Array:
        """Return one of VALUES of these rows, null where it is not known."""
        found = self.rows[name].take(pa.array(rows, mask=rows < 0))
        is_known = pc.invert(pc.is_nan(found)) if name == "score" else pc.not_equal(found, "")
        found = pc.if_else(is_known, found, pa.scalar(None, found.type))
        return found.cast(pa.schema(VALUES).field(name).type)

    def _find(self, uids: pa.Array) -> np.ndarray:
        """Return the row of each image, -1 where it has none."""
        return rows_of(self.rows, exact_numbers(uids))
