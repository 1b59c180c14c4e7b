"""The descriptor of a folder: one JSON file, written last, which makes the folder complete.

The descriptors of all kinds of folders have these members. Further members are specific to the kind.

- `kind`: the content of the folder in words, such as `hashes of pictures`
- `version`: the version of the kind's format
- `command`: the command that makes the folder again
- `made_from`: a description of all that the files depend on
- `checksums`: the checksum of each other file, by its path in the folder
- `tasks`: the finished tasks, if a later call may add to the folder (`stamps`)

A descriptor is named DESCRIPTOR, which programs that read a folder as a dataset pass over, or has a name that users
know, such as run.json. A folder may hold others with descriptors of their own, such as `matched/` in a run.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.messages import QUOTED
from runtime.storage.json_files import read_json, write_json
from runtime.storage.listing import DESCRIPTOR, METADATA, RUN
from runtime.storage.paths import remove_file

EARLIER = "_earlier.json"  # the descriptor of a folder that is being added to
OF_EVERY_KIND = ("kind", "version", "command", "made_from", "checksums")  # members of every descriptor
_DIGEST = re.compile("[0-9a-f]{8,}")
NAMES = (DESCRIPTOR, RUN, METADATA, "clusters.json", "index.json")


@dataclass(frozen=True)
class Kind:
    """A kind of folder: its content in words, the command that makes it, and the name of its descriptor."""

    name: str
    command: str
    version: int = 1
    descriptor: str = DESCRIPTOR

    def content(self, made_from: object, checksums: Mapping[str, str], facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of a descriptor; `checksums` has the paths of files in the folder."""
        members = {"kind": self.name, "version": self.version, "command": self.command}
        return members | dict(facts) | members | {"made_from": made_from, "checksums": dict(sorted(checksums.items()))}

    def claim(self, made_from: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of the claim of a folder that a command begins to make as `made_from` describes."""
        return {"kind": self.name, "version": self.version, "made_from": made_from}

    def read(self, folder: Path) -> dict[str, Any] | None:
        """Return the descriptor of a complete folder of this kind and version; None if there is none."""
        content = read_json(folder / self.descriptor)
        if content is None or content.get("kind") != self.name or content.get("version") != self.version:
            return None
        return content


def name_of_descriptor(present: Iterable[str]) -> str | None:
    """Return the first of NAMES among the file names `present` in a folder; None if it has no descriptor."""
    return next((name for name in NAMES if name in present), None)


def set_aside(folder: Path, name: str = DESCRIPTOR) -> None:
    """Rename a folder's descriptor, if it has one: the folder is not complete until it has a descriptor again."""
    content = read_json(folder / name)
    if content is not None:
        write_json(folder / EARLIER, content)
        remove_file(folder / name)


def complete(folder: Path, content: Mapping[str, Any], name: str = DESCRIPTOR) -> None:
    """Write `content` as the descriptor of a folder; remove an earlier descriptor that was set aside."""
    write_json(folder / name, dict(content))
    remove_file(folder / EARLIER)


def differing(there: object, here: Mapping[str, Any]) -> list[str]:
    """Return the differences between two descriptions as phrases for a person; `there` is a part of a JSON file.

    If the value of a member is an object, each differing member of the object is named. Members of the description
    that `here` lacks are ignored.

    >>> there = {"pdq": False, "model": {"name": "a"}, "run": "00c0ffee"}
    >>> differing(there, {"pdq": True, "model": {"name": "b"}, "run": "00decade"})
    ['pdq False, not True', 'model name a, not b', 'other run']
    """
    stated = there if isinstance(there, dict) else {}
    phrases: list[str] = []
    for name, value in json.loads(json.dumps(here)).items():
        other = stated.get(name)
        if isinstance(value, dict) and isinstance(other, dict):
            members = [member for member in {**other, **value} if other.get(member) != value.get(member)]
            phrases += [_difference(f"{name} {member}", other.get(member), value.get(member)) for member in members]
        elif other != value:
            phrases.append(_difference(name, other, value))
    return phrases


def _difference(name: str, there: object, here: object) -> str:
    """Return a phrase about two values of `name`, which shows both unless one is long, an object or a digest."""
    shown = [_shown(there), _shown(here)]
    if None in shown:
        return f"other {name}"
    return f"{name} {shown[0]}, not {shown[1]}"


def _shown(value: object) -> str | None:
    if isinstance(value, dict):
        return None
    text = " ".join(map(str, value)) if isinstance(value, list) else str("none" if value is None else value)
    return None if len(text) > QUOTED or _DIGEST.fullmatch(text) else text
