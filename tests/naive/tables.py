"""Rows of the tables that come with the packages, and what the tables of languages say."""

import csv
from functools import cache

from tests.support.checkout import ROOT


@cache
def rows_of(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file, named by its path in the checkout."""
    with (ROOT / name).open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


@cache
def scripts_of(code: str) -> set[str]:
    """Return the scripts of a language."""
    return {
        script for row in rows_of("metadata/scripts.csv") if row["code"] == code for script in row["scripts"].split()
    }


@cache
def has_spaces(code: str) -> bool:
    """Say whether spaces separate the words of a language."""
    return [row["spaced"] for row in rows_of("metadata/languages.csv") if row["code"] == code] == ["yes"]
