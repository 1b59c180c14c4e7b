"""Refuse an output folder that holds a different run: one with other metadata, numbers or inputs."""

from __future__ import annotations

from pathlib import Path

from curation.inputs.references import input_of, is_table, tables_in
from curation.run.ledger import STAMP_NAME
from runtime.arguments import flag
from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.storage.locks import WORK, is_free
from runtime.storage.paths import files
from runtime.storage.whole import Parts, read_json

VERSION = 1
CLAIM = "run.json"  # in the folder of what is unfinished: what the run is that began it
CALLED = {"matched_version": "version of this program"}  # to a user
MAY_DIFFER = ("inputs", "exclusion")  # in one folder: images are then matched again, those of new inputs or all


def stamped(description: dict) -> dict:
    """Return the description of the run that a folder holds."""
    return {"version": VERSION, "made_from": description}


def is_same(stamp: dict, description: dict, name: str) -> bool:
    """Return whether a part of the description equals the stamp's."""
    return stamp.get("made_from", {}).get(name) == description[name]


def require_like(path: Path, description: dict) -> bool:
    """Refuse a folder that holds something else than a run like this one, over some of its inputs.

    Say whether another run began in it that ended before it had read anything: what it left is in the way of this one.
    """
    if is_free(path):
        return False
    stamp = Parts(path, path / WORK).earlier("matched") or _claim(path) or read_json(path / "run.json")
    if stamp is None:
        raise InputError(
            f"output {path} holds files that are no run of curate; give an empty or new folder, or --overwrite"
        )
    differing = _differing(stamp, description, path)
    if differing and not _is_unread(path):
        raise InputError(
            f"output {path} holds another run (other {', '.join(differing)}); give another folder, or --overwrite this"
        )
    return bool(differing)


def _differing(stamp: dict, description: dict, path: Path) -> list[str]:
    """Return what differs between the run of a stamp and this one, as a user calls it."""
    names = [name for name in description if name not in MAY_DIFFER and not is_same(stamp, description, name)]
    differing = [_called(name, stamp["made_from"].get(name), description[name]) for name in names]
    read = [each for each in stamp["made_from"].get("inputs", []) if not is_table(each["path"])]  # but a table's copies
    if not _paths(read, path) <= _paths(description["inputs"], path):
        differing.append("inputs")
    if not differing and stamp.get("version") != VERSION:
        differing.append("version of this program")
    return differing


def _called(name: str, there: object, here: object) -> str:
    """Return a part of the description as a user calls it; of columns, also which differ."""
    if name != "columns" or not isinstance(there, dict) or not isinstance(here, dict):
        return CALLED.get(name, name)
    fields = [field for field in here if there.get(field) != here[field]]
    said = (f"{flag(field)} {_given(there.get(field))} there, {_given(here[field])} here" for field in fields)
    return f"{name}: {'; '.join(said)}"


def _given(column: object) -> str:
    """Return the value of a flag of columns as it was given."""
    if column is None:
        return "not given"
    return " ".join(map(str, column)) if isinstance(column, list | tuple) else str(column)


def _paths(inputs: list[dict], output: Path) -> set[str]:
    """Return the paths of inputs, and the names of tables for the files of their copies."""
    return {input_of(each["path"], hidden(str(tables_in(output)))) for each in inputs}


def _claim(path: Path) -> dict | None:
    return read_json(path / WORK / CLAIM)


def _is_unread(path: Path) -> bool:
    """Say whether the run that began in a folder ended before it had read or matched any of its inputs."""
    parts = (path / "pairs", path / "matched", path / WORK / "matched")
    stamps = (file for part in parts for file in files(part, ".json") if STAMP_NAME.fullmatch(file.name))
    return _claim(path) is not None and read_json(path / "run.json") is None and not any(stamps)
