"""Folders that have their name only when they are whole, stamped with what they were made from.

A run that is interrupted leaves its parts; the next one takes those whose stamp says that they are what it would make.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

STAMP = "_made_from.json"  # Parquet readers pass over names that begin with _


@dataclass(frozen=True)
class Parts:
    """The parts below `place`; those being made lie below `work`, which is on the same disk."""

    place: Path
    work: Path

    def begin(self, name: str) -> Path:
        """Return an empty folder for the files of a part, to be finished with `finish`."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def reopen(self, name: str) -> Path:
        """Return the folder of a part that is to be added to: it has no name until `finish` gives it one again."""
        folder = self.work / name
        if (self.place / name).exists():
            shutil.rmtree(folder, ignore_errors=True)
            (self.place / name).rename(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def finish(self, name: str, stamp: dict | None = None) -> None:
        """Stamp what `begin` began, if it is to be recognised, and give it its name; what had the name before goes."""
        if stamp is not None:
            write_json(self.work / name / STAMP, stamp)
        old, final = self.work / f"{name}.old", self.place / name
        shutil.rmtree(old, ignore_errors=True)
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists():
            final.rename(old)
        (self.work / name).rename(final)
        shutil.rmtree(old, ignore_errors=True)

    def stamp(self, name: str) -> dict | None:
        """Return the stamp of a part that is whole, or None."""
        return read_json(self.place / name / STAMP)


def write_json(path: Path, content) -> None:
    """Write `content` so that the file is whole under its name."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def read_json(path: Path) -> dict | None:
    """Return the object in a JSON file, or None where there is no readable one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
