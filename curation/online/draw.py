"""Draw the text of each image, whether it is kept, and the order of blocks, for one epoch.

All draws are functions of (seed, epoch, uid), so what is kept does not depend on the layout of ranks and workers. Epoch
0 draws as `curation.balancing.sampling` does: it keeps the pairs of the curated manifest with the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.balancing.counts import entry_ids
from curation.kernels import sampling as kernels
from curation.online.config import OnlineConfig
from runtime.arrow.buffers import parts
from runtime.draws import draws
from runtime.errors import require_integer, require_share


@dataclass(frozen=True, eq=False)
class Drawn:
    """The rows of a batch that an epoch keeps, ascending, with the text and the probability of each."""

    rows: np.ndarray
    texts: pa.StringArray
    probability: np.ndarray

    def filter(self, is_taken: np.ndarray) -> Drawn:
        """Return the rows for which `is_taken` is true."""
        return Drawn(self.rows[is_taken], self.texts.filter(pa.array(is_taken)), self.probability[is_taken])


@dataclass(frozen=True)
class CaptionDraw:
    """Which captions stand for the texts of their images: a share of them, drawn by seed, epoch and uid."""

    ratio: float = OnlineConfig.caption_ratio
    seed: int = OnlineConfig.seed
    epoch: int = 0

    def __post_init__(self) -> None:
        require_share("caption_ratio", self.ratio)
        require_integer("epoch", self.epoch, 0)

    def drawn(self, uids: pa.Array) -> np.ndarray:
        """Return whether the caption of each image stands for its text."""
        return draws(self.seed, purpose("caption", self.epoch), uids) < self.ratio


def draw(batch: pa.RecordBatch, rates: np.ndarray, seed: int, epoch: int) -> Drawn:
    """Return the images of a batch with `uid` and `candidates` that an epoch keeps, each with one of its texts."""
    uids = batch.column("uid")
    texts, image_offsets = parts(batch.column("candidates"))
    ids, text_offsets = entry_ids(texts.field("entries"), len(rates))
    chosen, probability = np.empty(batch.num_rows, np.int64), np.empty(batch.num_rows)
    text_draws = draws(seed, purpose("text", epoch), uids)
    kernels.choose(ids, text_offsets, image_offsets, rates, text_draws, chosen, probability)
    kept = np.flatnonzero(draws(seed, purpose("keep", epoch), uids) < probability)
    return Drawn(kept, texts.field("text").take(pa.array(chosen[kept])), probability[kept])


def shuffled(names: pa.Array | pa.ChunkedArray, seed: int, purpose: str) -> np.ndarray:
    """Return a permutation of the rows of `names`, the same for the same names."""
    return np.argsort(draws(seed, purpose, names), kind="stable")


def order_of_blocks(number: int, seed: int, epoch: int) -> np.ndarray:
    """Return the blocks of an index, 0 … number - 1, in the order in which an epoch deals them out."""
    return shuffled(pa.array(np.arange(number)).cast(pa.string()), seed, purpose("blocks", epoch))


def purpose(name: str, epoch: int) -> str:
    """Return the purpose of an epoch's draws; in epoch 0, that of a run of curate."""
    return f"{name} in epoch {epoch}" if epoch else name
