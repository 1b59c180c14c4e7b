"""The content of clusters.json: what was clustered, how, and what came out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curation.clustering.config import ClusterConfig
from curation.clustering.model import Clusters
from curation.clustering.nearest import COARSE, FINE, Nearest
from curation.report.facts import versions
from runtime.tallies import Tallies

VERSION = 1


@dataclass(frozen=True)
class Counted:
    """What the steps of a clustering counted."""

    images: int  # of the run, that were to get a cluster
    trained_on: int  # vectors
    assigned: Tallies
    written: Tallies
    nearest: Nearest


def facts_of(config: ClusterConfig, made_from: dict[str, Any], clusters: Clusters, counted: Counted) -> dict[str, Any]:
    """Return the content of clusters.json, but for the checksums; `made_from` says of which run and embeddings."""
    fine, coarse = len(clusters.fine), len(clusters.coarse)
    written = counted.written
    images = int(written["images"])
    fine_sizes = _sizes(written, FINE, fine)
    return {
        "version": VERSION,
        **made_from,
        "parameters": asdict(config),
        "versions": versions(),
        "images": images,
        "without_embedding": counted.images - images,
        "embeddings": {
            "dimension": clusters.fine.vectors.shape[1],
            "rows": int(counted.assigned["embeddings"]),
            "unusable": int(counted.assigned["unusable"]),  # null, not finite, or zeros only
            "repeated": int(written["more"]),
            "of_other_images": int(counted.assigned["embeddings"] - images - written["more"]),
        },
        "trained_on": counted.trained_on,
        "fine": fine,
        "coarse": coarse,
        "fine_sizes": fine_sizes,
        "coarse_sizes": _sizes(written, COARSE, coarse),
        "coarse_of_fine": clusters.coarse_of.tolist(),
        "balance": {"fine": _spread(fine_sizes), "coarse": _spread(_sizes(written, COARSE, coarse))},
        "inertia": _inertia(written),
        "languages": _languages(written, coarse),
        "coarse_texts": list(counted.nearest.of(COARSE, coarse)),
        "fine_texts": list(counted.nearest.of(FINE, fine)),
    }


def _sizes(written: Tallies, kind: str, clusters: int) -> list[int]:
    found = written.beginning(f"{kind}.")
    return [int(found.get(str(number), 0)) for number in range(clusters)]


def _spread(sizes: list[int]) -> dict[str, float]:
    """Return the smallest and the largest size as shares of the mean, and their standard deviation."""
    shares = np.array(sizes) / np.mean(sizes)
    return {"smallest": float(shares.min()), "largest": float(shares.max()), "deviation": float(shares.std())}


def _inertia(written: Tallies) -> float:
    """Return the sum of the squared distances of all images to their centres, added in the order of files."""
    return sum(value for _, value in sorted(written.beginning("inertia.").items()))


def _languages(written: Tallies, coarse: int) -> dict[str, list[int]]:
    """Return the images of each language by coarse cluster, the largest language first."""
    found: dict[str, list[int]] = {}
    for number in range(coarse):
        for code, images in written.by_language(f"{COARSE}.{number}").items():
            found.setdefault(code, [0] * coarse)[number] = int(images)
    return dict(sorted(found.items(), key=lambda item: (-sum(item[1]), item[0])))
