"""State what a run knows of each section of the Commission's template for summaries of training content.

A fact has a name, a value as JSON or rows of a table, and a sentence of sentences.csv. The questions of sections.csv
are those that only a person can answer. Numbers are those of run.json, and what tasks have counted.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

from curation.leaves.origins.domains import DomainCounts
from curation.leaves.origins.inputs import PAGES, TEXTS, Origin, doubts, origins, period
from curation.report.charts import DROPPED
from curation.report.languages import percent
from curation.report.page import escaped
from metadata.languages import language

OPT_OUTS = ("noai", "noimageai", "noml", "tdm_reservation", "data_noai", "robots", "content_signal", "ai_txt")
PERSONAL = ("email_address", "phone_number", "card_number", "iban")
EXCLUDED = "excluded_"  # begins reasons
SETTLED = "Stated above."  # answer to a question that a run decides
TOKENS = 1_000_000_000  # end of the smallest bin of texts
KEPT_PAGES = "domains/kept_pages.csv"
SMALL = 1000  # the most domains that a small enterprise lists


@dataclass(frozen=True)
class Ranked:
    """The domains of images or pages, and how many of them are listed in which file."""

    counted: DomainCounts
    of: str  # what was counted, such as "pages of matched images"
    file: str
    rows: int  # images, with those of no domain

    @property
    def listed(self) -> int:
        """The number of domains in the file: a tenth, rounded up."""
        return -(-self.counted.domains // 10)

    @property
    def small(self) -> int:
        """The number of those that a small enterprise lists."""
        return min(SMALL, -(-self.counted.domains // 20))

    @property
    def row(self) -> dict[str, Any]:
        """The numbers, as JSON."""
        return {
            "of": self.of,
            "images": self.counted.images,
            "no_domain": self.rows - self.counted.images,
            "domains": self.counted.domains,
            "listed": self.listed,
            "share": self.counted.share(self.listed),
            "listed_if_small": self.small,
            "file": self.file,
        }


@dataclass(frozen=True)
class RunNumbers:
    """The numbers of a run: the content of run.json, and what tasks have counted."""

    facts: Mapping[str, Any]
    text_bytes: int  # bytes of all kept texts
    domains: Sequence[Ranked]

    @property
    def gate(self) -> Mapping[str, Any]:
        """The gate of the run; empty without one."""
        return self.facts.get("gate") or {}

    @property
    def origins(self) -> list[Origin]:
        """Where the inputs are from."""
        return origins(self.facts)

    @property
    def without_page(self) -> int:
        """The kept images whose page has no domain, or is unknown."""
        return next((each.rows - each.counted.images for each in self.domains if each.file == KEPT_PAGES), 0)

    @property
    def settled(self) -> dict[str, bool]:
        """Whether the run decides a question that sections.csv has for other runs."""
        return {"tokens": self.text_bytes < TOKENS}

    @property
    def excluded(self) -> dict[str, int]:
        """The texts that exclusion lists kept out, by kind of list."""
        dropped = self.facts["dropped"].items()
        return {name.removeprefix(EXCLUDED): texts for name, texts in dropped if name.startswith(EXCLUDED) and texts}

    def rules(self, names: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return the conditions of the gate that have these names; without names those that have none of any."""
        named = {*(names or (*OPT_OUTS, *PERSONAL))}
        rows = [
            (row, what)
            for what, group in (("images", "conditions"), ("texts", "texts"))
            for row in self.gate.get(group, [])
        ]
        return [_rule(row, what) for row, what in rows if (row["text"] in named) == bool(names)]


Fact = dict[str, Any]
State = Callable[[RunNumbers], Iterator[Fact]]


def summary(known: RunNumbers, answers: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return all sections with their facts, and their questions with the answers that are given."""
    found: dict[str, dict[str, Any]] = {}
    for row in questions():
        number = row["section"]
        if number not in found:
            facts = [*STATED[number](known)] if number in STATED else []
            found[number] = {"section": number, "title": row["title"], "facts": facts, "blanks": []}
        answer = answers.get(row["blank"], SETTLED if known.settled.get(row["blank"]) else None)
        blank = {"blank": row["blank"], "question": row["question"], "form": row["form"], "answer": answer}
        found[number]["blanks"].append(blank)
    return [*found.values()]


@lru_cache(maxsize=1)
def questions() -> list[dict[str, str]]:
    """Return the questions that only a person can answer, in the order of the template."""
    return _rows("sections.csv")


def image_bin(images: int) -> str:
    """Return the template's word for a number of images.

    >>> image_bin(999_999), image_bin(1_000_000_000), image_bin(1_000_000_001)
    ('less than 1 million', '1 million to 1 billion', 'more than 1 billion')
    """
    if images < 1_000_000:
        return "less than 1 million"
    return "1 million to 1 billion" if images <= 1_000_000_000 else "more than 1 billion"


def _fact(name: str, value: Any, rows: Sequence[Mapping[str, Any]] = (), **more: Any) -> Fact:
    """Return a fact with its sentence of sentences.csv: `says`, or `none` where the run has neither value nor rows."""
    sentence = _sentences()[name]
    says = sentence["says"] if value or rows or not sentence["none"] else sentence["none"]
    return {"name": name, "value": value, "says": says.format(value=value, **more), "rows": [*rows]}


@lru_cache(maxsize=1)
def _sentences() -> dict[str, dict[str, str]]:
    return {row["fact"]: row for row in _rows("sentences.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    return [*csv.DictReader(files("curation.leaves.papers").joinpath(name).read_text("utf-8").splitlines())]


def _size(known: RunNumbers) -> Iterator[Fact]:
    rows, kept = known.facts["rows"], known.facts["rows"]["kept"]
    yield _fact("modalities", ["image", "text"], texts=TEXTS)
    yield _fact("images_read", rows["images"])
    yield _fact("images", kept)
    yield _fact("image_bin", image_bin(kept))
    yield _fact("text_bytes", known.text_bytes)
    days = period(known.origins)
    yield _fact("latest", _month(days[1]) if days else None)
    kept_of = {code: row["kept"] for code, row in known.facts["languages"].items() if row["kept"]}
    languages = [
        {"code": code, "language": language(code).name, "kept": kept_of[code], "share": kept_of[code] / max(1, kept)}
        for code in sorted(kept_of, key=lambda code: (-kept_of[code], code))
    ]
    yield _fact("languages", None, languages, count=len(languages), doubts=doubts(known.facts["languages"]))


def _sets(known: RunNumbers) -> Iterator[Fact]:
    whole = sum(origin.bytes for origin in known.origins)
    rows = [
        {"section": _section(origin)} | origin.row | {"share_of_bytes": origin.bytes / max(1, whole)}
        for origin in known.origins
    ]
    yield _fact("inputs", None, rows)
    without = known.without_page
    yield _fact("without_page", without, share=percent(without, known.facts["rows"]["kept"]))


def _crawled(known: RunNumbers) -> Iterator[Fact]:
    own = [origin for origin in known.origins if origin.format in PAGES]
    yield _fact("pages", known.facts["rows"]["pages"])
    yield _fact("crawler", "CCBot" if any(origin.set == "Common Crawl" for origin in own) else None)
    days = period(own)
    yield _fact("period", "–".join(map(_month, days)) if days else None)
    licences = [{"licence": name, "pairs": pairs} for name, pairs in known.facts.get("licenses", {}).items() if pairs]
    yield _fact("licenses", None, licences)
    yield _fact("domains", None, [ranked.row for ranked in known.domains])


def _synthetic(known: RunNumbers) -> Iterator[Fact]:
    if not (captions := known.gate.get("captions")):
        yield _fact("captions", None)
        return
    stated = {name: captions[name] for name in ("table", "images", "without")}
    stated["table"] = stated["table"] | {"name": PurePosixPath(stated["table"]["name"]).name}  # without its folder
    yield _fact("captions", stated, table=escaped(stated["table"]["name"]))


def _reservations(known: RunNumbers) -> Iterator[Fact]:
    rules = known.rules(OPT_OUTS)
    honoured = {row["rule"] for row in rules}
    signals = [
        {"signal": name, "pairs": pairs, "honoured": "yes" if name.replace("-", "_") in honoured else "no"}
        for name, pairs in known.facts.get("signals", {}).items()
    ]
    yield _fact("signals", None, signals)
    yield _fact("opt_outs", None, rules)
    if hosts := known.gate.get("hosts"):
        hosts = hosts | {"name": PurePosixPath(hosts["name"]).name}
    yield _fact("hosts", hosts, agents=", ".join(map(escaped, hosts["agents"])) if hosts else "")
    yield _fact(
        "lists", None, [{"list": name, "texts": texts} for name, texts in known.excluded.items() if name != "hash"]
    )
    for removal in known.facts.get("removals", []):
        reasons = [{"list": name.removeprefix(EXCLUDED), "pairs": pairs} for name, pairs in removal["reasons"].items()]
        yield _fact("removal", None, reasons, removed=removal["removed"])


def _illegal(known: RunNumbers) -> Iterator[Fact]:
    yield _fact("hash_lists", known.excluded.get("hash", 0))


def _other(known: RunNumbers) -> Iterator[Fact]:
    yield _fact("personal_data", None, known.rules(PERSONAL))
    yield _fact("conditions", None, known.rules())
    dropped = [
        {"reason": name, "meaning": DROPPED.get(name, name), "number": rows}
        for name, rows in known.facts["dropped"].items()
        if rows
    ]
    yield _fact("dropped", None, dropped, pairs=known.facts["rows"]["pairs"])
    if known.facts["parameters"].get("balance", True):
        yield _fact("tail_share", share := known.facts["tail_share"], share=percent(share))


STATED: dict[str, State] = {
    "1.3": _size,
    "2.1": _sets,
    "2.3": _crawled,
    "2.5": _synthetic,
    "3.1": _reservations,
    "3.2": _illegal,
    "3.3": _other,
}


def _rule(row: Mapping[str, Any], what: str) -> dict[str, Any]:
    return {
        "rule": row["text"],
        "removes": row.get("removes"),
        "what": what,
        "found": row.get("failed"),
        "removed": row["removed"],
    }


def _section(origin: Origin) -> str:
    """Return the sections of the template in which an input can belong."""
    if origin.set:
        return "2.1"
    return "2.1 or 2.3" if origin.format in PAGES else "2.1, 2.2, 2.3 or 2.6"


def _month(day: str) -> str:
    return f"{day[5:7]}/{day[:4]}"
