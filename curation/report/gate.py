"""What the gate removed: by condition, and of each language the share of its matched texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from curation.report.numbers import number, percent
from metadata.languages import language

LANGUAGES = 40  # shown, those with the most matched texts


@dataclass(frozen=True)
class Removed:
    """What one condition removed, as shown: images that fail it, those that fail nothing else, the first to fail."""

    condition: str
    failed: str
    alone: str
    removed: str


@dataclass(frozen=True)
class LanguageRow:
    """The matched texts of a language, and the share that each condition removed, and that all left."""

    name: str
    texts: str
    removed: list[str]
    left: str


@dataclass(frozen=True)
class GateTables:
    """The tables of images, the conditions, and the languages that they removed texts of."""

    tables: list[tuple[str, str]]
    conditions: list[Removed]
    languages: list[LanguageRow]

    @classmethod
    def of(cls, facts: dict[str, Any]) -> GateTables | None:
        """Return the tables, given the content of run.json; None for a run without a gate."""
        gate = facts["gate"]
        if not gate:
            return None
        rows = [
            Removed(each["text"], *(number(each[name]) for name in ("failed", "alone", "removed")))
            for each in gate["conditions"]
        ]
        tables = [(table["name"], number(table["found"])) for table in gate["tables"]]
        return cls(tables, rows, _languages(facts))


def _languages(facts: dict[str, Any]) -> list[LanguageRow]:
    conditions = facts["gate"]["conditions"]
    matched = {code: row["matched"] for code, row in facts["languages"].items() if row["matched"]}
    shown = sorted(matched, key=lambda code: (-matched[code], code))[:LANGUAGES]
    removed = {code: [each["removed_texts"].get(code, 0) for each in conditions] for code in shown}
    return [_language(code, matched[code], removed[code]) for code in shown]


def _language(code: str, texts: int, removed: list[int]) -> LanguageRow:
    shares = [percent(each, texts) for each in removed]
    return LanguageRow(f"{language(code).name} ({code})", number(texts), shares, percent(texts - sum(removed), texts))
