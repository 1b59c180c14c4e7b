"""Make a folder of the files of a finished run, in Spark tasks; the same command goes on after one that broke off.

Exports, removals and indexes are such folders, local or at a URL. An example, for a file of URLs per curated file:

    def write(file: OwnFile, made: Made) -> None:  # in a worker
        path = made.path("urls", file.path.name)
        with part_writer(path, SCHEMA, ROWS) as writer: ...
        made.wrote("urls", path.name, writer.checksum)
        made.tallies.add("urls", writer.rows)

    wanted = Derivation({"run": digest, "of": "urls"}, whole_by="urls.json", inputs=[run.path])
    with deriving(spark, output, wanted) as folder:
        tallies = folder.each_file("list URLs", curated_files(run), write, "urls")
        write_json(folder.path / "urls.json", {"urls": tallies["urls"]})

A part, here `urls/`, gets its name when all its files are there; at a URL, whose parts cannot be renamed, its files are
there before. In both places the folder is whole once it has the file `whole_by`, which a caller writes last. What is
done is in stamps below `.work` (`ledger`), with all that tasks tallied; the stamps go when the folder is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Generic, TypeVar

from pyspark.sql import SparkSession

from curation.inputs.files import Input
from curation.run.ledger import Ledger, Stamps, digest_of
from runtime.errors import InputError
from runtime.progress import Progress
from runtime.shipping import require_shared
from runtime.spark import run
from runtime.storage.locks import LOCK, TOKEN, WORK, is_free
from runtime.storage.output_folders import Claimed, claimed, require_apart
from runtime.storage.own_files import OwnFile, recorded
from runtime.storage.paths import files, files_below, make_folder, names, remove
from runtime.storage.whole import PARTIAL, finished, read_json, write_json
from runtime.tallies import Tallies

CLAIM = "derived.json"  # below WORK: what the folder will be made from
STAMPS = ".stamps"  # ends the name of the folder of a part's stamps, below WORK
Content = TypeVar("Content")


@dataclass(frozen=True)
class Derivation:
    """What a folder is made from: `description` has all that its bytes follow from, in JSON.

    The file `whole_by`, written last, says that the folder is whole. The folder must be apart from the `inputs`. A
    folder that holds something is refused, or with `overwrite` replaced; it is None where a user cannot ask for that.
    """

    description: dict[str, Any]
    whole_by: str
    inputs: Sequence[str | PathLike[str]] = ()
    overwrite: bool | None = None

    @cached_property
    def made_from(self) -> str:
        """The digest of the description."""
        return digest_of(self.description)

    def require_usable(self, folder: Path) -> None:
        """Refuse a folder that holds something else than what the same command left when it broke off."""
        if self.overwrite or is_free(folder) or self.has_begun(folder):
            return
        more = "" if self.overwrite is None else ", or --overwrite this"
        if not is_begun(folder):
            raise InputError(f"output {folder} is not empty; give a new or empty folder{more}")
        if names(folder) - {WORK} or _are_stamped(folder):
            raise InputError(
                f"output {folder} holds what another command began, or this one with other inputs or options; run that "
                f"one again, or give a new or empty folder{more}"
            )

    def has_begun(self, folder: Path) -> bool:
        """Say whether a command with the same description has begun to make the folder."""
        return _claim(folder) == self.made_from


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
    _spark: SparkSession | Callable[[], SparkSession]

    @property
    def path(self) -> Path:
        """The folder."""
        return self.parts.folder

    @cached_property
    def spark(self) -> SparkSession:
        """The session, which is started when it is first asked for."""
        with self.progress.stage("start Spark"):
            session = self._spark() if callable(self._spark) else self._spark
        require_shared(session, self.parts.work.parent)  # where nothing that it may leave is in the way
        return session

    def each_file(
        self, title: str, own: Sequence[OwnFile], make: Callable[[OwnFile, Made], object], *parts: str
    ) -> Tallies:
        """Let tasks make the files of these parts, of one file of the run each; return the sums of all tallies."""
        return self.each(title, items_of(own), make, *parts)

    def each(self, title: str, items: Sequence[Item[Content]], make: Callable[..., object], *parts: str) -> Tallies:
        """Let tasks make the files of these parts, of one item each; return the sums of all tallies."""

        def begin(missing: list[Item[Content]], task: Task[Content]) -> None:
            with self.progress.stage(f"{title} of {len(missing)} of {len(items)} files"):
                run(self.spark, missing, task)

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
        return ledger.sums

    def finish(self, part: str) -> None:
        """Give a part its name, also one that the driver has written itself (`parts.reopen`)."""
        self.parts.owner.require()
        self.parts.finish(part)

    def forget(self) -> None:
        """Forget what is done, so that nothing is left after an error."""
        self.parts.owner.require()
        work = self.parts.work.parent
        for name in names(work):
            if name.endswith(STAMPS):
                remove(work / name)


def items_of(own: Sequence[OwnFile]) -> list[Item[OwnFile]]:
    """Return files of a run as items: a stamp has their name and their checksum."""
    return [Item(Input(file.path.name, "own", 1, etag=file.checksum), file) for file in own]


@contextmanager
def deriving(
    spark: SparkSession | Callable[[], SparkSession],
    output: str | PathLike[str],
    wanted: Derivation,
    progress: Progress | None = None,
    wait: bool = False,
) -> Iterator[Derived]:
    """Claim a folder, and yield it to be made during the block; go on with what the same command has begun.

    After an error what is done stays for the next command; nothing is left where nothing was done. With `wait` another
    command that is at work on a local folder is waited for.
    """
    require_apart(output, wanted.inputs)
    with claimed(output, wanted.require_usable, wait) as parts:
        folder = parts.folder
        has_begun = wanted.has_begun(folder)
        parts.owner.require()  # a second run at a URL, which nothing keeps out, may be ahead
        if not has_begun:
            _clear(parts)
            write_json(folder / WORK / CLAIM, {"made_from": wanted.made_from})
        remove(folder / wanted.whole_by)
        found = names(folder)
        for name in found - finished(found):
            remove(folder / name)
        try:
            yield Derived(parts, wanted.made_from, progress or Progress(), spark)
        except BaseException:
            parts.owner.require()  # it may be the folder of a run that has taken over
            if not _are_stamped(folder):
                _clear(parts)
            raise
        parts.owner.require()
        for name in files_below(folder):
            if name.endswith(PARTIAL):  # of a task, or a command, that was killed
                remove(folder / name)
        _clear_work(parts)


def is_begun(folder: Path) -> bool:
    """Say whether any command has begun to make a folder."""
    return _claim(folder) is not None


def _claim(folder: Path) -> str | None:
    return (read_json(folder / WORK / CLAIM) or {}).get("made_from")


def _are_stamped(folder: Path) -> bool:
    """Say whether a task has ended in a folder."""
    work = folder / WORK
    return any(files(work / name) for name in names(work) if name.endswith(STAMPS))


def _clear(parts: Claimed) -> None:
    """Remove all that is in a folder; first its files, as readers know by one of them that it is whole."""
    for path in files(parts.folder):
        remove(path)
    for name in names(parts.folder) - {WORK}:
        remove(parts.folder / name)
    _clear_work(parts)


def _clear_work(parts: Claimed) -> None:
    work = parts.folder / WORK
    for _ in range(2):  # a listing may be late: what it lacks comes with the next one
        for name in names(work) - {LOCK, TOKEN, CLAIM, parts.work.name}:
            remove(work / name)
    remove(work / CLAIM)
