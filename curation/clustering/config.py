"""The numbers that decide the clusters; the paper is "MoDE: CLIP Data Experts via Clustering" (arXiv 2404.16030)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from runtime.errors import InputError, ParameterError, require_integer, require_one_of, require_seed, require_share

Texts = Literal["curated", "pool"]
TEXTS: tuple[Texts, ...] = get_args(Texts)
FEWEST = 8  # training vectors for each fine cluster
SIZED_BY = 8192  # vectors for each fine cluster, if there are so many: by chance, sizes are then off by 1 %
MOST_FINE = 10**6  # the largest clusterings of image-text pairs had 100,000
MOST_BYTES = 2 << 30  # of training vectors in the driver


@dataclass(frozen=True)
class ClusterConfig:
    """The parameters of a clustering; their defaults are those of the command line.

    fine: fine clusters, of images.
    coarse: coarse clusters, of fine ones.
    seed: another seed gives other clusters.
    sample: the share of the manifest that centres and prices are made of; small manifests give more.
    texts: the images that get a cluster: those of the manifest, or all that were counted.
    same_meaning: the cosine from which on images of a fine cluster are copies; None: none are looked for.
    """

    fine: int = 1024  # as in the paper
    coarse: int = 4  # as in the paper
    seed: int = 0
    sample: float = 0.05
    texts: Texts = "curated"
    same_meaning: float | None = None

    def __post_init__(self) -> None:
        require_integer("fine", self.fine, 1, MOST_FINE)
        require_integer("coarse", self.coarse, 1, MOST_FINE)
        require_seed(self.seed)
        require_share("sample", self.sample)
        require_one_of("texts", self.texts, TEXTS)
        if self.same_meaning is not None and not 0 < self.same_meaning <= 1:
            raise ParameterError(
                f"is {self.same_meaning}; it is a cosine, above 0 and at most 1, as 0.95", "same_meaning"
            )
        if self.coarse > self.fine:
            raise InputError(
                f"{self.coarse:,} coarse clusters cannot be made of {self.fine:,} fine ones; ask for fewer"
            )

    def share(self, images: int, dimension: int) -> float:
        """Return the share of this number of images that training takes."""
        wanted = max(self.sample * images, SIZED_BY * self.fine)
        return min(1.0, wanted / max(images, 1), MOST_BYTES / (4 * dimension * max(images, 1)))

    def require_enough(self, vectors: int) -> None:
        """Refuse too few training vectors."""
        if vectors < FEWEST * self.fine:
            most = vectors // FEWEST
            remedy = f"ask for {most:,} at most (--fine)" if most >= self.coarse else "curate more images"
            raise InputError(f"{vectors:,} embeddings are too few to train {self.fine:,} fine clusters; {remedy}")
