"""Explain the path of one image through a finished run: where it is, and why it was kept or not.

An image that the run has matched is read from the run's parts. For any other, the pairs in `pairs/` are the source, and
where that folder is gone or does not have the image, the inputs that run.json names are read again (`inputs_again`).
Their rows go through the same functions as in the run (`run_again`). `why_text` writes the explanation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.plugins.find import run_again
from curation.plugins.find.inputs_again import ReadAgain, read_again
from curation.plugins.find.rows_of_run import (
    FoundPair,
    FoundRow,
    WantedImage,
    find_near,
    find_pairs,
    find_rows,
    missing_parts,
)
from curation.plugins.find.run_again import MatchedAgain, RunAgain
from curation.plugins.find.text_facts import TextFacts
from curation.plugins.find.why_text import as_html, as_text
from curation.report.charts import DROPPED
from curation.run.results import Results
from curation.schemas import CANDIDATES, REMOVED_PART
from runtime.engine import Engine, EngineLike, engine_of
from runtime.errors import InputError
from runtime.redaction import redacted
from runtime.wording import counted

# The results. `why_text.ANSWERS` has a sentence for each.
KEPT, NOT_DRAWN, GATED_OUT, UNMATCHED = "kept", "not drawn", "removed by the gate", "no entry"
EXCLUDED, DROPPED_ROW, NEVER_SEEN, UNKNOWN = "excluded", "dropped", "not in the inputs", "unknown"
MAX_STATED_ROWS = 50  # The facts list at most so many rows and paths of inputs.
TEXT_LEFT = "a text is left"  # in run.json, the condition of a gate that follows from its rules about texts
# The titles of conditions that compare images with each other begin with these words.
_COMPARING = ("one image of a picture", "one image of a meaning", "at most ", "max_images_per_text")
_LISTED_COLUMNS = ("url", "uid", "page_url")


@dataclass(frozen=True, repr=False)
class Why:
    """The explanation of an image's path through a run; it prints as text, and a notebook shows it as lists.

    `facts` has the explanation as values that JSON can represent, without secrets of URLs.
    """

    facts: dict[str, Any]

    @property
    def is_found(self) -> bool:
        """Whether the run, or an input that can be read again, has a row about the image."""
        return self.facts["result"] not in (NEVER_SEEN, UNKNOWN) or bool(self.facts["found"])

    def __str__(self) -> str:
        return as_text(self.facts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self.facts)


def why(run: Results, url: str | None = None, uid: str | None = None, engine: EngineLike = None) -> Why:
    """Return why a run kept an image, or why not, given the image's URL or its uid.

    InputError unless one of them is given, or if files of the run are damaged.
    """
    if (url is None) == (uid is None) or not (url or uid or "").strip():
        raise InputError("give the URL of an image, or its uid, to learn why it is or is not in the manifest")
    wanted = WantedImage.of(url and url.strip(), uid and uid.strip())
    return Why(_without_secrets(_Path(run, engine_of(engine), wanted).facts()))


def why_of(run: Results, url_or_uid: str, engine: EngineLike = None) -> Why:
    """Return the same as `why`, given a URL, which has a colon, or a uid."""
    return why(run, url=url_or_uid, engine=engine) if ":" in url_or_uid else why(run, uid=url_or_uid, engine=engine)


def paths(run: Results, urls: Sequence[str], uids: Sequence[str], engine: Engine) -> list[Why]:
    """Return the path of each of these images, by URL or uid, through a run."""
    return [*(why(run, url=url, engine=engine) for url in urls), *(why(run, uid=uid, engine=engine) for uid in uids)]


def _without_secrets(facts: Any) -> Any:
    """Return facts in which each string is without secrets of URLs."""
    if isinstance(facts, dict):
        return {_without_secrets(name): _without_secrets(value) for name, value in facts.items()}
    if isinstance(facts, list):
        return [_without_secrets(value) for value in facts]
    return redacted(facts) if isinstance(facts, str) else facts


@dataclass
class _Path:
    """Finds the facts about an image, from the manifest back to the inputs."""

    run: Results
    engine: Engine
    wanted: WantedImage
    notes: list[str] = field(default_factory=list)

    @cached_property
    def again(self) -> RunAgain:
        return RunAgain(self.run)

    @cached_property
    def texts(self) -> TextFacts:
        return TextFacts(self.run, self.again)

    @cached_property
    def rows(self) -> dict[str, list[FoundRow]]:
        """The rows about the image by part."""
        by_part: dict[str, list[FoundRow]] = {}
        for row in find_rows(self.run, self.engine, self.wanted):
            by_part.setdefault(row.part, []).append(row)
        return by_part

    @cached_property
    def gone(self) -> list[str]:
        """The parts that the run wrote, and that its folder no longer has."""
        return missing_parts(self.run)

    def facts(self) -> dict[str, Any]:
        """Return all facts about the image."""
        places = [_place_of(row) for rows in self.rows.values() for row in rows]
        if self.gone:
            self.notes.append(f"The run wrote {', '.join(self.gone)}, which its folder no longer has.")
        first = next((rows[0].values for rows in self.rows.values()), None)
        if first is not None:
            self.wanted = WantedImage(first["url"], first["uid"])
        if self.run.is_partial:
            facts = self._of_partial()
        elif first is not None:
            facts = self._of_matched()
        else:
            facts = self._of_unmatched()
        named = {"run": str(self.run.path), "url": self.wanted.url, "uid": self.wanted.uid}
        return named | {"found": places} | facts | {"notes": self.notes}

    def _of_partial(self) -> dict[str, Any]:
        """Return the facts about an image of a part of another run's manifest, whose folder has no other parts."""
        self.notes.append("This manifest is a part of another run's manifest; that run can tell more about the image.")
        if "curated" not in self.rows:
            return {"result": UNKNOWN}
        kept = self.rows["curated"][0]
        return {"result": KEPT, "texts": self.texts.of_texts([kept.values]), "manifest": _place_of(kept)}

    def _of_matched(self) -> dict[str, Any]:
        """Return the facts about an image that the run has matched."""
        gated = self.run.counted[0].name
        parts = ("matched", gated, "curated", REMOVED_PART)
        image = next(self.rows[part][0] for part in parts if part in self.rows).values
        facts = self._of_pairs(image)
        if gated != "matched":
            facts["gate"] = self._gate(image)
        if gated in self.rows:
            facts["draw"] = self.texts.of_draw(self.rows[gated][0].values)
        if "curated" in self.rows:
            facts["result"] = KEPT
            facts["manifest"] = _place_of(self.rows["curated"][0])
        elif gated in self.rows:
            facts["result"] = NOT_DRAWN
        else:
            facts["result"] = UNKNOWN if gated in self.gone else GATED_OUT
        if "draw" in facts and facts["draw"]["kept"] != (facts["result"] == KEPT):
            self.notes.append("The draw and the manifest differ: the files of this folder come from different runs.")
        return facts

    def _of_pairs(self, image: dict[str, Any]) -> dict[str, Any]:
        """Return the inputs and the texts of a matched image; only `pairs/` has texts without an entry."""
        pairs = find_pairs(self.run, self.engine, self.wanted)
        if not pairs:
            return {"source": "matched", "texts": self.texts.of_texts(image.get("candidates", [image]))}
        again = run_again.group_again([pair.values for pair in pairs], self.again.config.max_texts)
        return {"source": "pairs", "inputs": _inputs_of(pairs)} | self._grouped(again)

    def _grouped(self, again: MatchedAgain) -> dict[str, Any]:
        """Return the texts of an image, those without an entry last, and the numbers of texts that grouping dropped."""
        texts = sorted(again.pairs, key=lambda pair: not pair["entries"])
        if len(texts) >= self.again.config.max_texts:
            self.notes.append(
                "The run keeps no more texts of an image than this; if inputs state more, they were dropped "
                "(text_over_limit)."
            )
        return {"texts": self.texts.of_texts(texts), "dropped": _reasons(again.dropped)}

    def _gate(self, image: dict[str, Any]) -> dict[str, Any]:
        """Return whether a matched image passed the gate, None if gated/ is gone, and which of its texts were removed.

        The sample of removed texts is the source; if it lacks the image, the image goes through the gate again.
        """
        passed = None if "gated" in self.gone else "gated" in self.rows
        facts: dict[str, Any] = {"passed": passed, "source": None, "removed": []}
        if passed:
            facts["texts"] = self.texts.of_texts(self.rows["gated"][0].values["candidates"])
        if REMOVED_PART in self.rows:
            removed = [row.values for row in self.rows[REMOVED_PART]]
            return facts | {"source": REMOVED_PART, "removed": self._removals(removed)}
        if "matched" not in self.rows or (passed and _texts_of(image) == _texts_of(self.rows["gated"][0].values)):
            return facts
        row = self.rows["matched"][0]
        file = next(file for file in self.run.files("matched") if file.path.name == row.file)
        try:
            again = run_again.gate_again(self.again, file, row.group, image["uid"])
        except (InputError, OSError) as error:
            self.notes.append(f"The image cannot go through the gate again: {error}.")
            return facts | {"rules": self._removing()} if passed is False else facts
        facts |= {"source": "the gate, run again", "removed": self._removals(again.removed)}
        if passed is False and (again.passes or not again.removed):
            facts["rules"] = self._removing(again.passes)
            if not again.passes:
                self.notes.append(
                    "A rule about personal data finds something in its texts, so the removed texts were not recorded."
                )
        return facts

    def _removing(self, comparing: bool | None = None) -> list[str]:
        """Return what has removed anything in the gate, by title: all, or only rules that compare images, or do not."""
        titles = [title for title, rule in self._rules.items() if rule["removed"] and title != TEXT_LEFT]
        return [title for title in titles if comparing in (None, title.startswith(_COMPARING))]

    @cached_property
    def _rules(self) -> dict[str, dict[str, Any]]:
        """The rows of run.json about each condition and rule of the gate, by its title."""
        gate = self.run.facts["gate"]
        return {rule["text"]: rule for rule in [*gate.get("conditions", []), *gate.get("texts", [])]}

    def _removals(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        removals = []
        for row in rows[:MAX_STATED_ROWS]:
            removal = {name: row[name] for name in ("text", "step", "rule", "why")}
            removals.append(removal | {"removes": self._rules.get(row["rule"], {}).get("removes")})
        return removals

    def _of_unmatched(self) -> dict[str, Any]:
        """Return the facts about an image that the run has not matched."""
        pairs = find_pairs(self.run, self.engine, self.wanted)
        if pairs:
            first = pairs[0].values
            self.wanted = WantedImage(first["url"], first["uid"])
            again = run_again.group_again([pair.values for pair in pairs], self.again.config.max_texts)
            return {"source": "pairs", "inputs": _inputs_of(pairs)} | self._of_texts(again)
        inputs = self.run.facts["made_from"].get("inputs", [])
        read = read_again(self.engine, inputs, self.again.columns, self.wanted)
        if read.unread:
            self.notes.append(f"{len(read.unread):,} of {read.inputs:,} inputs have changed or cannot be read again.")
        facts = {"source": "inputs", "inputs": _stated(read)}
        candidates = [pair.candidate for pair in read.pairs if pair.candidate is not None]
        return facts | (self._of_candidates(candidates) if candidates else self._without_candidates(read))

    def _without_candidates(self, read: ReadAgain) -> dict[str, Any]:
        """Return the facts about an image of which no input has a candidate."""
        row = dict.fromkeys(_LISTED_COLUMNS) | {"url": self.wanted.url, "uid": self.wanted.uid}
        facts: dict[str, Any] = {"lists": self._listed([row])}
        if read.dropped:
            return facts | {"result": DROPPED_ROW, "dropped": _reasons(read.dropped)}
        self._note_unread()
        if self.wanted.url is not None:
            facts["near"] = find_near(self.run, self.engine, self.wanted.url)
        if not (read.unread or read.damaged):
            return facts | {"result": NEVER_SEEN}
        return facts | {"result": EXCLUDED if facts["lists"] else UNKNOWN}

    def _note_unread(self) -> None:
        """Add notes about inputs that the run itself did not read."""
        for kind, number in self.run.facts.get("passed_over", {}).items():
            self.notes.append(f"The run skipped {counted(number, 'input')} ({kind}).")
        sampled = self.again.config.sample_files
        if sampled is not None:
            self.notes.append(f"The run read only {counted(sampled, 'file')}, drawn from its inputs (--sample-files).")

    def _of_candidates(self, candidates: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the facts about an image that inputs state, and that the run has not matched."""
        first = candidates[0]
        self.wanted = WantedImage(first["url"], first["uid"] or self.wanted.uid)
        facts: dict[str, Any] = {"lists": self._listed(candidates)}
        try:
            again = run_again.match_again(self.again, candidates)
        except (InputError, OSError) as error:
            self.notes.append(f"The texts cannot be matched again: {error}.")
            return facts | {"result": EXCLUDED if facts["lists"] else UNKNOWN}
        facts |= self._of_texts(again)
        return facts if again.pairs else facts | {"result": EXCLUDED}

    def _of_texts(self, again: MatchedAgain) -> dict[str, Any]:
        """Return the texts of an image that is in no part of the run, and the result that follows from them."""
        facts = self._grouped(again)
        if again.image is None:
            return facts | {"result": UNMATCHED}
        if "matched" not in self.gone:
            self.notes.append(
                "When its texts are matched again, one of them has an entry, so the run should have this image. The "
                "inputs, the lists or this program have changed since, or the evidence `pool` decided the language of "
                "its texts."
            )
        elif not self.run.facts.get("gate"):
            facts["draw"] = self.texts.of_draw(again.image)
            if not facts["draw"]["kept"]:
                return facts | {"result": NOT_DRAWN}
        return facts | {"result": UNKNOWN}

    def _listed(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the exclusion lists that name any of these rows, each with the reason and the number of rows."""
        exclusion = self.again.exclusion
        if exclusion is None:
            self.notes.append(f"The exclusion lists cannot be looked up: {self.again.faults[run_again.LISTS]}.")
            return []
        schema = pa.schema([CANDIDATES.field(name) for name in _LISTED_COLUMNS])
        batch = pa.RecordBatch.from_pylist([*rows], schema)
        lists = []
        for listed in exclusion.by_list:
            for named in pc.value_counts(listed.excluded(batch).drop_null()).to_pylist():
                reason = named["values"]
                named_by = {"list": listed.name, "reason": reason, "rows": named["counts"]}
                lists.append(named_by | {"meaning": DROPPED[reason]})
        return lists


def _place_of(row: FoundRow) -> dict[str, Any]:
    return {"part": row.part, "file": row.file, "row": row.row}


def _texts_of(image: dict[str, Any]) -> set[str]:
    return {text["text"] for text in image["candidates"]}


def _inputs_of(pairs: Sequence[FoundPair]) -> dict[str, Any]:
    """Return the inputs of the tasks that wrote pairs of the image, and the number of pairs.

    A task reads one or more inputs, so an input that is named may hold no pair of the image.
    """
    paths = {path for pair in pairs for path in pair.inputs}
    return {"paths": sorted(paths)[:MAX_STATED_ROWS], "pairs": len(pairs)}


def _stated(read: ReadAgain) -> dict[str, Any]:
    """Return what reading the inputs again has shown."""
    rows = []
    for pair in read.pairs[:MAX_STATED_ROWS]:
        text = pair.candidate and pair.candidate["text"]
        rows.append({"input": pair.input, "place": pair.place, "text": text, "dropped": pair.dropped})
    number = len(read.pairs) + read.more
    return {
        "read": read.inputs - len(read.unread),
        "number": number,
        "rows": rows,
        "unread": read.unread,
        "damaged": read.damaged,
    }


def _reasons(dropped: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each reason with the number of rows, and its meaning."""
    return [{"reason": name, "number": int(rows), "meaning": DROPPED.get(name, "")} for name, rows in dropped.items()]
