"""The parts of an output folder: begun, reopened, finished."""

from dataclasses import dataclass
from pathlib import Path

from runtime.errors import AGAIN
from runtime.folders.descriptor import DESCRIPTOR, EARLIER, complete, set_aside
from runtime.storage.json_files import read_json, write_json
from runtime.storage.own_files import OwnFile
from runtime.storage.paths import (
    files,
    is_url,
    make_folder,
    move_files,
    remove,
    remove_file,
)
from runtime.storage.whole import PARTIAL, require_no_link, sync


@dataclass(frozen=True)
class Parts:
    """The parts of an output, which are subfolders with files; complete ones are in `folder`.

    Unfinished parts are in one of two places, on the same disk or object store. A part that was begun (`begin`) is in
    `unfinished`, which belongs to one run. A part that a later run may continue (`reopen`) is in the parent of
    `unfinished`; at a URL it stays in `folder`.
    """

    folder: Path
    unfinished: Path

    def begin(self, name: str) -> Path:
        """Return an empty folder for the files of a part; `finish` gives the part its name."""
        begun = self.unfinished / name
        remove(begun)
        if not is_url(begun):
            begun.mkdir(parents=True)  # fails if something could not be removed
        return begun

    def reopen(self, name: str) -> Path:
        """Return the folder of a new or complete part to add files to; the part is unfinished until `finish`."""
        if is_url(self.folder):  # a folder cannot be moved there, only copied file by file
            set_aside(self.folder / name)
            return self.folder / name
        folder = self._reopened(name)
        require_no_link(self.folder / name)
        if (self.folder / name).exists():
            remove(folder)
            (self.folder / name).rename(folder)
        return make_folder(folder)

    def finish(self, name: str, descriptor: dict | None = None) -> None:
        """Complete a begun or reopened part, in place of any earlier part of its name; write its `descriptor`."""
        if is_url(self.folder):
            self._finish_moving(name, descriptor)
            return
        begun = self.unfinished / name if (self.unfinished / name).exists() else self._reopened(name)
        if descriptor is not None:
            write_json(begun / DESCRIPTOR, descriptor)
        for file in files(begun, PARTIAL):
            remove_file(file)  # left by a task that was killed, and done again
        old, final = self.unfinished / f"{name}.old", self.folder / name
        remove(old)
        make_folder(old.parent)
        make_folder(final.parent)
        if final.exists():
            final.rename(old)
        begun.rename(final)
        sync(final.parent)
        remove(old)

    def descriptor(self, name: str) -> dict | None:
        """Return the descriptor of the part `name`, a record of its inputs; None if no complete part has that name."""
        return read_json(self.folder / name / DESCRIPTOR)

    def earlier(self, name: str) -> dict | None:
        """Return the descriptor of the complete part `name`, or its descriptor before `reopen`; None without either."""
        reopened = self.folder / name / EARLIER if is_url(self.folder) else self._reopened(name) / DESCRIPTOR
        return self.descriptor(name) or read_json(reopened)

    def _reopened(self, name: str) -> Path:
        return self.unfinished.parent / name

    def _finish_moving(self, name: str, descriptor: dict | None) -> None:
        """Finish a part on an object store, file by file; the files of a reopened part are already in their folder."""
        final = self.folder / name
        begun = [file for file in files(self.unfinished / name) if file.name != DESCRIPTOR]
        names = {file.name for file in begun or files(final)}
        missing = (descriptor or {}).get("checksums", {}).keys() - names
        if missing:  # a listing may lack new files
            raise OwnFile(self.unfinished / name / min(missing), None, AGAIN).damaged(FileNotFoundError())
        if descriptor is not None:
            set_aside(final)
        if begun:
            for file in files(final):
                if file.name not in {EARLIER, *names}:
                    remove_file(file)
            move_files(begun, final)
        if descriptor is not None:
            complete(final, descriptor)
