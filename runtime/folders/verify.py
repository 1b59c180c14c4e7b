"""Check, file by file, that the files of a complete folder are as they were written, for `clip-verify`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

from runtime.errors import InputError
from runtime.folders.descriptor import DESCRIPTOR, EARLIER, OF_EVERY_KIND, name_of_descriptor
from runtime.messages import listed
from runtime.storage.json_files import content_of, is_exact
from runtime.storage.listing import described
from runtime.storage.own_files import OwnFile, intact
from runtime.storage.paths import FullDisk, as_path, files_below, in_threads, names, reachable, read_bytes

ANEW = "make the folder again, under another name"  # a command refuses a folder without its descriptor
NAMED = 5  # at most this number of faults is listed


@dataclass(frozen=True)
class DescribedFile:
    """A file that a descriptor lists: its path in the folder, and its checksum."""

    name: str
    path: Path
    checksum: str

    def fault(self) -> str | None:
        """Return a sentence about what is wrong with the file, or None if it is undamaged."""
        try:
            with intact(OwnFile(self.path, self.checksum, "")):
                return None
        except FileNotFoundError:
            return f"{self.name} is missing"
        except FullDisk:  # no room for the local copy of a remote file
            raise
        except ValueError:
            return f"{self.name} is damaged"


def verify(folder: str | PathLike[str]) -> str:
    """Return a sentence if all files of a folder are as they were written; else raise InputError, naming faults.

    Folders in it that have descriptors of their own are also checked.
    """
    path = as_path(folder)
    with reachable(path):
        name = name_of_descriptor(names(path))
        if name is None:
            raise InputError(f"{path} {described(path)}; specify a folder that a command of this project has finished")
        present = {*files_below(path)}
        descriptors = [name, *sorted(file for file in present if file.endswith(f"/{DESCRIPTOR}"))]
        command = _descriptor(path / name, ANEW)["command"]
        remedy = f"delete the files that are damaged or not of this folder, and run the same {command} command again"
        checksums: dict[str, str] = {}
        for descriptor in descriptors:
            checksums |= _checksums_in(path, descriptor, remedy)
        files = [DescribedFile(file, path / file, checksum) for file, checksum in sorted(checksums.items())]
        faults = [fault for fault in in_threads(DescribedFile.fault, files) if fault]
        faults += [f"{file} is not of this folder" for file in _unknown(present, {*descriptors, *checksums})]
    if faults:
        raise InputError(f"{path} has changed since it was written: {listed(faults, NAMED)}; {remedy}")
    return f"{path}: all {len(checksums) + len(descriptors):,} files are as they were written"


def _checksums_in(folder: Path, descriptor: str, remedy: str) -> dict[str, str]:
    """Return the checksums that a descriptor lists, by the paths of files in `folder`."""
    within = descriptor.rpartition("/")[0]
    stated = _descriptor(folder / descriptor, remedy)["checksums"]
    return {f"{within}/{name}" if within else name: checksum for name, checksum in stated.items()}


def _descriptor(path: Path, remedy: str) -> Mapping[str, Any]:
    """Return the content of a descriptor; refuse one that is damaged, changed or of an older version."""
    data = read_bytes(path)
    try:
        content = content_of(data)
    except ValueError as error:
        raise OwnFile(path, None, remedy).damaged(error) from None
    if not isinstance(content, dict) or content.keys().isdisjoint({"kind", "command"}):
        folder = path.parent
        raise InputError(
            f"{folder} {described(folder)}; specify a folder that a command of this project has finished, in this "
            "version"
        )
    if not is_exact(data) or not content.keys() >= {*OF_EVERY_KIND}:
        raise OwnFile(path, None, remedy).damaged("other programs have changed it")
    return content


def _unknown(present: set[str], described: set[str]) -> Iterator[str]:
    """Yield the files that no descriptor lists, but that a reader of the folder would read.

    Such a file is in the folder of a described file, and has the same ending.
    """
    places = {(PurePosixPath(name).parent, PurePosixPath(name).suffix) for name in described}
    for name in sorted(present - described):
        path = PurePosixPath(name)
        if (path.parent, path.suffix) in places and path.name != EARLIER:
            yield name
