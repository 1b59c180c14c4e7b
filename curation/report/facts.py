"""What a run read, with which numbers, and what it wrote: the content of thresholds.json and run.json."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice

import numpy as np

from curation.balancing.counts import EntryCounts
from curation.balancing.thresholds import Distribution, SizedThreshold, Thresholds
from curation.config import CurationConfig
from curation.inputs.limits import CUT, DAMAGED
from metadata.entries import Entries
from metadata.languages import OTHER
from runtime.tallies import Tallies

VERSION = 1  # of run.json
TOP = 20  # entries listed per language, and damaged inputs
LIBRARIES = ("numpy", "numba", "pyarrow", "pyspark", "pyahocorasick", "fasttext-predict", "fastwarc", "clip-curation")


@dataclass(frozen=True)
class Run:
    """All that a finished run can say of itself."""

    config: CurationConfig
    made_from: dict  # what matched/ depends on: inputs, digests, parameters
    entries: Entries
    counts: EntryCounts
    thresholds: Thresholds
    matched: Tallies  # of the matching stage
    curated: Tallies  # of sampling and writing
    sized: SizedThreshold | None = None  # where a target size was asked for
    lineage: Sequence[dict] = ()  # which inputs came when
    downloads: dict | None = None  # img2dataset's folders, and the number of matched `images` by status

    def thresholds_json(self) -> dict:
        """Return the content of thresholds.json."""
        return {
            "version": VERSION,
            "p": self.thresholds.tail_share,
            "p_assumed": self.thresholds.assumed,
            "languages": {code: self._threshold_row(code) for code in self._codes()},
        }

    def run_json(self) -> dict:
        """Return the content of run.json."""
        return {
            "version": VERSION,
            "parameters": asdict(self.config),
            "made_from": self.made_from,
            "lineage": list(self.lineage),
            "versions": versions(),
            "rows": self._rows(),
            "dropped": self.matched.beginning("dropped."),
            "damaged": dict(islice(self.matched.beginning(DAMAGED).items(), TOP)),
            "cut_text": self.matched[CUT],
            "retries": self.matched["retries"],
            "downloads": self.downloads or {},
            "expected": self._expected(),
            "tail_share": self.thresholds.tail_share,
            "languages": {code: self._language_row(code) for code in self._codes()},
            "notes": self._notes(),
        }

    def top_entries(self, code: str, number: int = TOP) -> list[dict]:
        """Return the entries of a language with the most matches, as id, entry and count."""
        ids = self.entries.ids(code)
        values = self.counts.values[ids]
        top = np.argsort(-values, kind="stable")[:number]
        found = [(ids.start + int(i), int(values[i])) for i in top if values[i]]
        return [{"id": id, "entry": self.entries.entry(id), "count": count} for id, count in found]

    def _codes(self) -> list[str]:
        """Return the languages with entries or texts, those with the most texts first."""
        texts = self.matched.by_language("language.texts")
        return sorted({*self.entries.languages, *texts}, key=lambda code: (-texts.get(code, 0), code))

    def _rows(self) -> dict:
        read = {
            name: self.matched[name]
            for name in ("files", "records", "pages", "image_links", "pairs", "images", "texts")
        }
        matched = {"matched": self.curated["images"]}
        if self.downloads:
            matched = {"matched": sum(self.downloads["images"].values()), "existing": self.curated["images"]}
        identified = self.matched["language.texts"] - self.matched.by_language("language.texts").get(OTHER.code, 0)
        return read | {
            "identified": identified,
            "matched_texts": self.matched["language.matched"],
            **matched,
            "matches": int(self.counts.values.sum()),
            "kept": self.curated["kept"],
        }

    def _expected(self) -> dict:
        return {"kept": self.curated["expected"], "standard_deviation": math.sqrt(self.curated["variance"])}

    def _threshold_row(self, code: str) -> dict:
        distribution = Distribution.of(self.counts.values[self.entries.ids(code)])
        t = self.thresholds.of_language.get(code, 1)
        return {
            "t": t,
            "tail_share": distribution.tail_share(t),
            "texts": int(self.matched.by_language("language.texts").get(code, 0)),
            "matches": distribution.total,
            "entries_seen": len(distribution.ascending),
        }

    def _language_row(self, code: str) -> dict:
        ids = self.entries.ids(code)
        of = {name: self.matched.by_language(f"language.{name}").get(code, 0) for name in _MATCHED_COLUMNS}
        kept = {name: self.curated.by_language(f"language.{name}").get(code, 0) for name in ("expected", "kept")}
        mean = of.pop("score") / of["identified"] if of["identified"] else None
        rows = {"entries": ids.stop - ids.start, **of, "mean_score": mean, **self._threshold_row(code), **kept}
        return rows | {"top": self.top_entries(code)}

    def _notes(self) -> list[str]:
        notes = []
        if self.thresholds.assumed:
            notes.append(f"No English match: the tail share p is taken as {self.thresholds.tail_share}.")
        if self.sized and self.thresholds.assumed:
            notes.append(
                "A target size is met through the threshold of English, which has no match here: it had no effect."
            )
        elif self.sized and not self.sized.reached:
            notes.append(
                f"Even without a threshold only {self.sized.size:,.0f} images are expected, "
                f"fewer than the {self.config.target_size:,} asked for: all matched images are kept."
            )
        elif self.sized:
            notes.append(f"The English threshold {self.sized.threshold:,} is the smallest that gives the target size.")
        if cut := self.matched[CUT]:
            notes.append(f"Texts longer than {self.config.max_text_length:,} characters were cut: {cut:,}.")
        if retries := self.matched["retries"]:
            notes.append(f"Servers had to be asked once more: {retries:,} times.")
        return notes


_MATCHED_COLUMNS = ("texts", "identified", "matched", "score")


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of what decides the result; None for what comes as source files only."""
    return {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
