"""Columns of the language tables on the report page and the console, each read from a language's row in run.json.

Functions format numbers for people: counts with separators, shares in percent, large numbers abbreviated.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from runtime.packages import table_rows
from runtime.wording import decimal, number, percent, quotient


@dataclass(frozen=True)
class Column:
    """A column of a table of languages: heading, key in the row of a language in run.json, format and meaning."""

    heading: str
    name: str
    written: Callable[[Any], str]
    meaning: str
    is_summed: bool = True
    whole: str | None = None  # the key of the number of which the column shows a share

    def value(self, row: Mapping[str, Any]) -> float | None:
        """Return the number in the row of a language or of `sums`, or its share of the number `whole` in that row.

        None if the row lacks the number, or if the whole is 0.
        """
        return quotient(row[self.name], row[self.whole]) if self.whole else row.get(self.name)


_FORMATS: dict[str, Callable[[Any], str]] = {"number": number, "decimal": decimal, "percent": percent}


def _column(row: Mapping[str, str]) -> Column:
    return Column(
        heading=row["heading"],
        name=row["name"],
        written=_FORMATS[row["format"]],
        meaning=row["meaning"],
        is_summed=row["summed"] == "yes",
        whole=row["whole"] or None,
    )


_BY_HEADING = {row["heading"]: _column(row) for row in table_rows("curation.report", "language_columns.csv")}
# On a phone, a reader has to scroll to the last columns.
_HEADINGS = "texts,kept,t,tail share,matched,share,mean score,expected,by model,entries,seen,matches"
_HEADINGS_OF_DOUBTS = "texts,by model,doubtful,other script,kept,kept doubtful,kept by numbers"
COLUMNS = [_BY_HEADING[name] for name in _HEADINGS.split(",")]
DOUBTS = [_BY_HEADING[name] for name in _HEADINGS_OF_DOUBTS.split(",")]
CONSOLE = {name: _BY_HEADING[name] for name in ("texts", "matched", "mean score", "t", "tail share", "kept")}
CONSOLE["matched"] = _BY_HEADING["share"]
SUMMED = {column.name for column in (*COLUMNS, *DOUBTS) if column.is_summed}


def sums(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the sums of the columns in SUMMED over the rows of languages, by key."""
    all_rows = [*rows]
    return {name: sum(map(itemgetter(name), all_rows)) for name in SUMMED}


def largest(rows: Iterable[tuple[str, dict[str, Any]]], name: str, most: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the pairs (code, row) with the largest row[name] above 0, largest first, at most `most` of them."""
    positive = [(code, row) for code, row in rows if row[name]]
    return sorted(positive, key=lambda item: -item[1][name])[:most]


def removed_texts(gate: Mapping[str, Any], code: str) -> list[tuple[str, int]]:
    """Return the conditions and rules of a gate that removed texts of a language, with their numbers, largest first.

    `gate` is the entry of run.json. The number is negative for captions, which add texts.
    """
    rules = [*gate.get("conditions", []), *gate.get("texts", [])]
    removed = [(rule["text"], rule["removed_texts"][code]) for rule in rules if rule["removed_texts"].get(code)]
    return sorted(removed, key=lambda item: -item[1])
