"""The trained clusters: fine centres with their prices, and the coarse centres that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curation.clustering.centres import Centres
from curation.clustering.training import train
from curation.kernels import clusters as kernels
from runtime.storage.arrays import open_arrays, save_arrays

NAME, VERSION = "clusters.json", 1


@dataclass(frozen=True, eq=False)
class Clusters:
    """Fine centres, the coarse cluster of each, int32, and the coarse centres, float32."""

    fine: Centres
    coarse_of: np.ndarray
    coarse: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, fine: int, coarse: int, seed: int) -> Clusters:
        """Train on vectors; fine clusters of one coarse cluster have numbers that follow each other."""
        centres = train(vectors, np.ones(len(vectors)), fine, seed)
        sizes = np.bincount(centres.assign(vectors)[0], minlength=fine).astype(np.float64)
        above = train(centres.vectors, sizes, coarse, seed, mean_rows=fine)
        coarse_of, _ = above.assign(centres.vectors)
        order = np.argsort(coarse_of, kind="stable")
        return cls(Centres(centres.vectors[order], centres.prices[order]), coarse_of[order], above.vectors)

    def distances(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the fine cluster of each vector, its distance to that centre, and to the coarse one, float32."""
        fine, squares = self.fine.assign(vectors)
        to_coarse = np.empty(len(vectors))
        kernels.squared_distances(vectors, self.coarse, self.coarse_of[fine], to_coarse)
        return fine, np.sqrt(squares).astype(np.float32), np.sqrt(to_coarse).astype(np.float32)

    def save(self, folder: Path) -> Path:
        """Write all to a folder, for workers to open."""
        arrays = {"fine": self.fine.vectors, "prices": self.fine.prices}
        save_arrays(folder, NAME, {"version": VERSION}, arrays | {"coarse_of": self.coarse_of, "coarse": self.coarse})
        return folder

    @classmethod
    def open(cls, folder: Path) -> Clusters:
        """Return what `save` wrote."""
        _, arrays = open_arrays(folder, NAME, VERSION)
        return cls(Centres(arrays["fine"], arrays["prices"]), arrays["coarse_of"], arrays["coarse"])
