"""Say what a table has of the images, by what tasks counted, and refuse one of other images or of several rows each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curation.config import CurationConfig
from curation.gate.plan import Table
from curation.inputs.limits import rounded_up
from runtime.errors import InputError
from runtime.tallies import Tallies


def of_table(number: int, counted: Tallies) -> dict[str, Any]:
    """Return how many images a table has, and how many have rows that differ, with an example where there are."""
    differing = counted[f"differing.{number}"]
    examples = counted.beginning(f"differing_uid.{number}.")
    return {"found": counted[f"found.{number}"]} | (
        {"differing": differing, "example": min(examples)} if differing else {}
    )


def require_found(table: Table, number: int, counted: Tallies) -> None:
    """Refuse a table that has none of the images."""
    if not counted[f"found.{number}"]:
        raise InputError(
            f"{table.name} has none of the matched images: its {table.identity}s are not those of this run; "
            "give a table with the column uid of matched/, or url"
        )


def require_own_rows(
    table: Table, columns: Sequence[str], number: int, counted: Tallies, config: CurationConfig
) -> None:
    """Refuse a table in which rows of too many images differ in columns that are asked for."""
    found = of_table(number, counted)
    differing = found.get("differing", 0)
    if differing > config.max_shared_uids * found["found"]:
        raise InputError(
            f"{table.name} has several rows of {differing:,} of {found['found']:,} images, such as "
            f"{found['example']}, that differ in {', '.join(columns)}; expected one image a "
            f"{table.identity}: leave one row of each, or allow more with --max-shared-uids "
            f"{rounded_up(differing / found['found'])}"
        )
