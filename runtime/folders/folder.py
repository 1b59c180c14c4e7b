"""Make a folder of files in tasks: claim it, run the tasks that have not finished, write its descriptor last.

Exports, removals, indexes, clusters, hashes, scores and embeddings are such folders, local or at a URL. An example, for
a file of URLs per curated file:

    def write(file: OwnFile, made: Made) -> None:  # in a worker
        path = made.path("urls", file.path.name)
        with part_writer(path, SCHEMA, ROWS) as writer: ...
        made.wrote("urls", path.name, writer.checksum)
        made.result.add("urls", writer.rows)

    wanted = Wanted(Kind("lists of URLs", "list-urls"), {"run": digest}, inputs=[run.path])
    with making(engine, output, wanted) as folder:
        part = folder.part(items_of(curated_files(run)), "urls")
        if part.missing:
            folder.engine.run(part.missing, part.task(write))
        result = part.commit()
        folder.complete({"urls": result["urls"]})

A claim below `.work` states the kind and the description of the folder that a command has begun to make. Each finished
task has a stamp there (`stamps`). The same command continues after an interruption: it compares the finished files with
the checksums in the stamps, and runs the tasks of damaged and missing files. A subfolder, here `urls/`, is in `.work`
until all its files are there; at a URL, where a folder cannot be moved, the files are in their place from the start.
The folder is complete once it has its descriptor; then the claim and the stamps are removed.

A command replaces or removes only files that such a command wrote. These are the files that the descriptor names. In a
folder with a claim, they are all files: the folder held nothing else when it was claimed. Otherwise a folder with any
other file is refused, also with `overwrite`.
"""

import re
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
from runtime.folders.descriptor import EARLIER, Kind, complete, differing, set_aside
from runtime.folders.ownership import MAX_NAMED, Claimed, claim_in, claimed, clear_work, is_free
from runtime.folders.stamps import Input, Ledger, Stamps, digest_of
from runtime.messages import listed
from runtime.progress import Progress
from runtime.storage.checksums import checksum_of
from runtime.storage.json_files import read_json, write_json
from runtime.storage.listing import CLAIM
from runtime.storage.own_files import OwnFile, intact, part_files
from runtime.storage.paths import absolute, files, files_below, is_url, make_folder, names, remove, remove_file
from runtime.storage.whole import PARTIAL, WORK, whole
from runtime.tallies import TaskResult

STAMPS = ".stamps"  # suffix of the folder of a part's stamps, in the hidden folder WORK
BEING_CLEARED = "is_being_cleared"  # member of a claim while `Folder.clear` runs; if it is killed, it runs again
OF_TASK = re.compile(r"[0-9a-f-]+\.parquet")  # files that tasks write into a folder that grows
Content = TypeVar("Content")


@dataclass(frozen=True)
class Made:
    """The output of one task: the folder in which it writes files, a name for them, and its result."""

    folder: Path  # the parent of the subfolders while they are being written
    name: str  # a digest: no other task has it, and the same task always has it
    result: TaskResult = field(default_factory=TaskResult)

    def path(self, subfolder: str, name: str) -> Path:
        """Return the path at which to write a file of a subfolder, which is created; "" is the folder itself.

        The caller must see to it that no half-written file is ever at the path.
        """
        return make_folder(self.folder / subfolder) / name

    @contextmanager
    def file(self, subfolder: str, name: str) -> Iterator[Path]:
        """Yield a local path to write a file of a subfolder to; after the block, the file is complete and recorded."""
        with whole(self.path(subfolder, name)) as path:
            yield path
            checksum = checksum_of(path)
        self.wrote(subfolder, name, checksum)

    def wrote(self, subfolder: str, name: str, checksum: str) -> None:
        """Record that a file of a subfolder is written, and its checksum."""
        self.result.files[f"{subfolder}/{name}" if subfolder else name] = checksum


@dataclass(frozen=True)
class WorkItem(Generic[Content]):
    """The work for one task: `content` is given to the task, and `inputs` identify the item in the task's stamp."""

    inputs: Sequence[Input]
    content: Content


def items_of(files: Sequence[OwnFile]) -> list[WorkItem[OwnFile]]:
    """Return one item per file of a run, which a stamp identifies by the file's name and checksum."""
    return [WorkItem([Input(file.path.name, "own", 1, etag=file.checksum)], file) for file in files]


@dataclass(frozen=True)
class Task(Generic[Content]):
    """A callable that makes the files of one item by calling `make`, then writes the item's stamp."""

    stamps: Stamps
    make: Callable[..., object]

    def __call__(self, item: WorkItem[Content], *more: object) -> TaskResult:
        made = Made(self.stamps.root or self.stamps.folder, self.stamps.name_of(item.inputs))
        self.make(item.content, made, *more)
        self.stamps.write(item.inputs, made.result)
        return TaskResult()  # the result is in the stamp


@dataclass(frozen=True)
class Part(Generic[Content]):
    """The files that tasks make of some items, in subfolders or the folder; `missing` has the items not yet done."""

    missing: list[WorkItem[Content]]
    _folder: "Folder"
    _ledger: Ledger
    _subfolders: Sequence[str]  # that the tasks write; empty: they write into the folder itself

    def task(self, make: Callable[..., object]) -> Task[Any]:
        """Return the callable that workers call with each missing item: it calls `make(content, made, *more)`."""
        return Task(self._ledger.stamps, make)

    def commit(self) -> TaskResult:
        """Move the subfolders to their places, and return the sum of all results.

        In a folder that grows, files that belong to no task are removed. InputError if an item still has no stamp.
        """
        folder = self._folder
        ledger = self._ledger.completed(folder.path)
        for name in self._subfolders:
            folder.finish(name)
        folder.checksums.update(ledger.sums.files)
        if folder.wanted.grows:
            folder.keep_only(ledger)
        return ledger.sums


@dataclass(frozen=True)
class Wanted:
    """The folder to make: its kind, and a `description` of all that its files depend on, as JSON.

    The output folder must be apart from the `inputs`. A folder with another description is refused, unless `overwrite`
    says to replace it; `overwrite` is None if the command has no such option. If a folder `grows`, a later call with
    more items adds files to it: tasks write into the folder itself, and the description leaves the items out. `kept`
    are subfolders with descriptors of their own, which are never removed. `then` is called with the complete folder; if
    it fails or is killed, the same command calls it again.
    """

    kind: Kind
    description: dict[str, Any]
    inputs: Sequence[str | PathLike[str]] = ()
    overwrite: bool | None = None
    grows: bool = False
    kept: Sequence[str] = ()
    then: Callable[[Path], object] | None = None

    def require_usable(self, folder: Path) -> None:
        """Refuse a folder with files of others and, without `overwrite`, one with another description.

        A folder that a command of this kind claimed is accepted, whatever its description, if no task has finished.
        """
        if is_free(folder):
            return
        claim = claim_in(folder)
        if claim is not None and claim.get("kind") != self.kind.name:
            raise InputError(
                f"output {folder} holds {claim.get('kind', 'files')} that another command has begun to make; specify "
                "an empty or new folder"
            )
        is_claimed = claim is not None
        if is_claimed and not self.holds_finished_work(folder):
            return
        if self.is_complete(folder):
            return
        described = self._described_in(folder)
        others = self._files_of_others(folder, is_claimed, described or {})
        if others:
            raise InputError(
                f"output {folder} holds files that {self.kind.command} did not write ({listed(others, MAX_NAMED)}); "
                "specify an empty or new folder"
            )
        stated = claim or described
        differences = self._differences(stated) if stated and not self.overwrite else []
        if differences:
            remedy = "" if self.overwrite is None else ", or replace the files with --overwrite"
            raise InputError(
                f"output {folder} already holds {self.kind.name} made differently ({listed(differences, MAX_NAMED)}); "
                f"specify another folder{remedy}"
            )

    def holds_finished_work(self, folder: Path) -> bool:
        """Say whether at least one task has finished in a folder, or the folder has, or had, a descriptor."""
        return _are_stamped(folder) or not names(folder).isdisjoint({self.kind.descriptor, EARLIER})

    def is_complete(self, folder: Path) -> bool:
        """Say whether a folder has the descriptor of a command with the same description, and all files that it lists.

        A folder that grows is never complete: more items may come.

        With `overwrite`, no folder is complete.
        """
        described = None if self.grows or self.overwrite else self.kind.read(folder)
        if described is None or not self._is_of(described):
            return False
        return described["checksums"].keys() <= {*files_below(folder)}

    def is_begun(self, folder: Path) -> bool:
        """Say whether a command with the same description has begun to make the folder, or to add files to it."""
        claim = claim_in(folder)
        if claim is not None or self.overwrite or not self.grows:
            return self._is_of(claim) and BEING_CLEARED not in (claim or {})
        return self._is_of(self._described_in(folder))

    def _described_in(self, folder: Path) -> dict[str, Any] | None:
        """Return the descriptor of a folder, or the one that was set aside."""
        return read_json(folder / self.kind.descriptor) or read_json(folder / EARLIER)

    def _is_of(self, stated: Mapping[str, Any] | None) -> bool:
        """Say whether a claim or a descriptor states this kind and this description."""
        return stated is not None and stated.get("kind") == self.kind.name and not self._differences(stated)

    def _differences(self, stated: Mapping[str, Any]) -> list[str]:
        if stated.get("version") != self.kind.version:
            return [f"version {stated.get('version')}, not {self.kind.version}"]
        return differing(stated.get("made_from"), self.description)

    def _files_of_others(self, folder: Path, is_claimed: bool, described: Mapping[str, Any]) -> list[str]:
        """Return those names of files and hidden folders in `folder` that a command of this kind did not write."""
        if is_claimed and not self.grows:
            return []  # the folder held nothing else when it was claimed
        is_ours = is_claimed or described.get("kind") == self.kind.name  # of any version
        written = {WORK}
        if is_ours:
            written |= {self.kind.descriptor, EARLIER, *described.get("checksums", ())}
        hidden_names = {name for name in names(folder) if name.startswith(".")}
        others = (hidden_names | {*files_below(folder)}) - written
        if is_ours and self.grows:
            others = {name for name in others if not OF_TASK.fullmatch(name)}
        return sorted(name for name in others if not (name.endswith(PARTIAL) or self.is_kept(name)))

    def is_kept(self, name: str) -> bool:
        """Say whether a path in the folder is in one of the subfolders `kept`."""
        return name.partition("/")[0] in self.kept


@dataclass(frozen=True)
class FinishedFolder:
    """A complete folder with one file per task; `facts` are the facts in its descriptor."""

    path: Path
    facts: Mapping[str, Any]

    @property
    def files(self) -> list[Path]:
        """The Parquet files of the folder."""
        return part_files(self.path)


@dataclass(frozen=True, eq=False)
class Folder:
    """A claimed folder, whose files are being made in tasks of an engine."""

    parts: Claimed
    wanted: Wanted
    progress: Progress
    _engine: Engine
    checksums: dict[str, str] = field(default_factory=dict)  # of the files that tasks have made
    _tasks: dict[str, Any] = field(default_factory=dict)  # the member `tasks` of the descriptor, if the folder grows

    @property
    def path(self) -> Path:
        """The folder that is being made."""
        return self.parts.folder

    @cached_property
    def engine(self) -> Engine:
        """The engine, which starts when this property is first read."""
        return started(self._engine, self.progress, self.path / WORK)  # workers must see this folder

    def make(
        self, title: str, items: Sequence[WorkItem[Content]], make: Callable[..., object], *subfolders: str
    ) -> TaskResult:
        """Make `subfolders` in tasks, one per item that has not finished; return the sum of all results."""
        part = self.part(items, *subfolders)
        if part.missing:
            with self.progress.stage(f"{title} of {len(part.missing)} of {len(items)} files"):
                self.engine.run(part.missing, part.task(make))
        return part.commit()

    def part(self, items: Sequence[WorkItem[Content]], *subfolders: str) -> Part[Content]:
        """Return the part that tasks make of `items`: the files of `subfolders`, or files in the folder itself.

        InputError if the folder grows, and has files of other items.
        """
        self.parts.owner.require()
        folders = [*map(self.parts.reopen, subfolders)]
        root = folders[0].parent if subfolders else self.path
        stamps = Stamps(self.path / WORK / f"{'+'.join(subfolders)}{STAMPS}", digest_of(self.wanted.description), root)
        ledger = Ledger.of(stamps, [source for item in items for source in item.inputs])
        if self.wanted.grows and not self.wanted.overwrite:
            self._require_no_others(ledger)
        ledger = ledger.checked(self.progress)
        missing = {*ledger.missing}
        if missing:
            make_folder(stamps.folder)
            if self.wanted.grows:
                self.begin()
        return Part([item for item in items if not missing.isdisjoint(item.inputs)], self, ledger, subfolders)

    def _require_no_others(self, ledger: Ledger) -> None:
        """Refuse a folder that also has files of other inputs."""
        paths = {source.path for source in ledger.inputs}
        others = {path for stamp in ledger.stamps.read() for path in stamp.inputs.values()} - paths
        if others:
            raise InputError(
                f"output {self.path} also holds {self.wanted.kind.name} of {min(others)}, which is not among the "
                "inputs; specify another folder, or replace the files with --overwrite"
            )

    def finish(self, subfolder: str) -> None:
        """Move a complete subfolder to its place; tasks or the driver made it in the folder of `parts.reopen`."""
        self.parts.owner.require()
        self.parts.finish(subfolder)

    def keep_only(self, ledger: Ledger) -> None:
        """Remove all files except the files of finished tasks from a folder that grows; list the tasks in `tasks`."""
        self.parts.owner.require()
        kept = {*ledger.sums.files, self.wanted.kind.descriptor, EARLIER}
        for path in files(self.path):
            if path.name not in kept:
                remove_file(path)
        self._tasks.update(ledger.described())

    def complete(self, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Write the descriptor, with the checksums of all files and with `facts`; return its content.

        The folder is complete then. A member `made_from` of the facts is added to the description.
        """
        self.parts.owner.require()
        kind = self.wanted.kind
        members = dict(facts or {})
        made_from = {**members.pop("made_from", {}), **self.wanted.description}
        if self.wanted.grows:
            members["tasks"] = self._tasks
        else:
            present = {name for name in files_below(self.path) if not (name.endswith(PARTIAL) or self._is_apart(name))}
            for name in present - self.checksums.keys():
                self.checksums[name] = _checksum(self.path / name)
        content = kind.content(made_from, self.checksums, members)
        complete(self.path, content, kind.descriptor)
        return content

    def _is_apart(self, name: str) -> bool:
        """Say whether a descriptor does not list a file: it is a descriptor itself, or is in a subfolder `kept`."""
        return name in (self.wanted.kind.descriptor, EARLIER) or self.wanted.is_kept(name)

    def forget(self) -> None:
        """Remove the stamps of finished tasks: after an error the folder is then emptied, and no task is resumed."""
        self.parts.owner.require()
        for name in _stamp_folders(self.path):
            remove(self.path / WORK / name)

    def begin(self) -> None:
        """Claim the folder for this description, and set its descriptor aside, if it has one."""
        write_json(make_folder(self.path / WORK) / CLAIM, self.wanted.kind.claim(self.wanted.description))
        set_aside(self.path, self.wanted.kind.descriptor)

    def clear(self) -> None:
        """Remove everything in the folder, first its files, which include the descriptor."""
        claim = self.wanted.kind.claim(self.wanted.description)
        write_json(make_folder(self.path / WORK) / CLAIM, claim | {BEING_CLEARED: True})
        for path in files(self.path):
            remove_file(path)
        for name in names(self.path) - {WORK, *self.wanted.kept}:
            remove(self.path / name)
        self._clear_work()

    def end(self) -> None:
        """Remove the files that killed tasks and commands left in the complete folder; call `then`."""
        if not is_url(self.path):
            for name in files_below(self.path):
                if name.endswith(PARTIAL):
                    remove_file(self.path / name)
        if self.wanted.then:
            self.wanted.then(self.path)
        self._clear_work()

    def _clear_work(self) -> None:
        for _ in range(2):  # a listing may be late; the second one has what the first lacks
            clear_work(self.path / WORK, CLAIM, self.parts.unfinished.name)
        remove_file(self.path / WORK / CLAIM)


class AlreadyComplete(Exception):
    """The folder is complete: a command with the same description has made it. The message says so."""


@contextmanager
def making(
    engine: EngineLike,
    output: str | PathLike[str],
    wanted: Wanted,
    progress: Progress | None = None,
    wait: bool = False,
) -> Iterator[Folder]:
    """Claim a folder, and yield it for the block to make its files; continue the work of an unfinished command.

    Work of another description is never continued: with `overwrite` it is removed. After an error, finished tasks are
    kept for the next command; if no task has finished, the folder is emptied. With `wait`, wait for another command
    that is writing into the same local folder. If the same command has made a folder that does not grow, and `wanted`
    does not say to replace it, raise AlreadyComplete.
    """
    require_apart(output, wanted.inputs)
    with claimed(absolute(output), wanted.require_usable, wait) as parts:
        path = parts.folder
        folder = Folder(parts, wanted, progress or Progress(), engine_of(engine))
        parts.owner.require()  # at a URL, another run may have taken over
        if wanted.is_complete(path):
            folder.end()
            raise AlreadyComplete(
                f"output {path} is already complete: the same command has made it (clip-verify compares its files with "
                "their checksums)"
            )
        if not (wanted.is_begun(path) or is_free(path)):
            folder.clear()
        if not wanted.grows:
            folder.begin()
        try:
            yield folder
        except BaseException:
            parts.owner.require()  # the folder may belong to a run that has taken over
            if not wanted.holds_finished_work(path):
                folder.clear()
            raise
        parts.owner.require()
        if wanted.kind.descriptor not in names(path):
            folder.complete()
        folder.end()


def _checksum(path: Path) -> str:
    with intact(OwnFile(path, None, AGAIN)) as local:
        return checksum_of(local)


def _are_stamped(folder: Path) -> bool:
    """Say whether at least one task has finished in a folder."""
    return any(files(folder / WORK / name) for name in _stamp_folders(folder))


def _stamp_folders(folder: Path) -> list[str]:
    return [name for name in names(folder / WORK) if name.endswith(STAMPS)]
