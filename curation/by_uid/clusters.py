"""Clusters by uid: rows sorted by key in one file, which each process maps into memory.

`curation.by_uid.cluster_tables` builds it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike

import numpy as np
import pyarrow as pa

from curation.by_uid.mapped_rows import KEY, open_rows, rows_of, save_rows
from runtime.arrow.uid_keys import exact_numbers

VERSION, KEPT = b"1", b"kept"
# One row an image. Where the table has no fine clusters they are -1, and without distances these are no numbers.
CLUSTERED = pa.schema(
    [*KEY, pa.field("coarse", pa.int32()), pa.field("fine", pa.int32()), pa.field("distance", pa.float32())],
    metadata={b"version": VERSION},
)


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of each of many images, in the order of their keys."""

    rows: pa.RecordBatch
    digest: str
    path: str

    def __reduce__(self) -> tuple:
        return Clusters.open, (self.path,)  # another process maps the file, too

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Clusters:
        """Map clusters into memory; refuse a file that holds none."""
        return cls(*open_rows(path, CLUSTERED, "clusters"), str(path))

    @staticmethod
    def save(path: str | PathLike[str], rows: pa.RecordBatch, kept: Mapping[int, int]) -> None:
        """Write CLUSTERED rows, sorted by key, and the number of kept images of each coarse cluster."""
        numbers = json.dumps(dict(sorted(kept.items()))).encode()
        save_rows(path, rows.replace_schema_metadata(CLUSTERED.metadata | {KEPT: numbers}))

    def __len__(self) -> int:
        return self.rows.num_rows

    @cached_property
    def kept(self) -> dict[int, int]:
        """The number of images that the run kept of each coarse cluster in which it matched any."""
        return {int(cluster): images for cluster, images in json.loads(self.rows.schema.metadata[KEPT]).items()}

    def coarse(self, uids: pa.Array) -> np.ndarray:
        """Return the coarse cluster of each image, -1 where it has none."""
        found = rows_of(self.rows, exact_numbers(uids))
        return np.where(found < 0, -1, self.rows["coarse"].to_numpy()[found])

    def of(self, uids: pa.Array) -> pa.RecordBatch:
        """Return `coarse`, `fine` and `distance` of each image, null where there is none."""
        found = rows_of(self.rows, exact_numbers(uids))
        coarse, fine, distance = (self.rows[name].to_numpy()[found] for name in CLUSTERED.names[len(KEY) :])
        is_none = found < 0
        columns = {
            "coarse": pa.array(coarse, mask=is_none),
            "fine": pa.array(fine, mask=is_none | (fine < 0)),
            "distance": pa.array(distance, mask=is_none | np.isnan(distance)),
        }
        return pa.RecordBatch.from_pydict(columns)
