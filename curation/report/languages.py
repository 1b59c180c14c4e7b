"""Table of languages: one row per language, with the sums of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from curation.report.numbers import number, percent, quotient, score
from metadata.languages import language


@dataclass(frozen=True)
class Column:
    """A column of the table: its heading, its name in a language's row of run.json, its format and its meaning."""

    heading: str
    name: str
    written: Callable[[Any], str]
    meaning: str
    is_summed: bool = True


COLUMNS = (
    Column("texts", "texts", number, "texts of images; repeated texts of the same image are counted once"),
    Column("kept", "kept", number, "images kept with a text in the language"),
    Column("expected", "expected", number, "images kept on average over many seeds"),
    Column(
        "by model",
        "identified",
        number,
        "texts whose language the model identified; the other texts came with their language",
    ),
    Column("mean score", "mean_score", score, "of the model; a low one is a sign of junk such as file names", False),
    Column("matched", "matched", number, "texts that contain at least one entry"),
    Column("share", "matched_share", percent, "of texts that are matched", False),
    Column("entries", "entries", number, "entries of the language in the metadata"),
    Column("seen", "entries_seen", number, "entries that are in at least one text"),
    Column("matches", "matches", number, "pairs of a text and an entry in it"),
    Column("t", "t", number, "the threshold: an entry with a higher count keeps about t of its texts", False),
    Column("tail share", "tail_share", percent, "share of matches with entries whose count is less than t", False),
)

DOUBTS = (
    *(column for column in COLUMNS if column.name in ("texts", "identified")),
    Column("doubtful", "doubtful_share", percent, "of these, with a score below 0.5", False),
    Column("other script", "other_script", number, "texts whose letters are all of scripts of other languages"),
    *(column for column in COLUMNS if column.name == "kept"),
    Column("kept doubtful", "kept_doubtful", number, "images kept with a text whose score is below 0.5"),
    Column(
        "kept by numbers",
        "kept_without_letters",
        number,
        "images kept with a text in which no entry has two letters: for numbers and single letters alone",
    ),
)


@dataclass(frozen=True)
class Cell:
    """A number of the table, as it is sorted and as it is shown; an empty cell has no value."""

    value: float | None
    text: str


@dataclass(frozen=True)
class Row:
    """A row of the table, with one cell per column."""

    name: str
    code: str
    cells: list[Cell]


@dataclass(frozen=True)
class LanguageTable:
    """The rows of all languages, and the cells with their sums."""

    columns: tuple[Column, ...]
    rows: list[Row]
    sums: list[Cell]

    @classmethod
    def of(cls, facts: dict[str, Any], columns: tuple[Column, ...] = COLUMNS) -> LanguageTable:
        """Return the table with these columns, given the content of run.json."""
        rows = facts["languages"]
        summed = {column.name for column in (*COLUMNS, *DOUBTS) if column.is_summed} | {"doubtful"}
        sums = {name: sum(row[name] for row in rows.values()) for name in summed}
        named = [Row(language(code).name, code, _cells(row, columns)) for code, row in rows.items()]
        return cls(columns, named, _cells(sums, columns))

    @classmethod
    def of_doubts(cls, facts: dict[str, Any]) -> LanguageTable:
        """Return the table of what is doubtful, of the languages that have texts."""
        seen = {code: row for code, row in facts["languages"].items() if row["texts"]}
        return cls.of(facts | {"languages": seen}, DOUBTS)


def _cells(row: dict[str, Any], columns: tuple[Column, ...]) -> list[Cell]:
    row = row | {
        "matched_share": quotient(row["matched"], row["texts"]),
        "doubtful_share": quotient(row["doubtful"], row["identified"]),
    }
    values = [(row.get(column.name), column.written) for column in columns]
    return [Cell(value, "" if value is None else written(value)) for value, written in values]
