"""Figures of alignment: how many classes are found, and how far their counts are from equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.classes.counting import ClassCounts
from curation.classes.names import Classes


def divergence(counts: np.ndarray) -> float | None:
    """Return the Kullback-Leibler divergence of the shares of counts from equal ones, in nats; None if all are 0.

    It is 0 where all counts are equal, and log(number of counts) where one has everything.

    >>> divergence(np.array([5, 5])), round(divergence(np.array([8, 0])), 4), divergence(np.array([0]))
    (0.0, 0.6931, None)
    """
    if not counts.sum():
        return None
    shares = counts[counts > 0] / counts.sum()
    return float((shares * np.log(shares * len(counts))).sum())


@dataclass(frozen=True)
class Alignment:
    """The classes of one language, and the texts of the pool and of the manifest that name each."""

    language: str
    labels: tuple[str, ...]
    pool: np.ndarray
    manifest: np.ndarray
    texts: tuple[int, int]  # of the language, in pool and manifest
    naming: tuple[int, int]  # of these, that name a class

    @classmethod
    def of(cls, language: str, classes: Classes, pool: ClassCounts, manifest: ClassCounts) -> Alignment:
        """Return the alignment of a language, given what was counted."""
        texts, naming = (pool.texts, manifest.texts), (pool.naming, manifest.naming)
        return cls(language, classes.labels, pool.values, manifest.values, texts, naming)

    def divergences(self) -> tuple[float | None, float | None]:
        """Return the divergence in the pool and in the manifest, both over the classes that the pool has."""
        found = self.pool > 0
        return divergence(self.pool[found]), divergence(self.manifest[found])

    def json(self) -> dict[str, Any]:
        """Return all figures, with the classes in the order of their counts in the pool."""
        before, after = self.divergences()
        order = np.argsort(-self.pool, kind="stable").tolist()
        return {
            "classes": len(self.labels),
            "texts": dict(zip(("pool", "manifest"), self.texts, strict=True)),
            "naming": dict(zip(("pool", "manifest"), self.naming, strict=True)),
            "found": {"pool": int((self.pool > 0).sum()), "manifest": int((self.manifest > 0).sum())},
            "divergence": {"pool": before, "manifest": after},
            "counts": [
                {"class": self.labels[i], "pool": int(self.pool[i]), "manifest": int(self.manifest[i])} for i in order
            ],
        }
