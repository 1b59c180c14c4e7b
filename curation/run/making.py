"""Make files of a folder in Spark tasks, of an item each, and note what is done; `derived` has an example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from curation.inputs.files import Input
from curation.run.ledger import Ledger, Stamps
from runtime.engine.interface import Engine
from runtime.errors import AGAIN, InputError
from runtime.progress import Progress
from runtime.storage.output_folders import Claimed
from runtime.storage.own_files import OwnFile, checksum_of, checksums_in, intact, recorded
from runtime.storage.paths import files_below, make_folder, names, remove
from runtime.storage.whole import write_json
from runtime.tallies import Tallies

STAMPS = ".stamps"  # ends the name of the folder of a part's stamps, below the folder of work
CHECKSUMS = ".checksums.json"  # of all files of a whole folder; programs that read the folder pass over the name
Content = TypeVar("Content")


@dataclass(frozen=True)
class Made:
    """What a task makes of an item: paths of files in the folders of parts, and what it tallies."""

    folder: Path  # of the parts
    tallies: Tallies = field(default_factory=Tallies)
    names: list[str] = field(default_factory=list)

    def path(self, part: str, name: str) -> Path:
        """Return the path of a file of a part, or of a folder or the folder itself where there are no parts.

        It is to be written whole.
        """
        return make_folder(self.folder / part) / name

    def wrote(self, part: str, name: str, checksum: str) -> None:
        """Note a file that is written; its checksum is tallied under its part and name."""
        self.names.append(f"{part}/{name}" if part else name)
        self.tallies.add(*recorded(self.names[-1], checksum))


@dataclass(frozen=True)
class Item(Generic[Content]):
    """What a task is given, and the input as which its stamp knows it."""

    known_as: Input
    content: Content


@dataclass(frozen=True)
class Task(Generic[Content]):
    """Makes the files of an item, then their stamp."""

    folder: Path
    stamps: Stamps
    make: Callable[..., object]

    def __call__(self, item: Item[Content], *more: object) -> Tallies:
        made = Made(self.folder)
        self.make(item.content, made, *more)
        self.stamps.write([item.known_as], made.names, made.tallies)
        return Tallies()  # which the stamp has


Begin = Callable[[list[Item[Content]], Task[Content]], object]


@dataclass(frozen=True, eq=False)
class Derived:
    """A folder that is being made, at `path`."""

    parts: Claimed
    made_from: str
    progress: Progress
    _engine: Engine
    _checksums: dict[str, str] = field(default_factory=dict)  # of the files that tasks have made

    @property
    def path(self) -> Path:
        """The folder."""
        return self.parts.folder

    @cached_property
    def engine(self) -> Engine:
        """The engine, which starts when it is first asked for."""
        self._engine.start(self.progress)
        self._engine.require_shared(self.parts.work.parent)  # where nothing that it may leave is in the way
        return self._engine

    def each_file(
        self, title: str, own: Sequence[OwnFile], make: Callable[[OwnFile, Made], object], *parts: str
    ) -> Tallies:
        """Let tasks make the files of these parts, of one file of the run each; return the sums of all tallies."""
        return self.each(title, items_of(own), make, *parts)

    def each(self, title: str, items: Sequence[Item[Content]], make: Callable[..., object], *parts: str) -> Tallies:
        """Let tasks make the files of these parts, of one item each; return the sums of all tallies."""

        def begin(missing: list[Item[Content]], task: Task[Content]) -> None:
            with self.progress.stage(f"{title} of {len(missing)} of {len(items)} files"):
                self.engine.run(missing, task)

        return self.fill(items, make, begin, *parts)

    def fill(
        self, items: Sequence[Item[Content]], make: Callable[..., object], begin: Begin[Content], *parts: str
    ) -> Tallies:
        """Let `begin` call a task for each item that is missing, in workers; finish the parts, return all tallies.

        The task calls `make(content, made)`, or `make(content, made, *more)` with what it is called with besides.
        Without parts, files have their names in the folder or in folders in it as soon as they are written.
        """
        self.parts.owner.require()
        work, known = self.parts.work.parent, {item.known_as: item for item in items}
        folders = tuple(map(self.parts.reopen, parts))
        own = make_folder(work / f"{'+'.join(parts)}{STAMPS}")
        stamps = Stamps(own, self.made_from, folders, None if parts else self.path)
        if names(own):
            with self.progress.stage("compare what is done"):
                stamps.forget_damaged()
        ledger = Ledger.of(stamps, [*known])
        if ledger.missing:
            within = folders[0].parent if parts else self.path
            begin([known[each] for each in ledger.missing], Task(within, stamps, make))
            ledger = Ledger.of(stamps, [*known])
        if ledger.missing:
            raise InputError(
                f"what {len(ledger.missing)} files gave is not in {self.path}: that is no folder that all machines "
                "share, or it shows files late; run the same command again to go on"
            )
        for part in parts:
            self.finish(part)
        self._checksums.update(checksums_in(ledger.tallies()))
        return ledger.sums

    def finish(self, part: str) -> None:
        """Give a part its name, also one that the driver has written itself (`parts.reopen`)."""
        self.parts.owner.require()
        self.parts.finish(part)

    def seal(self) -> None:
        """List the checksums of all files of the folder, for `clip-verify`."""
        found = sorted({*files_below(self.path)} - {CHECKSUMS})
        checksums = {name: self._checksums.get(name) or _checksum(self.path / name) for name in found}
        write_json(self.path / CHECKSUMS, {"checksums": checksums})

    def forget(self) -> None:
        """Forget what is done, so that nothing is left after an error."""
        self.parts.owner.require()
        work = self.parts.work.parent
        for name in names(work):
            if name.endswith(STAMPS):
                remove(work / name)


def _checksum(path: Path) -> str:
    with intact(OwnFile(path, None, AGAIN)) as local:
        return checksum_of(local)


def items_of(own: Sequence[OwnFile]) -> list[Item[OwnFile]]:
    """Return files of a run as items: a stamp has their name and their checksum."""
    return [Item(Input(file.path.name, "own", 1, etag=file.checksum), file) for file in own]
