"""The descriptor of a folder: one JSON file, written last, which makes the folder complete.

The descriptors of all kinds of folders have these members; the others are facts of the kind.

- `kind`: what the folder holds, in words, such as `hashes of pictures`
- `version`: the version of the kind's format
- `command`: the command that makes the folder again
- `made_from`: all that the files depend on, or a digest of it
- `checksums`: the checksum of each other file, by its path in the folder
- `tasks`: the finished tasks, if a later call may add to the folder (`stamps`)

A descriptor is named DESCRIPTOR, which programs that read a folder as a dataset pass over, or has a name that users
know, such as run.json. A folder may hold others with descriptors of their own, such as `matched/` in a run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.storage.json_files import read_json, write_json
from runtime.storage.listing import DESCRIPTOR, METADATA, RUN
from runtime.storage.paths import remove_file

EARLIER = "_earlier.json"  # the descriptor of a folder that is being added to
OF_EVERY_KIND = ("kind", "version", "command", "made_from", "checksums")  # members of every descriptor
NAMES = (DESCRIPTOR, RUN, METADATA, "clusters.json", "index.json")


@dataclass(frozen=True)
class Kind:
    """A kind of folder: what it holds, in words, the command that makes it, and the name of its descriptor."""

    name: str
    command: str
    version: int = 1
    descriptor: str = DESCRIPTOR

    def content(self, made_from: object, checksums: Mapping[str, str], facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of a descriptor; `checksums` has the paths of files in the folder."""
        members = {"kind": self.name, "version": self.version, "command": self.command}
        return members | dict(facts) | members | {"made_from": made_from, "checksums": dict(sorted(checksums.items()))}

    def read(self, folder: Path) -> dict[str, Any] | None:
        """Return the descriptor of a complete folder of this kind and version; None if there is none."""
        content = read_json(folder / self.descriptor)
        if content is None or content.get("kind") != self.name or content.get("version") != self.version:
            return None
        return content


def name_of_descriptor(present: Iterable[str]) -> str | None:
    """Return which of the names of a folder's files is its descriptor's; None if none is."""
    return next((name for name in NAMES if name in present), None)


def set_aside(folder: Path) -> None:
    """Rename a folder's descriptor, if it has one: the folder is not complete until it has a descriptor again."""
    content = read_json(folder / DESCRIPTOR)
    if content is not None:
        write_json(folder / EARLIER, content)
        remove_file(folder / DESCRIPTOR)


def complete(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the descriptor of a folder; remove the one that was set aside."""
    write_json(folder / DESCRIPTOR, dict(content))
    remove_file(folder / EARLIER)
