"""Make a folder's files in tasks, one item per task; after an interruption, the same command continues the work.

Exports, removals and indexes are such folders, made of the files of a finished run, local or at a URL. An example, for
a file of URLs per curated file:

    def write(file: OwnFile, made: Made) -> None:  # in a worker
        path = made.path("urls", file.path.name)
        with part_writer(path, SCHEMA, ROWS) as writer: ...
        made.wrote("urls", path.name, writer.checksum)
        made.result.add("urls", writer.rows)

    wanted = Derivation(Kind("lists of URLs", "list-urls"), {"run": digest}, inputs=[run.path])
    with deriving(engine, output, wanted) as folder:
        result = folder.each_file("list URLs", curated_files(run), write, "urls")
        folder.complete({"urls": result["urls"]})

A part, here `urls/`, gets its name when all its files are there; at a URL, where a folder cannot be renamed, the files
are in the part from the start. The folder is complete once it has its descriptor, which is written last. Finished tasks
have stamps below `.work` (`stamps`) with their results; they are removed when the folder is complete. A command that
continues compares the finished files with the checksums in the stamps, and makes damaged files anew.

A command replaces or removes only files that such a command wrote: those that the descriptor names, and those in a
folder with a claim, which was empty when it was claimed. A folder with any other file is refused, even to replace it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Generic, TypeVar

from runtime.engine import Engine, EngineLike, engine_of, started
from runtime.errors import AGAIN, InputError
from runtime.folders.apart import require_apart
from runtime.folders.descriptor import Kind
from runtime.folders.ownership import CLAIM, MAX_NAMED, Claimed, claimed, clear_work, is_free
from runtime.folders.stamps import Input, Ledger, Stamps, digest_of
from runtime.messages import listed
from runtime.progress import Progress
from runtime.storage.checksums import checksum_of
from runtime.storage.json_files import read_json, write_json
from runtime.storage.own_files import OwnFile, intact
from runtime.storage.paths import absolute, files, files_below, make_folder, names, remove
from runtime.storage.whole import PARTIAL, WORK, whole
from runtime.tallies import TaskResult

STAMPS = ".stamps"  # suffix of the folder of a part's stamps, in the work folder
Content = TypeVar("Content")

BEING_CLEARED = "is_being_cleared"  # member of a claim: what is left in the folder is of an earlier command
DIGEST = "derivation"  # the member of a descriptor with this digest: the same command is done already


@dataclass(frozen=True)
class Made:
    """The output of a task for one item: the folder in which it writes files, and its result."""

    folder: Path  # in which the folders of the parts are while they are being written
    result: TaskResult = field(default_factory=TaskResult)

    def path(self, part: str, name: str) -> Path:
        """Return the path at which to write a file of a part; the part's folder is created.

        If the output has no parts, `part` is a subfolder of the output, or "" for the output folder itself. The caller
        must see to it that no half-written file is ever at the path.
        """
        return make_folder(self.folder / part) / name

    @contextmanager
    def file(self, part: str, name: str) -> Iterator[Path]:
        """Yield a local path to write a file of a part to; after the block, the file is whole and recorded."""
        with whole(self.path(part, name)) as path:
            yield path
            checksum = checksum_of(path)
        self.wrote(part, name, checksum)

    def wrote(self, part: str, name: str, checksum: str) -> None:
        """Record that a file of a part is written, and its checksum."""
        self.result.files[f"{part}/{name}" if part else name] = checksum


@dataclass(frozen=True)
class WorkItem(Generic[Content]):
    """The work for one task: `content` is given to the task, and `known_as` identifies the item in the task's stamp."""

    known_as: Input
    content: Content


@dataclass(frozen=True)
class Task(Generic[Content]):
    """A callable that makes the files of one item by calling `make`, then writes the item's stamp."""

    folder: Path
    stamps: Stamps
    make: Callable[..., object]

    def __call__(self, item: WorkItem[Content], *more: object) -> TaskResult:
        made = Made(self.folder)
        self.make(item.content, made, *more)
        self.stamps.write([item.known_as], made.result)
        return TaskResult()  # the result is in the stamp


@dataclass(frozen=True)
class Part(Generic[Content]):
    """The files that a folder gets from tasks: `missing` has the items whose tasks have not finished."""

    missing: list[WorkItem[Content]]
    _folder: "Derived"
    _ledger: Ledger
    _names: Sequence[str]  # of the folders of the part; empty: its files are in the folder itself

    def task(self, make: Callable[..., object]) -> Task[Content]:
        """Return the callable that workers call with each missing item: it calls `make(content, made, *more)`."""
        return Task(self._ledger.stamps.root or self._folder.path, self._ledger.stamps, make)

    def commit(self) -> TaskResult:
        """Give the part's folders their names, and return the sum of all results.

        InputError if items have no stamp, so that files are missing.
        """
        ledger = self._ledger.completed(self._folder.path)
        for name in self._names:
            self._folder.finish(name)
        self._folder.checksums.update(ledger.sums.files)
        return ledger.sums


@dataclass(frozen=True, eq=False)
class Derived:
    """A folder, `path`, whose files are being made from other files, in tasks of an engine."""

    parts: Claimed
    wanted: "Derivation"
    progress: Progress
    _engine: Engine
    checksums: dict[str, str] = field(default_factory=dict)  # of the files that tasks have made

    @property
    def path(self) -> Path:
        """The folder that is being made."""
        return self.parts.folder

    @cached_property
    def engine(self) -> Engine:
        """The engine, which starts when this property is first read."""
        return started(self._engine, self.progress, self.parts.work.parent)  # workers must see this folder

    def each_file(
        self, title: str, files: Sequence[OwnFile], make: Callable[[OwnFile, Made], object], *names: str
    ) -> TaskResult:
        """Make the subfolders `names` of the folder, one task per file of the run; return the sum of all results."""
        return self.make(title, items_of(files), make, *names)

    def make(
        self, title: str, items: Sequence[WorkItem[Content]], make: Callable[..., object], *names: str
    ) -> TaskResult:
        """Make the subfolders `names` in tasks, one per item that has no stamp; return the sum of all results."""
        part = self.part(items, *names)
        if part.missing:
            with self.progress.stage(f"{title} of {len(part.missing)} of {len(items)} files"):
                self.engine.run(part.missing, part.task(make))
        return part.commit()

    def part(self, items: Sequence[WorkItem[Content]], *names: str) -> Part[Content]:
        """Return the part of the folder that tasks make of `items`: its subfolders `names`, or files in the folder."""
        self.parts.owner.require()
        folders = [*map(self.parts.reopen, names)]
        root = folders[0].parent if names else self.path
        stamps = Stamps(make_folder(self.parts.work.parent / f"{'+'.join(names)}{STAMPS}"), self.wanted.digest, root)
        item_by_name = {item.known_as: item for item in items}
        ledger = Ledger.of(stamps, [*item_by_name]).checked(self.progress)
        return Part([item_by_name[name] for name in ledger.missing], self, ledger, names)

    def finish(self, part: str) -> None:
        """Give its name to a part that is complete, made by tasks or by the driver in the folder of `parts.reopen`."""
        self.parts.owner.require()
        self.parts.finish(part)

    def complete(self, facts: Mapping[str, Any] | None = None) -> None:
        """Write the descriptor, with the checksums of all files and with `facts`: the folder is complete then.

        What the folder is made from is stated as a digest, unless `facts` has a member `made_from`.
        """
        self.parts.owner.require()
        name = self.wanted.kind.descriptor
        paths = {path for path in files_below(self.path) if not path.endswith(PARTIAL)} - {name}
        paths |= self.checksums.keys()  # a listing at a URL may be late
        checksums = {path: self.checksums.get(path) or _checksum(self.path / path) for path in paths}
        facts = {DIGEST: self.wanted.digest, **(facts or {})}
        made_from = facts.pop("made_from", self.wanted.digest)
        write_json(self.path / name, self.wanted.kind.content(made_from, checksums, facts))

    def forget(self) -> None:
        """Remove the stamps of finished tasks: after that an error empties the folder, and nothing is continued."""
        self.parts.owner.require()
        work = self.parts.work.parent
        for name in names(work):
            if name.endswith(STAMPS):
                remove(work / name)


def _checksum(path: Path) -> str:
    with intact(OwnFile(path, None, AGAIN)) as local:
        return checksum_of(local)


def items_of(files: Sequence[OwnFile]) -> list[WorkItem[OwnFile]]:
    """Return one item per file of a run, which a stamp identifies by the file's name and checksum."""
    return [WorkItem(Input(file.path.name, "own", 1, etag=file.checksum), file) for file in files]


@dataclass(frozen=True)
class Derivation:
    """The folder to make: its kind, and a `description` of all that the folder's bytes depend on, as JSON.

    The output folder must be apart from the `inputs`. A folder that holds anything else is refused, unless `overwrite`
    says to replace it; `overwrite` is None if the command has no such option. `then` is called with the complete
    folder; until it has returned, the same command continues.
    """

    kind: Kind
    description: dict[str, Any]
    inputs: Sequence[str | PathLike[str]] = ()
    overwrite: bool | None = None
    then: Callable[[Path], object] | None = None

    @cached_property
    def digest(self) -> str:
        """The digest of the description."""
        return digest_of(self.description)

    def require_usable(self, folder: Path) -> None:
        """Refuse a folder with any files but those that the same command made, or left unfinished.

        With `overwrite`, a folder is refused only if it holds files that no such command wrote.
        """
        if is_free(folder) or self.has_begun(folder) or (not self.overwrite and self.is_complete(folder)):
            return
        others = self._files_of_others(folder)
        is_made_anew = self.overwrite or self.is_of(folder)
        if is_made_anew and others:
            what = "--overwrite" if self.overwrite else "the command"
            raise InputError(
                f"output {folder} holds files that {self.kind.command} did not write ({listed(others, MAX_NAMED)}), "
                f"which {what} does not delete; give a new or empty folder"
            )
        if is_made_anew:
            return
        if not is_begun(folder):
            fault = f"output {folder} is not empty; give a new or empty folder"
        elif names(folder) - {WORK} or _are_stamped(folder):
            fault = (
                f"output {folder} holds what another command began, or this one with other inputs or options; run that "
                "one again, or give a new or empty folder"
            )
        else:
            return
        can_replace = self.overwrite is not None and not others
        raise InputError(f"{fault}, or replace it by --overwrite" if can_replace else fault)

    def has_begun(self, folder: Path) -> bool:
        """Say whether a command with the same description has begun to make the folder."""
        return _claim(folder) == self.digest

    def is_of(self, folder: Path) -> bool:
        """Say whether a command with the same description has made the folder, though files may have gone since.

        If files have gone, the same command makes the whole folder again.
        """
        return (self.kind.read(folder) or {}).get(DIGEST) == self.digest

    def is_complete(self, folder: Path) -> bool:
        """Say whether a command with the same description has made the folder, and no file has gone since."""
        made = self.kind.read(folder) or {}
        return made.get(DIGEST) == self.digest and made["checksums"].keys() <= {*files_below(folder)}

    def _files_of_others(self, folder: Path) -> list[str]:
        """Return the names of files and hidden folders in a folder that no command of this kind wrote."""
        if is_begun(folder):
            return []  # the folder held nothing else when it was claimed
        content = read_json(folder / self.kind.descriptor) or {}
        is_ours = content.get("kind") == self.kind.name  # of any version
        written = {WORK, self.kind.descriptor, *content["checksums"]} if is_ours else {WORK}
        hidden_names = {name for name in names(folder) if name.startswith(".")}
        present = hidden_names | {*files_below(folder)}
        return sorted(name for name in present - written if not name.endswith(PARTIAL))


class AlreadyComplete(Exception):
    """The folder is complete: a command with the same description has made it. The message says so."""


@contextmanager
def deriving(
    engine: EngineLike,
    output: str | PathLike[str],
    wanted: Derivation,
    progress: Progress | None = None,
    wait: bool = False,
) -> Iterator[Derived]:
    """Claim a folder, and yield a Derived through which the block makes its files; continue unfinished work.

    Only work of the same command is continued, also with `overwrite`. After an error, finished tasks are kept for its
    next run; if no task has finished, the folder is emptied. With `wait`, wait for another command that is writing into
    the same local folder. If the same command has made the folder, and `wanted` does not say to replace it, raise
    AlreadyComplete.
    """
    require_apart(output, wanted.inputs)
    with claimed(absolute(output), wanted.require_usable, wait) as parts:
        folder = parts.folder
        is_continued = wanted.has_begun(folder) and not _is_being_cleared(folder)
        parts.owner.require()  # at a URL, another run may have taken over
        if not wanted.overwrite and wanted.is_complete(folder):
            _end(parts, wanted)
            raise AlreadyComplete(f"output {folder} is complete already: the same command made it")
        if not is_continued:
            write_json(folder / WORK / CLAIM, {"made_from": wanted.digest, BEING_CLEARED: True})
            _clear(parts)
            write_json(folder / WORK / CLAIM, {"made_from": wanted.digest})
        remove(folder / wanted.kind.descriptor)
        derived = Derived(parts, wanted, progress or Progress(), engine_of(engine))
        try:
            yield derived
        except BaseException:
            parts.owner.require()  # the folder may belong to a run that has taken over
            if not _are_stamped(folder):
                _clear(parts)
            raise
        parts.owner.require()
        if wanted.kind.descriptor not in names(folder):
            derived.complete()
        _end(parts, wanted)


def _end(parts: Claimed, wanted: Derivation) -> None:
    """Remove what killed tasks and commands left in a complete folder; call `then` of its derivation."""
    for name in files_below(parts.folder):
        if name.endswith(PARTIAL):
            remove(parts.folder / name)
    if wanted.then:
        wanted.then(parts.folder)
    _clear_work(parts)


def is_begun(folder: Path) -> bool:
    """Say whether any command has begun to make a folder."""
    return _claim(folder) is not None


def _is_being_cleared(folder: Path) -> bool:
    return BEING_CLEARED in (read_json(folder / WORK / CLAIM) or {})


def _claim(folder: Path) -> str | None:
    made_from = (read_json(folder / WORK / CLAIM) or {}).get("made_from")
    return made_from if isinstance(made_from, str) else None  # of a folder of another kind, `filled`, it is an object


def _are_stamped(folder: Path) -> bool:
    """Say whether at least one task has finished in a folder."""
    work = folder / WORK
    return any(files(work / name) for name in names(work) if name.endswith(STAMPS))


def _clear(parts: Claimed) -> None:
    """Remove all that is in a folder: the files first, because one of them tells readers that the folder is whole."""
    for path in files(parts.folder):
        remove(path)
    for name in names(parts.folder) - {WORK}:
        remove(parts.folder / name)
    _clear_work(parts)


def _clear_work(parts: Claimed) -> None:
    work = parts.folder / WORK
    for _ in range(2):  # a listing may be late; the second one has what the first lacks
        clear_work(work, CLAIM, parts.work.name)
    remove(work / CLAIM)
