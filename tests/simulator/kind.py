"""A command with some options, as the simulator runs it; what a module about a command fills in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.errors import InputError
from runtime.folders.descriptor import EARLIER
from runtime.folders.stamps import is_stamp
from runtime.storage.paths import as_path, files, files_below, names, read_bytes, remove
from runtime.storage.whole import WORK
from tests.simulator.engine import Session

INPUTS = 3
REMEDY = re.compile(r"(?P<it>\S*/\S+) is .*; delete it(?P<stamp> and its \.json)?\b|delete (?P<path>\S*/\S+) ")


@dataclass(frozen=True)
class Command:
    """How one call of the command differs from the next one over the same folder."""

    inputs: int = INPUTS  # the first so many
    cores: int = 2
    tries: int = 1  # of a task
    bucket_rows: int = 1 << 18
    overwrite: bool = False
    hosts: int = 0  # machines of workers; none are other machines than the driver's
    is_other: bool = False  # with the kind's other options


class Kind:
    """A command with some options: how its inputs are made, how it is called, and what its folder must hold."""

    name: str
    most = INPUTS  # inputs that a command of this kind is given, at most
    places = (False, True)  # whether the folder may be in an object store
    busy = "another run is writing"  # in the sentence that keeps a command out beside another one
    finished = "run.json"  # the file, in a folder, that exists once a command has ended well
    caches: tuple[Callable, ...] = ()  # functions that keep, in a worker, what they once opened
    without: tuple[str, ...] = ()  # faults against which the command promises nothing
    at_rest = ""  # the folder in the folder whose files may flip a bit
    has_other = False  # whether there are other options, with which a command may run over the same folder
    refuses_finished = False  # whether the command says what to do where it finds its own finished work

    def prepare(self, folder: Path) -> None:
        """Write all inputs into a folder of this kind's own, once for all runs."""
        raise NotImplementedError

    def begin(self, folder: Path, output: Path) -> None:
        """Put what commands read and that may be damaged, if anything, beside what they write; or put it there anew."""

    def call(self, session: Session, folder: Path, command: Command, output: Path) -> None:
        """Run the command over some of the inputs in `folder`."""
        raise NotImplementedError

    def settings(self, command: Command) -> AbstractContextManager:
        """Set, for a block in which commands are called, what decides the same for commands beside each other."""
        return nullcontext()

    def results(self, output: Path) -> dict[str, bytes]:
        """Return the bytes of the files that must not differ from those of a quiet run, by their names."""
        raise NotImplementedError

    def require_whole(self, output: Path) -> None:
        """Raise InputError where a finished folder is not as it was written."""
        raise NotImplementedError

    def is_finished(self, output: Path) -> bool:
        """Return whether a command seems to have ended well."""
        return (output / self.finished).exists()

    def left(self, output: Path) -> set[str]:
        """Return the names of what is left of unfinished work in an object store or folder, such as stamps."""
        stamps = {name for name in files_below(output) if is_stamp(Path(name).name) or Path(name).name == EARLIER}
        return names(output) & {WORK} | stamps

    def heal(self, folder: Path, output: Path, said: str, command: Command) -> Command:
        """Do what a sentence says, given the inputs; return the command to run then."""
        found = REMEDY.search(said)
        if found:
            path = as_path(found["it"] or found["path"])
            remove(path)
            if found["stamp"]:
                remove(path.with_name(f"_{path.name.partition('.')[0]}.json"))
        return replace(command, overwrite="overwrite" in said)

    def is_other(self, output: Path) -> bool:
        """Return whether a finished folder was made with the other options."""
        return False

    def inputs(self, output: Path) -> int:
        """Return the number of inputs that a finished folder was made from."""
        return self.most

    def fault(self, output: Path) -> str | None:
        """Return what is wrong with a finished folder, or None."""
        try:
            self.require_whole(output)
        except InputError as error:
            return str(error)
        return None


def contents(folder: Path, parts: tuple[str, ...], own: tuple[str, ...]) -> dict[str, bytes]:
    """Return the bytes of the files in the folders `parts`, and of those among `own` that exist, by their names."""
    return {str(path)[len(str(folder)) :]: read_bytes(path) for path in _found(folder, parts, own)}


def _found(folder: Path, parts: tuple[str, ...], own: tuple[str, ...]) -> Iterator[Path]:
    for part in parts:
        yield from files(folder / part)
    present = names(folder)
    yield from (folder / name for name in own if name in present)
