"""The purposes of an epoch's draws, and the draw of captions that stand for the texts of their images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.captions import Captions
from runtime.draws import draws
from runtime.errors import ParameterError, require_integer, require_seed, require_share

RATIO = 0.15  # as in Altogether (2410.17251)
# The share of samples with a caption whose text it is, or such shares by source.
Ratio = float | Mapping[str, float]


@dataclass(frozen=True)
class CaptionDraw:
    """Draws which captions replace the texts of their images: a share of them, by seed, epoch and uid.

    Of shares by source each image has one draw: the source in whose part of [0, 1) it lies, in the order of names,
    gives the caption. Where the image has none of this source, its text stays.
    """

    ratio: Ratio = RATIO
    seed: int = 0
    epoch: int = 0

    def __post_init__(self) -> None:
        require_ratio(self.ratio)
        require_seed(self.seed)
        require_integer("epoch", self.epoch, 0)

    def of(
        self, captions: Captions | Mapping[str, Captions] | None, uids: pa.Array, numbers: np.ndarray | None = None
    ) -> pa.Array:
        """Return the caption that stands for the text of each image, null where the text stays.

        `numbers` tell draws of an image apart, if it comes several times.
        """
        if captions is None:
            return pa.nulls(len(uids), pa.string())
        by_source = [captions] if isinstance(captions, Captions) else [captions[name] for name in sorted(captions)]
        return self.drawn([each.of(uids, ["caption"])["caption"] for each in by_source], uids, numbers)

    def drawn(self, captions: Sequence[pa.Array], uids: pa.Array, numbers: np.ndarray | None = None) -> pa.Array:
        """Return the caption of each image that stands for its text, null where the text stays.

        `captions` has one array for each source, in the order of the names of sources.
        """
        shares = by_name(self.ratio) if isinstance(self.ratio, Mapping) else {"": self.ratio}
        ends = np.cumsum([*shares.values()])
        source = np.searchsorted(ends, draws(self.seed, purpose("caption", self.epoch), uids, numbers), "right")
        null = pa.scalar(None, pa.string())
        return pc.choose(pa.array(source), *captions, pa.repeat(null, len(uids)))


def require_ratio(ratio: Ratio, called: str = "caption_ratio") -> None:
    """Refuse shares that are none, or more than all."""
    if not isinstance(ratio, Mapping):
        return require_share(called, ratio)
    for name, share in ratio.items():
        require_share(f"{called} of {name}", share)
    if not ratio or sum(ratio.values()) > 1 + 1e-9:
        raise ParameterError(f"is {dict(ratio)}; give shares of some sources that add up to at most 1", called)
    return None


def by_name(ratio: Mapping[str, float]) -> dict[str, float]:
    """Return shares in the order of the names of their sources."""
    return {name: ratio[name] for name in sorted(ratio)}


def purpose(name: str, epoch: int) -> str:
    """Return the purpose of an epoch's draws; in epoch 0, the purpose that a run of curate uses."""
    return f"{name} in epoch {epoch}" if epoch else name
