"""Compute run.json and thresholds.json: the numbers of rows that a run read, dropped and kept, and its thresholds."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from curation.balancing.thresholds import Distribution, EntryCounts, SizedThreshold, Thresholds
from curation.config import LICENSE, MAX_TEXT_LENGTH, CurationConfig
from curation.inputs.candidates import UNKNOWN_LANGUAGE
from curation.inputs.limits import CUT_TEXT, SHARED_UID, SHARED_UIDS, damage
from curation.licences import NONE, READ_LICENSES, licenses_in
from curation.report.warnings import warnings
from curation.schemas import SIGNALS
from metadata.entries import Entries
from metadata.languages import OTHER
from runtime.packages import versions
from runtime.tallies import TaskResult
from runtime.wording import number, percent, quotient

THRESHOLDS_VERSION = 1  # the version of the format of thresholds.json
LISTED_ITEMS = 20  # At most so many entries per language, damaged inputs, and unknown labels are listed.


@dataclass(frozen=True)
class Section:
    """A section of the report: anchor, heading, HTML in which text from users or data is already escaped, and a script.

    The script is JavaScript that runs after the HTML is there; nothing of users or data may be in it.
    """

    anchor: str
    title: str
    html: str
    script: str = ""


@dataclass(frozen=True)
class Observed:
    """The result of an observer: facts, which run.json has under the name of the observer, and a section of the report.

    Either of them may be missing, and is then None.
    """

    facts: dict[str, Any] | None = None
    section: Section | None = None


@dataclass(frozen=True)
class Run:
    """The numbers of a finished run, from which run.json, thresholds.json and the report are made."""

    config: CurationConfig
    made_from: dict[str, Any]  # the inputs, digests and parameters on which matched/ depends
    entries: Entries
    counts: EntryCounts
    thresholds: Thresholds
    matched: TaskResult  # the result of the matching stage
    curated: TaskResult  # the result of sampling and writing
    kept_counts: EntryCounts  # the number of kept texts that contain each entry
    sized: SizedThreshold | None = None  # the threshold found for a target size, if the run has one
    sizes: dict[str, Any] = field(default_factory=dict)  # the sizes that other English thresholds would give
    lineage: Sequence[dict[str, Any]] = ()  # the inputs that each earlier run into the same folder brought
    downloads: dict[str, Any] = field(default_factory=dict)  # img2dataset's folders, and matched `images` by status
    gate: dict[str, Any] = field(default_factory=dict)  # tables and conditions, with the rows that each removed
    passed_over: dict[str, str] = field(default_factory=dict)  # path of an unusable input → its kind of file
    made: dict[str, Any] = field(default_factory=dict)  # the time and the command line; no other file depends on them
    exclusion_lists: Sequence[dict[str, Any]] = ()  # each list's name, its number of values, and of pairs that it names
    observed: Mapping[str, Observed] = field(default_factory=dict)  # name of the observer → its result

    def thresholds_json(self) -> dict[str, Any]:
        """Return the content of thresholds.json."""
        return {
            "version": THRESHOLDS_VERSION,
            "p": self.thresholds.tail_share,
            "p_assumed": self.thresholds.assumed,
            "languages": {code: self._threshold_row(code) for code in self.codes()},
        }

    @cached_property
    def run_json(self) -> dict[str, Any]:
        """The facts of run.json, the descriptor of the run."""
        facts = {
            "made": self.made,
            "parameters": asdict(self.config),
            "made_from": self.made_from,
            "metadata": {"name": self.entries.name, "digest": self.entries.digest, "entries": len(self.entries)}
            | self.entries.about,
            "lineage": list(self.lineage),
            "versions": versions(),
            "rows": self._rows(),
            "dropped": self.matched.by_item("dropped"),
            **({"exclusion_lists": [*self.exclusion_lists]} if self.exclusion_lists else {}),
            "undetermined": self.matched.by_item("undetermined"),
            **({"witnesses": asked} if (asked := self.matched.by_item("witness")) else {}),
            **({"unknown_languages": unknown} if (unknown := self._unknown_languages()) else {}),
            "signals": {name: self.matched["signal", name] for name in SIGNALS},
            **self._licenses(),
            "damaged": {path: count for path, (count, _) in islice(damage(self.matched).items(), LISTED_ITEMS)},
            "passed_over": dict(Counter(self.passed_over.values())),
            **({"shared_uids": shared} if (shared := self._shared_uids()) else {}),
            "cut_text": self.matched[CUT_TEXT],
            "retries": self.matched["retries"],
            "downloads": self.downloads,
            "gate": self.gate,
            "expected": {
                "kept": self.curated["expected_images"],
                "standard_deviation": math.sqrt(self.curated["variance"]),
            },
            **({} if self._least_size is None else {"least_size": self._least_size}),
            **({"sizes": self.sizes} if self.sizes else {}),
            "tail_share": self.thresholds.tail_share,
            "languages": {code: self.language_row(code) for code in self.codes()},
            "notes": self._notes(),
        }
        # The keys of the run win, so an observer of another package cannot replace a number of the run.
        facts = {name: observed.facts for name, observed in self.observed.items() if observed.facts is not None} | facts
        return facts | {"warnings": ["".join(warning) for warning in warnings(facts)]}

    def _shared_uids(self) -> dict[str, Any]:
        """Return `uids`, the number of uids with several URLs, and `example`, such a uid with two URLs; {} if none."""
        uids = self.matched[SHARED_UIDS]
        return {"uids": uids, "example": min(self.matched.noted(SHARED_UID), default="")} if uids else {}

    def top_entries(self, code: str, most: int = LISTED_ITEMS) -> list[dict[str, Any]]:
        """Return id, entry and count of the `most` entries of a language with the largest counts, largest first.

        Entries with a count of 0 are left out.
        """
        ids = self.entries.ids(code)
        counted = np.flatnonzero(self.counts.values[ids]) + ids.start
        top = counted[np.argsort(-self.counts.values[counted], kind="stable")[:most]]
        counts_of_ids = zip(top.tolist(), self.counts.values[top].tolist(), strict=True)
        return [{"id": id, "entry": self.entries.entry(id), "count": count} for id, count in counts_of_ids]

    def codes(self) -> list[str]:
        """Return the codes of languages with entries or texts, sorted by number of texts, largest first."""
        texts = self.matched.by_language("texts")
        return sorted({*self.entries.languages, *texts}, key=lambda code: (-texts.get(code, 0), code))

    def _rows(self) -> dict[str, int | float]:
        read = {
            name: self.matched[name]
            for name in ("files", "records", "pages", "image_links", "pairs", "images", "texts")
        }
        matched = {"matched": self.curated["images"]}
        if self.gate:
            matched = {"matched": self.matched["matched_images"], "gated": self.curated["images"]}
        identified = self.matched["texts"] - self.matched.by_language("texts").get(OTHER.code, 0)
        return read | {
            "identified": identified,
            "matched_texts": self.matched["matched"],
            **matched,
            "matches": int(self.counts.values.sum()),
            "kept": self.curated["kept"],
        }

    @property
    def _least_size(self) -> int | None:
        """The expected number of kept images at t = 1, if even this is more than the target size; else None.

        It is also None if English has no match, because t then has no effect on the size.
        """
        if self.sized is None or self.config.target_size is None or self.thresholds.assumed or self.sized.threshold > 1:
            return None
        size = round(self.sized.size)
        return size if size > self.config.target_size else None

    def _licenses(self) -> dict[str, dict[str, int]]:
        """Return the pairs read for each licence that pages state, and, if the manifest states it, the rows kept."""
        licenses = {"licenses": licenses_in(self.matched, READ_LICENSES)}
        return licenses | ({"kept_licenses": licenses_in(self.curated)} if LICENSE in self.config.extra_columns else {})

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """The distribution of the counts of each language with entries."""
        return {code: Distribution.of(self.counts.values[ids]) for code, ids in self.entries.languages.items()}

    def _threshold_row(self, code: str) -> dict[str, Any]:
        distribution = self.distributions.get(code) or Distribution.of(np.zeros(0, np.int64))
        t = self.thresholds.of_language.get(self.config.one_list or code, 1)
        return {
            "t": t,
            "tail_share": distribution.tail_share(t),
            "texts": int(self.matched.by_language("texts").get(code, 0)),
            "matches": distribution.total,
            "entries_seen": len(distribution.ascending),
        }

    def language_row(self, code: str) -> dict[str, Any]:
        """Return what run.json states about one language: its counts, its threshold and its most matched entries."""
        ids = self.entries.ids(code)
        matched = {name: self.matched.by_language(name).get(code, 0) for name in _MATCHED_COLUMNS}
        kept = {name: self.curated.by_language(name).get(code, 0) for name in _KEPT_COLUMNS}
        mean = quotient(matched.pop("score"), matched["identified"])
        row = {"entries": ids.stop - ids.start, **matched, "mean_score": mean, **self._threshold_row(code), **kept}
        return row | {"top": self.top_entries(code)}

    def _unknown_languages(self) -> dict[str, Any]:
        """Return `rows`, the number of rows that state an unknown language, and `labels`, rows by label; {} if none.

        Only the LISTED_ITEMS most frequent labels are listed.
        """
        labels = self.matched.by_item(UNKNOWN_LANGUAGE)
        rows = sum(labels.values()) + self.matched[UNKNOWN_LANGUAGE]
        return {"rows": rows, "labels": dict(islice(labels.items(), LISTED_ITEMS))} if labels else {}

    def _notes(self) -> list[str]:
        notes = []
        if self.thresholds.assumed:
            notes.append(f"No English text has a match, so the tail share p is set to {self.thresholds.tail_share}.")
        if self.sized and self.config.target_size is not None:
            notes.append(self._note_on_size(self.sized, self.config.target_size))
        notes += of_licenses(self._licenses())
        if cut := self.matched[CUT_TEXT]:
            notes.append(f"Texts longer than {MAX_TEXT_LENGTH:,} characters were cut: {cut:,}.")
        if retries := self.matched["retries"]:
            notes.append(f"Requests to servers that had to be repeated: {retries:,}.")
        return notes

    def _note_on_size(self, sized: SizedThreshold, target: int) -> str:
        """Return by how much the run missed its target size, and why it did not come closer."""
        kept = int(self.curated["kept"])
        missed = f"{number(abs(kept - target))} ({percent(abs(kept - target), target)})"
        than = "more" if kept > target else "fewer"
        said = f"The run kept {number(kept)} images: {missed} {than} than the target size {number(target)}."
        if kept == target:
            said = f"The run kept {number(kept)} images, the target size."
        if self.thresholds.assumed:
            return f"{said} A target size is met through the threshold of English, which has no match here."
        if not sized.reached:
            return f"{said} No threshold keeps more."
        if self._least_size is not None:
            return f"{said} The English threshold is 1 and cannot go below 1."
        t = f"{sized.threshold:,}"
        return (
            f"{said} The English threshold {t} is the smallest whole number that is expected to give the target size."
        )


_MATCHED_COLUMNS = ("texts", "identified", "doubtful", "other_script", "matched", "score")
_KEPT_COLUMNS = ("expected", "kept", "kept_doubtful", "kept_without_letters")


def licensed(facts: Mapping[str, Any]) -> tuple[str, dict[str, int]]:
    """Return "kept" or "read", and such pairs by the licence that pages state; "kept" if the manifest has licences."""
    return ("kept", facts["kept_licenses"]) if "kept_licenses" in facts else ("read", facts.get("licenses", {}))


def of_licenses(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence about the licences that pages state, if any; `facts` is the content of run.json."""
    how, pairs = licensed(facts)
    stated = ", ".join(f"{rows:,} {name}" for name, rows in pairs.items() if rows and name != NONE)
    if stated:
        yield f"Pages state licences for themselves, not for each picture. Licences of the pairs {how}: {stated}."
