"""State what a run knows of each section of the Commission's template for summaries of training content.

A fact has a name, a value as JSON and a sentence, or rows of a table. The questions of sections.csv are those that only
a person can answer. Numbers are those of run.json, and what tasks have counted.
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
from curation.leaves.origins.inputs import PAGES, Origin, origins, period
from curation.report.languages import counted, number, percent
from curation.report.markdown import escaped
from metadata.languages import language

OPT_OUTS = ("noai", "noimageai", "noml", "tdm_reservation", "data_noai", "robots", "content_signal", "ai_txt")
PERSONAL = ("email_address", "phone_number", "card_number", "iban")
EXCLUDED = "excluded_"  # begins reasons
NO_TIME = "No name of an input states a time."
TOKENS = 1_000_000_000  # end of the smallest bin of texts
SMALL = 1000  # the most domains that a small enterprise lists


@dataclass(frozen=True)
class Ranked:
    """The domains of images or pages, and how many of them are listed in which file."""

    counted: DomainCounts
    of: str  # what was counted, such as "pages of matched images"
    file: str

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
        blank = {"blank": row["blank"], "question": row["question"], "answer": answers.get(row["blank"])}
        found[number]["blanks"].append(blank)
    return [*found.values()]


@lru_cache(maxsize=1)
def questions() -> list[dict[str, str]]:
    """Return the questions that only a person can answer, in the order of the template."""
    text = files("curation.leaves.papers").joinpath("sections.csv").read_text("utf-8")
    return [*csv.DictReader(text.splitlines())]


def image_bin(images: int) -> str:
    """Return the template's word for a number of images.

    >>> image_bin(999_999), image_bin(1_000_000_000), image_bin(1_000_000_001)
    ('less than 1 million', '1 million to 1 billion', 'more than 1 billion')
    """
    if images < 1_000_000:
        return "less than 1 million"
    return "1 million to 1 billion" if images <= 1_000_000_000 else "more than 1 billion"


def _fact(name: str, value: Any, says: str) -> Fact:
    return {"name": name, "value": value, "says": says, "rows": []}


def _table(name: str, rows: Sequence[dict[str, Any]], says: str, none: str = "") -> Fact:
    """Return a table with its sentence, or the one for no rows."""
    return {"name": name, "value": None, "says": says if rows or not none else none, "rows": [*rows]}


def _size(known: RunNumbers) -> Iterator[Fact]:
    rows, kept = known.facts["rows"], known.facts["rows"]["kept"]
    yield _fact("modalities", ["image", "text"], "Images, by URL, each with a text of a page or table that names it.")
    yield _fact("images_read", rows["images"], f"{counted(rows['images'], 'image')} were read.")
    yield _fact("images", kept, f"{counted(kept, 'image')} were kept for training.")
    yield _fact("image_bin", image_bin(kept), f"That is {image_bin(kept)}.")
    bound = "; a token has a byte or more, so these are less than 1 billion tokens" if known.text_bytes < TOKENS else ""
    yield _fact("text_bytes", known.text_bytes, f"Kept texts have {counted(known.text_bytes, 'byte')} in UTF-8{bound}.")
    yield _newest(known.origins)
    kept_of = {code: row["kept"] for code, row in known.facts["languages"].items() if row["kept"]}
    languages = [
        {"code": code, "language": language(code).name, "kept": kept_of[code], "share": kept_of[code] / max(1, kept)}
        for code in sorted(kept_of, key=lambda code: (-kept_of[code], code))
    ]
    yield _table("languages", languages, f"Kept texts are in {counted(len(languages), 'language')}.")


def _newest(found: Sequence[Origin]) -> Fact:
    days = period(found)
    if not days:
        return _fact("latest", None, NO_TIME)
    return _fact(
        "latest", _month(days[1]), f"The newest content that a name of an input dates is of {_month(days[1])}."
    )


def _sets(known: RunNumbers) -> Iterator[Fact]:
    whole = sum(origin.bytes for origin in known.origins)
    rows = [origin.row | {"share": origin.bytes / max(1, whole)} for origin in known.origins]
    says = "Inputs of the run, with the public set that a path names. A path is only a hint. Shares are of bytes."
    yield _table("inputs", rows, says)


def _crawled(known: RunNumbers) -> Iterator[Fact]:
    pages, own = known.facts["rows"]["pages"], [origin for origin in known.origins if origin.format in PAGES]
    yield _fact("pages", pages, f"Pages with images, of WAT and WARC files, that were read: {number(pages)}.")
    if any(origin.set == "Common Crawl" for origin in own):
        yield _fact("crawler", "CCBot", "Names of inputs are those of Common Crawl, whose crawler is CCBot.")
    else:
        yield _fact("crawler", None, "No name of an input states a crawler.")
    days = period(own)
    months = "–".join(map(_month, days)) if days else None
    yield _fact("period", months, f"Names of inputs state the time {months}." if months else NO_TIME)
    says = (
        "Registered domains in the files named here: the tenth with the most images. Its first rows are enough for a "
        "small or medium-sized enterprise (5 %, at most 1,000). A run stores no pictures: the size of content is the "
        "number of images. The domain of a page is that of the one page that the run records of an image."
    )
    yield _table("domains", [ranked.row for ranked in known.domains], says)


def _synthetic(known: RunNumbers) -> Iterator[Fact]:
    if not (captions := known.gate.get("captions")):
        yield _fact(
            "captions", None, "Texts are those of the inputs: the run matched no captions of models beside them."
        )
        return
    table, images, without = (captions[name] for name in ("table", "images", "without"))
    table = table | {"name": PurePosixPath(table["name"]).name}  # without its folder
    says = (
        f"Of {counted(images, 'matched image')} captions of {escaped(table['name'])} took the place of texts; "
        f"{number(without)} without a caption have their texts."
    )
    yield _fact("captions", {"table": table, "images": images, "without": without}, says)


def _reservations(known: RunNumbers) -> Iterator[Fact]:
    signals = [{"signal": name, "pairs": pairs} for name, pairs in known.facts.get("signals", {}).items()]
    yield _table(
        "signals", signals, "Pairs of an image and a text, as read, whose page states a reservation; tables state none."
    )
    says = "Reservations that the run honoured. What several rules name is counted for the first."
    yield _table("opt_outs", known.rules(OPT_OUTS), says, "No rule removed images by what pages or hosts state.")
    if hosts := known.gate.get("hosts"):
        agents = ", ".join(map(escaped, hosts["agents"]))
        hosts = hosts | {"name": PurePosixPath(hosts["name"]).name}
        yield _fact("hosts", hosts, f"{counted(hosts['files'], 'file')} of hosts were read, for the agents {agents}.")
    lists = [{"list": name, "texts": texts} for name, texts in known.excluded.items() if name != "hash"]
    yield _table("lists", lists, "Texts that lists of opt-outs kept out.", "No list of opt-outs kept any text out.")
    for removal in known.facts.get("removals", []):
        reasons = [
            {"list": name.removeprefix("excluded_"), "pairs": pairs} for name, pairs in removal["reasons"].items()
        ]
        says = f"Pairs that lists of opt-outs removed after the run: {number(removal['removed'])}."
        yield _table("removal", reasons, says)


def _illegal(known: RunNumbers) -> Iterator[Fact]:
    texts = known.excluded.get("hash", 0)
    says = f"Texts of images that lists of hashes kept out: {number(texts)}."
    yield _fact("hash_lists", texts, says if texts else "No list of hashes kept any image out.")


def _other(known: RunNumbers) -> Iterator[Fact]:
    says, none = "Texts with personal data that were removed.", "No rule removed texts with personal data."
    yield _table("personal_data", known.rules(PERSONAL), says, none)
    says, none = "Other rules that images and texts had to pass.", "No other rule removed images or texts."
    yield _table("conditions", known.rules(), says, none)
    dropped = [{"reason": name, "number": rows} for name, rows in known.facts["dropped"].items() if rows]
    yield _table("dropped", dropped, "Left out while reading, by reason.", "Nothing was left out while reading.")
    share = known.facts["tail_share"]
    if known.facts["parameters"].get("balance", True):
        yield _fact(
            "tail_share", share, f"Texts were balanced: {percent(share)} of English matches are with rare entries."
        )


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
    return {"rule": row["text"], "removes": row.get("removes"), "what": what, "removed": row["removed"]}


def _month(day: str) -> str:
    return f"{day[5:7]}/{day[:4]}"
