"""Draws by uid: which captions, or sentences of them, stand for texts, and which images of other clusters come along.

What is drawn is a function of the seed, a purpose and the uid, so that an export and a loader draw the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from icu4py.breakers import SentenceBreaker

from curation.leaves.by_uid.captions import Captions
from metadata.words import LOCALE
from runtime.draws import draws
from runtime.errors import InputError, ParameterError, require_integer, require_kind, require_seed, require_share

RATIO = 0.15  # as in Altogether (2410.17251)
# The share of samples with a caption whose text it is, or such shares by source.
Ratio = float | Mapping[str, float]
WHOLE, RANDOM = "whole", "random"
SENTENCES = (WHOLE, "first", RANDOM)
# What a caption shows, one of SENTENCES; by source, where captions are, WHOLE of those that are not named.
Sentence = str | Mapping[str, str]


@dataclass(frozen=True)
class CaptionDraw:
    """Draws which captions replace the texts of their images: a share of them, by seed, epoch and uid.

    Of shares by source each image has one draw: the source in whose part of [0, 1) it lies, in the order of names,
    gives the caption. Where the image has none of this source, its text stays. Of a caption that is not to be shown
    whole, one sentence is: the first, or one that is drawn by seed, epoch and uid, too.
    """

    ratio: Ratio = RATIO
    seed: int = 0
    epoch: int = 0
    sentence: Sentence = WHOLE

    def __post_init__(self) -> None:
        require_ratio(self.ratio)
        require_sentence(self.sentence, self.ratio)
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
        shares = dict(sorted(self.ratio.items())) if isinstance(self.ratio, Mapping) else {"": self.ratio}
        ends = np.cumsum([*shares.values()])
        source = np.searchsorted(ends, draws(self.seed, purpose("caption", self.epoch), uids, numbers), "right")
        null = pa.scalar(None, pa.string())
        chosen = pc.choose(pa.array(source), *captions, pa.repeat(null, len(uids)))
        asked = dict.fromkeys(shares, self.sentence) if isinstance(self.sentence, str) else self.sentence
        sentence = np.array([*(asked.get(name, WHOLE) for name in shares), WHOLE])[source]
        return self._cut(chosen, sentence, uids, numbers)

    def _cut(self, captions: pa.Array, sentence: np.ndarray, uids: pa.Array, numbers: np.ndarray | None) -> pa.Array:
        """Return captions, each whole or as the one of its sentences that `sentence` asks for."""
        is_cut = pa.array((sentence != WHOLE) & captions.is_valid().to_numpy(zero_copy_only=False))
        own, each = uids.filter(is_cut), None if numbers is None else numbers[np.asarray(is_cut)]
        drawn = draws(self.seed, purpose("sentence", self.epoch), own, each)
        drawn[sentence[np.asarray(is_cut)] != RANDOM] = 0
        cut = sentences(captions.filter(is_cut).to_pylist(), drawn)
        return pc.replace_with_mask(captions, is_cut, pa.array(cut, captions.type))


def sentences(texts: Sequence[str], draws: np.ndarray) -> list[str]:
    """Return the sentence of each text, by ICU's boundaries, in whose part of [0, 1) its draw lies; parts are equal.

    All texts are cut as one, since ICU takes longer to begin than for a caption. A line feed, which no text may hold,
    ends a sentence.

    >>> sentences(["A dog. It runs! 犬。", "A cat"], np.array([0.5, 0.9]))
    ['It runs!', 'A cat']
    """
    pieces = [*SentenceBreaker("\n".join([*texts, ""]), LOCALE)]
    first = np.append(0, 1 + np.flatnonzero([piece[-1] == "\n" for piece in pieces]))
    chosen = first[:-1] + (draws * np.diff(first)).astype(np.int64)
    return [pieces[piece].strip() for piece in chosen.tolist()]


def require_ratio(ratio: Ratio, called: str = "caption_ratio") -> None:
    """Refuse shares that are none, or more than all."""
    if not isinstance(ratio, Mapping):
        return require_share(called, ratio)
    for name, share in ratio.items():
        require_share(f"{called} of {name}", share)
    if not ratio or sum(ratio.values()) > 1 + 1e-9:
        raise ParameterError(f"is {dict(ratio)}; give shares of some sources that add up to at most 1", called)
    return None


def require_sentence(sentence: Sentence, ratio: Ratio) -> None:
    """Refuse what is none of SENTENCES, and sentences by sources that have no share."""
    by_source = sentence if isinstance(sentence, Mapping) else {}
    unknown = sorted({*by_source} - {*(ratio if isinstance(ratio, Mapping) else ())})
    if unknown:
        raise ParameterError(f"names {unknown[0]}; give captions and a share of this source, too", "caption_sentence")
    wrong = [each for each in (by_source.values() if by_source else [sentence]) if each not in SENTENCES]
    if wrong:
        raise ParameterError(f"is {wrong[0]!r}; give {', '.join(SENTENCES)}, or one by source", "caption_sentence")


def purpose(name: str, epoch: int) -> str:
    """Return the purpose of an epoch's draws; in epoch 0, the purpose that a run of curate uses."""
    return f"{name} in epoch {epoch}" if epoch else name


@dataclass(frozen=True)
class Choice:
    """All images of some coarse clusters, and images of the others as outsiders, each with the probability `chance`.

    `outsiders` is their expected share among the images that the run kept: `kept` of each cluster. Images without a
    cluster are left out.
    """

    kept: Mapping[int, int]
    coarse: tuple[int, ...]
    outsiders: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_share("outsiders", self.outsiders)
        require_seed(self.seed)
        require_kind("coarse", self.coarse, Collection, "the numbers of coarse clusters, such as (2,)")
        if not self.coarse:
            raise InputError("an expert has no cluster; give the number of one at least")
        empty = [cluster for cluster in self.coarse if not self.kept.get(cluster)]
        if empty:
            known = ", ".join(str(cluster) for cluster, images in sorted(self.kept.items()) if images)
            raise InputError(f"the run kept no image of cluster {empty[0]}; it kept images of {known or 'none'}")
        own, others = self._sizes
        if self.outsiders * (own + others) > others:
            most = f"{others / (own + others):.4g}"
            raise ParameterError(
                f"is {self.outsiders}; of the images that the run kept, {most} are of other clusters", "outsiders"
            )

    @property
    def chance(self) -> float:
        """The probability with which an image of another cluster is taken: s·I / ((1 - s)·O).

        I and O are the numbers of images that the run kept of the chosen clusters and of others, s is the share.
        """
        own, others = self._sizes
        return self.outsiders * own / ((1 - self.outsiders) * others) if self.outsiders else 0.0

    def takes(self, uids: pa.Array, coarse: np.ndarray) -> np.ndarray:
        """Return whether each image is chosen, as bools, given its coarse cluster, below 0 where it has none."""
        is_own = np.isin(coarse, self.coarse)
        if not self.outsiders:
            return is_own
        return is_own | (coarse >= 0) & (draws(self.seed, "outsider", uids) < self.chance)

    @property
    def _sizes(self) -> tuple[int, int]:
        own = sum(self.kept[cluster] for cluster in {*self.coarse})
        return own, sum(self.kept.values()) - own
