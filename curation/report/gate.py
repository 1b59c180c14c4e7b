"""Tables of the report about the gate: what each condition removed, and the share of texts that each language lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from curation.report.numbers import number, percent
from metadata.languages import language

LANGUAGES = 40  # shown, those with the most matched texts


@dataclass(frozen=True)
class Removed:
    """What a condition or rule removed, as shown: what fails it, fails nothing else, and fails it first."""

    condition: str
    failed: str
    alone: str
    removed: str


@dataclass(frozen=True)
class LanguageRow:
    """The matched texts of a language, and the share that each condition and rule removed, and that all left."""

    name: str
    texts: str
    removed: list[str]
    left: str


@dataclass(frozen=True)
class Captions:
    """The table of captions that were balanced: of how many images, and in which languages they are."""

    name: str
    digest: str
    images: str
    without: str
    cut: str
    languages: list[tuple[str, str, str]]  # name, captions, and the share of them that contain an entry

    @classmethod
    def of(cls, captions: dict[str, Any]) -> Captions:
        """Return what is shown, given what run.json says of captions."""
        found = sorted(captions["languages"].items(), key=lambda each: (-each[1]["captions"], each[0]))[:LANGUAGES]
        rows = [
            (_named(code), number(row["captions"]), percent(row["matched"], row["captions"])) for code, row in found
        ]
        images, without, cut = (number(captions[name]) for name in ("images", "without", "cut"))
        return cls(captions["table"]["name"], captions["table"]["digest"], images, without, cut, rows)


@dataclass(frozen=True)
class GateTables:
    """The tables of images, what conditions removed of images and rules of texts, and of which languages."""

    tables: list[tuple[str, str]]
    conditions: list[Removed]
    texts: list[Removed]
    removing: list[str]  # the conditions and rules that removed texts
    languages: list[LanguageRow]
    captions: Captions | None  # that were balanced in place of alt texts

    @classmethod
    def of(cls, facts: dict[str, Any]) -> GateTables | None:
        """Return the tables, given the content of run.json; None for a run without a gate."""
        gate = facts["gate"]
        if not gate:
            return None
        texts = gate.get("texts", [])  # none in earlier versions
        removing = [each for each in (*gate["conditions"], *texts) if each["removed_texts"]]
        return cls(
            tables=[(table["name"], number(table["found"])) for table in gate["tables"]],
            conditions=_rows(gate["conditions"]),
            texts=_rows(texts),
            removing=[each["text"] for each in removing],
            languages=_languages(facts, [each["removed_texts"] for each in removing]),
            captions=Captions.of(gate["captions"]) if "captions" in gate else None,
        )


def _rows(counted: list[dict[str, Any]]) -> list[Removed]:
    return [Removed(each["text"], *(number(each[name]) for name in ("failed", "alone", "removed"))) for each in counted]


def _languages(facts: dict[str, Any], removed: list[dict[str, int]]) -> list[LanguageRow]:
    matched = {code: row["matched"] for code, row in facts["languages"].items() if row["matched"]}
    shown = sorted(matched, key=lambda code: (-matched[code], code))[:LANGUAGES]
    return [_language(code, matched[code], [each.get(code, 0) for each in removed]) for code in shown]


def _language(code: str, texts: int, removed: list[int]) -> LanguageRow:
    shares = [percent(each, texts) for each in removed]
    return LanguageRow(_named(code), number(texts), shares, percent(texts - sum(removed), texts))


def _named(code: str) -> str:
    return f"{language(code).name} ({code})"
