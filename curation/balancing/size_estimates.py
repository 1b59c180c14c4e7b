"""Estimate how many images other English thresholds would keep, from a sample of the counted images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from curation.balancing.sampling import CountedTexts
from curation.balancing.thresholds import (
    Distribution,
    EntryCounts,
    Thresholds,
    threshold_for_size,
    thresholds_at,
    unlimited_threshold,
)
from curation.config import ENGLISH, CurationConfig
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches

SAMPLED_IMAGES = 100_000  # In 19 of 20 samples, a share of this many images is within 0.31 percentage points.
SAMPLED_FILES = 16  # The sample is taken from at most this many files.
CURVE_THRESHOLDS = 24  # The curve has at most this many thresholds.
OFFERED_SHARES = (0.75, 0.5, 0.25)  # A person may choose among these shares of the counted images.
SAMPLED_COLUMNS = [f"candidates.list.element.{name}" for name in ("language", "entries")]


@dataclass(frozen=True)
class Sizes:
    """Estimates, from a sample of `judged` images, how many images each English threshold is expected to keep."""

    distributions: Mapping[str, Distribution]
    counts: np.ndarray
    languages: dict[str, slice]
    config: CurationConfig
    sample: Sequence[CountedTexts]
    judged: int
    images: int

    @classmethod
    def of(
        cls,
        files: Sequence[OwnFile],
        images: int,
        counts: EntryCounts,
        languages: dict[str, slice],
        config: CurationConfig,
    ) -> "Sizes | None":
        """Return the sizes for the `images` images in `files`; None if the English threshold has no influence."""
        distributions = {code: Distribution.of(of_code) for code, of_code in counts.by_language(languages).items()}
        english = distributions.get(ENGLISH)
        if not config.balance or not images or not (config.one_threshold or (english and english.total)):
            return None
        chosen = np.unique(np.linspace(0, len(files) - 1, SAMPLED_FILES).round().astype(int))
        rows_per_file = -(-SAMPLED_IMAGES // len(chosen))
        sample = list[CountedTexts]()
        judged = 0
        for index in chosen:
            for batch in _first(files[index], rows_per_file):
                sample.append(CountedTexts.of(batch, counts.values, languages))
                judged += batch.num_rows
        return cls(distributions, counts.values, languages, config, sample, judged, images)

    def facts(self, is_choice: bool) -> dict[str, Any]:
        """Return the entry `sizes` of run.json: a curve and, if `is_choice`, thresholds for OFFERED_SHARES."""
        english = self.languages.get(ENGLISH, slice(0))
        limit = unlimited_threshold(self.counts if self.config.one_threshold else self.counts[english])
        tried = np.unique(np.geomspace(1, limit, CURVE_THRESHOLDS).round().astype(np.int64)).tolist()
        curve = [
            {"t": t, "images": round(size), "tail_share": self._thresholds(t).tail_share}
            for t, size in zip(tried, self.at(tried), strict=True)
        ]
        sized = [threshold_for_size(self.at, share * self.images, limit) for share in OFFERED_SHARES if is_choice]
        images_by_threshold = {choice.threshold: round(choice.size) for choice in sized}
        choices = [{"t": t, "images": images} for t, images in images_by_threshold.items()]
        return {"judged": self.judged, "curve": curve, "choices": choices}

    def at(self, candidates: list[int]) -> list[float]:
        """Return the expected number of all kept images at each of the English thresholds `candidates`."""
        thresholds = [self._thresholds(t) for t in candidates]
        sizes = np.zeros(len(candidates))
        for texts in self.sample:
            for of_language in texts.expected_sizes(thresholds).values():
                sizes += of_language
        return (sizes * (self.images / max(1, self.judged))).tolist()

    def _thresholds(self, t: int) -> Thresholds:
        return thresholds_at(t, self.distributions, self.config)


def _first(file: OwnFile, rows: int) -> Sequence[pa.RecordBatch]:
    """Return the first `rows` rows of a file, as batches."""
    first = []
    missing = rows
    for batch in batches(file, min(rows, 1 << 14), SAMPLED_COLUMNS):
        first.append(batch.slice(0, missing))
        missing -= first[-1].num_rows
        if not missing:
            break
    return first
