"""Columns of the language tables on the report page and the console, each read from a language's row in run.json.

Functions format numbers for people: counts with separators, shares in percent, large numbers abbreviated; and tables
of text.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metadata.languages import language
from runtime.terminal import in_one_line
from runtime.wording import decimal, number, percent, quotient


@dataclass(frozen=True)
class Column:
    """A column of a table of languages: heading, key in the row of a language in run.json, format and meaning."""

    heading: str
    name: str
    written: Callable[[Any], str]
    meaning: str
    is_summed: bool = True
    whole: str | None = None  # key of the number of which the column shows a share

    def value(self, row: Mapping[str, Any]) -> float | None:
        """Return the number in the row of a language or of `sums`, or its share of the number `whole` in that row.

        None if the row lacks the number, or if the whole is 0.
        """
        return quotient(row[self.name], row[self.whole]) if self.whole else row.get(self.name)


TEXTS = Column("texts", "texts", number, "texts of images; repeated texts of the same image are counted once")
KEPT = Column("kept", "kept", number, "images kept with a text in the language")
BY_MODEL = Column(
    "by model",
    "identified",
    number,
    "texts whose language the model identified; the other texts came with their language",
)
MEAN_SCORE = Column(
    "mean score", "mean_score", decimal, "of the model; a low one is a sign of junk such as file names", False
)
SHARE = Column("share", "matched", percent, "of texts that are matched", whole="texts")
T = Column("t", "t", number, "the threshold: an entry with a higher count keeps about t of its texts", False)
TAIL_SHARE = Column(
    "tail share", "tail_share", percent, "share of matches with entries whose count is less than t", False
)

COLUMNS = (
    TEXTS,
    KEPT,
    Column("expected", "expected", number, "images kept on average over many seeds"),
    BY_MODEL,
    MEAN_SCORE,
    Column("matched", "matched", number, "texts that contain at least one entry"),
    SHARE,
    Column("entries", "entries", number, "entries of the language in the metadata"),
    Column("seen", "entries_seen", number, "entries that are in at least one text"),
    Column("matches", "matches", number, "pairs of a text and an entry in it"),
    T,
    TAIL_SHARE,
)
DOUBTS = (
    TEXTS,
    BY_MODEL,
    Column("doubtful", "doubtful", percent, "of these, with a score below 0.5", whole="identified"),
    Column("other script", "other_script", number, "texts whose letters are all of scripts of other languages"),
    KEPT,
    Column("kept doubtful", "kept_doubtful", number, "images kept with a text whose score is below 0.5"),
    Column(
        "kept by numbers",
        "kept_without_letters",
        number,
        "images kept with a text in which no entry has two letters: for numbers and single letters alone",
    ),
)
CONSOLE = {"texts": TEXTS, "matched": SHARE, "mean score": MEAN_SCORE, "t": T, "tail share": TAIL_SHARE, "kept": KEPT}
SUMMED = {column.name for column in (*COLUMNS, *DOUBTS) if column.is_summed}


def sums(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the sums of the columns in SUMMED over the rows of languages, by key."""
    all_rows = [*rows]
    return {name: sum(row[name] for row in all_rows) for name in SUMMED}


def largest(rows: Iterable[tuple[str, dict[str, Any]]], name: str, most: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the pairs (code, row) with the largest row[name] above 0, largest first, at most `most` of them."""
    positive = [(code, row) for code, row in rows if row[name]]
    return sorted(positive, key=lambda item: -item[1][name])[:most]


def named(code: str) -> str:
    """Return the name and the code of a language.

    >>> named("de")
    'German (de)'
    """
    return f"{language(code).name} ({code})"


def aligned(rows: Sequence[tuple[str, ...]], left: Sequence[int] = (0,)) -> list[str]:
    """Return each row as a line with aligned columns: to the left if the column index is in `left`, else right."""
    rows = [tuple(map(in_one_line, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
