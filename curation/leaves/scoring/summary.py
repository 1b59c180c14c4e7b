"""Describe scores by quantiles, over all images and by language, so that a person can choose a minimum score.

A quantile is rounded down to a multiple of 0.0001, so an image whose score is the quantile passes a minimum of the
rounded value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.leaves.tars.headers import told
from curation.leaves.tars.pictures import OK
from curation.report.languages import aligned, counted, number
from curation.run.ledger import Ledger
from curation.run.making import Filled, statuses
from metadata.languages import language
from runtime.storage.own_files import OwnFile, checksums_in
from runtime.storage.parquet import batches

SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
LANGUAGES = 12  # languages that the console shows
_STEPS = 10_000  # steps of the histogram per unit of score


class Histogram:
    """The number of images by score, in steps of 0.0001 from -1 to 1, and the sum of all scores."""

    def __init__(self) -> None:
        self._counts, self._sum = np.zeros(2 * _STEPS + 1, np.int64), 0.0

    def add(self, scores: np.ndarray) -> None:
        """Count an array of scores, each from -1 to 1."""
        steps = np.floor((scores.astype(np.float64) + 1) * _STEPS).astype(np.int64)
        self._counts += np.bincount(np.clip(steps, 0, 2 * _STEPS), minlength=len(self._counts))
        self._sum += float(scores.sum(dtype=np.float64))

    def facts(self) -> dict[str, Any]:
        """Return the number of images, the mean score (None without images), and the quantile of each of SHARES."""
        images = int(self._counts.sum())
        if not images:
            return {"images": 0, "mean": None, "quantiles": {}}
        ranks = np.searchsorted(self._counts.cumsum(), [int(share * (images - 1)) + 1 for share in SHARES])
        quantiles = [round(rank / _STEPS - 1, 4) for rank in ranks.tolist()]
        mean = round(self._sum / images, 4)
        return {"images": images, "mean": mean, "quantiles": dict(zip(map(str, SHARES), quantiles, strict=True))}


def summary(ledger: Ledger) -> dict[str, Any]:
    """Return the number of images by status, and the facts of their scores: of all, and by language if known.

    Languages are sorted by their number of images, the largest first.
    """
    whole, by_language = Histogram(), defaultdict[str, Histogram](Histogram)
    for rows in _rows(ledger):
        whole.add(_scored(rows))
        for code in rows["language"].unique().drop_null().to_pylist() if "language" in rows.schema.names else ():
            by_language[code].add(_scored(rows.filter(pc.equal(rows["language"], code))))
    found = {code: by_language[code].facts() for code in sorted(by_language)}
    languages = dict(sorted(found.items(), key=lambda item: -item[1]["images"]))
    return {"statuses": statuses(ledger), "scores": whole.facts(), "languages": languages}


def table(scores: Filled) -> str:
    """Return the lines that the command prints at the end: counts, quantiles, damaged tars and the output folder."""
    facts = scores.facts
    reasons = ", ".join(f"{number(each)} {status}" for status, each in facts["statuses"].items() if status != OK)
    lines = [f"{counted(facts['scores']['images'], 'image')} scored; without a score: {reasons or 'none'}"]
    if facts["scores"]["images"]:
        named = [(f"{language(code).name} ({code})", each) for code, each in facts["languages"].items()][:LANGUAGES]
        heading = ("clip_score", "images", "mean", *(f"{share:.0%} below" for share in SHARES))
        lines += aligned([heading, *(_line(*each) for each in [("all", facts["scores"]), *named])])
    lines += told(facts["damaged"], facts["tars"])
    return "\n".join([*lines, f"scores: {scores.path}"])


def _line(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    return name, number(found["images"]), *(f"{each:.4f}" for each in (found["mean"], *found["quantiles"].values()))


def _rows(ledger: Ledger) -> Iterator[pa.RecordBatch]:
    checksums = checksums_in(ledger.tallies())
    for file in sorted(ledger.files):
        yield from batches(OwnFile(file, checksums.get(file.name), "delete it and score again"))


def _scored(rows: pa.RecordBatch) -> np.ndarray:
    return rows["clip_score"].drop_null().to_numpy()
