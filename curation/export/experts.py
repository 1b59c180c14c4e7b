"""Read tables of clusters for an export, and choose the images of an expert by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import pyarrow as pa

from curation.by_uid.clusters import Clustered, build
from curation.online.config import Expert
from curation.report.numbers import counted, percent
from curation.run.results import Results
from runtime.errors import InputError

Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)


@dataclass(frozen=True)
class ByCluster:
    """Tables of clusters by uid, and which coarse clusters are an expert's, with its share of outsiders."""

    tables: Sequence[str] = ()
    coarse: Sequence[int] = ()  # none: all images
    outsiders: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.coarse and not self.tables:
            raise InputError("a cluster is chosen without clusters; give the folder of clip-cluster (--clusters)")
        if self.outsiders and not self.coarse:
            raise InputError("there are outsiders of chosen clusters only; choose some (--expert)")


@dataclass(frozen=True)
class Selection:
    """The images that an export writes: those of the expert, or all without one."""

    found: Clustered | None = None
    expert: Expert | None = None

    @property
    def takes(self) -> Callable[[pa.Array], np.ndarray] | None:
        """Whether each image of some uids is written, as bools; None for all."""
        return self.expert.takes if self.expert else None

    def filter(self, rows: Rows) -> Rows:
        """Return the rows of the expert's images, by the column `uid`."""
        return rows if self.takes is None else rows.filter(pa.array(self.takes(rows["uid"])))

    def __str__(self) -> str:
        """Say which images these are, in brackets; nothing without clusters."""
        if self.found is None:
            return ""
        without = f"{counted(self.found.without, 'image')} of the pool have no cluster"
        return f" ({f'of {of_clusters(self.expert)}; ' if self.expert else ''}{without})"


EVERYTHING = Selection()


def of_clusters(expert: Expert) -> str:
    """Name the clusters of an expert, with its share of outsiders."""
    numbers = sorted({*expert.coarse})
    name = f"coarse cluster{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
    return f"{name}, with {percent(expert.outsiders)} of outsiders" if expert.outsiders else name


@contextmanager
def selected(run: Results, folder: Path, by_cluster: ByCluster) -> Iterator[Selection]:
    """Give the images that the clusters choose; a file of these is in `folder` only within the block."""
    if not by_cluster.tables:
        yield EVERYTHING
        return
    with TemporaryDirectory(dir=folder) as work:
        found = build(by_cluster.tables, run, Path(work, "clusters.arrow"))
        coarse = tuple(by_cluster.coarse)
        expert = Expert(found.clusters, coarse, by_cluster.outsiders, by_cluster.seed) if coarse else None
        yield Selection(found, expert)
