"""Names under which another loader knows lists of entries and their thresholds, from a table of the user's."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from curation.run.results import Results
from runtime.errors import InputError

COLUMNS = ("language", "name", "t")
_NAME = re.compile(r"[\w.-]+")  # of a part of a file's name


@dataclass(frozen=True)
class ListName:
    """The name of a language's list of entries, and what its threshold is called: a number, or such as `20k`."""

    name: str
    t: str


def names_of(run: Results, table: str | Path | None = None) -> dict[str, ListName]:
    """Return the name of each list of a run: that of the table, a CSV of language, name and t, or else our own."""
    own = {code: ListName(code, str(run.facts["languages"][code]["t"])) for code in run.languages}
    for code, given in (_read(Path(table)) if table else {}).items():
        if code not in own:
            raise InputError(f"{table} names {code}, of which the run has no entries; it has {', '.join(own)}")
        own[code] = ListName(given["name"] or own[code].name, given["t"] or own[code].t)
    _require_usable(own)
    return own


def write_names(names: dict[str, ListName], path: Path) -> None:
    """Write the table of names."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows((code, each.name, each.t) for code, each in names.items())


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        rows = [*csv.DictReader(StringIO(path.read_text("utf-8-sig")), restval="", strict=True)]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a CSV of names ({error})") from None
    if rows and not set(rows[0]) <= set(COLUMNS) or any("language" not in row for row in rows):
        raise InputError(f"{path} has the columns {', '.join(map(str, rows[0]))}; give {', '.join(COLUMNS)}")
    return {row["language"]: {"name": row.get("name", ""), "t": row.get("t", "")} for row in rows}


def _require_usable(names: dict[str, ListName]) -> None:
    unfit = next((part for each in names.values() for part in (each.name, each.t) if not _NAME.fullmatch(part)), None)
    if unfit is not None:
        raise InputError(f"{unfit!r} cannot be part of a file's name; give letters, digits, '.', '_' and '-'")
    if len({each.name for each in names.values()}) < len(names):
        raise InputError("two languages have one name; a loader tells lists by their names: give each its own")
