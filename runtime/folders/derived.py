"""Make a folder's files in tasks, one item per task; after an interruption, the same command continues the work.

Exports, removals and indexes are such folders, made of the files of a finished run, local or at a URL. An example, for
a file of URLs per curated file:

    def write(file: OwnFile, made: Made) -> None:  # in a worker
        path = made.path("urls", file.path.name)
        with part_writer(path, SCHEMA, ROWS) as writer: ...
        made.wrote("urls", path.name, writer.checksum)
        made.result.add("urls", writer.rows)

    wanted = Derivation({"run": digest, "of": "urls"}, whole_by="urls.json", inputs=[run.path])
    with deriving(engine, output, wanted) as folder:
        result = folder.each_file("list URLs", curated_files(run), write, "urls")
        write_json(folder.path / "urls.json", {"urls": result["urls"]})

A part, here `urls/`, gets its name when all its files are there; at a URL, where a folder cannot be renamed, the files
are in the part from the start. The folder is whole once it has the file `whole_by`, which the caller writes last.
Finished tasks have stamps below `.work` (`checkpoints`) with their results; they are removed when the folder is whole.
A command that continues compares the finished files with the checksums in the stamps, and makes damaged files anew. At
the end `.checksums.json` lists the checksums of all files; those of a removal are in its run.json.

A command replaces or removes only files that such a command wrote: those that the list of checksums names, and those in
a folder with a claim, which was empty when it was claimed. A folder with any other file is refused, even to replace it.

`Filling` makes a folder with one file per input, for one run at a time: clip-hash and clip-score write their tables so.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa

from runtime.engine import Engine, EngineLike, engine_of, started
from runtime.errors import AGAIN, InputError
from runtime.folders.apart import require_apart
from runtime.folders.folder import STAMP
from runtime.folders.ownership import Claimed, claimed, clear_work, is_free
from runtime.folders.stamps import STAMP_NAME, VERSION, Input, Ledger, Stamps, digest_of
from runtime.messages import listed
from runtime.progress import Progress, advance
from runtime.storage.checksums import checksum_of
from runtime.storage.json_files import read_json, text_of, write_json
from runtime.storage.own_files import OwnFile, intact, part_files
from runtime.storage.parquet import part_writer
from runtime.storage.paths import absolute, files, files_below, make_folder, names, remove
from runtime.storage.whole import PARTIAL, WORK, finished, whole
from runtime.tallies import TaskResult

STAMPS = ".stamps"  # suffix of the folder of a part's stamps, in the work folder
CHECKSUMS = ".checksums.json"  # of all files of a whole folder; programs that read the folder pass over the name
MAX_NAMED = 3  # names of a user's files in a message
OF_TASK = re.compile(r"[0-9a-f-]+\.parquet")  # as stamps name the files of tasks: by a digest, or by a span of rows
Content = TypeVar("Content")

CLAIM = "derived.json"  # in the folder WORK: the digest of what the output is made from
BEING_CLEARED = ""  # in place of the digest: what is left in the folder is of an earlier command
DIGEST = "derivation"  # the member of CHECKSUMS, or of run.json, with this digest: the same command is done already


@dataclass(frozen=True)
class Made:
    """The output of a task for one item: the folder in which it writes files, and its result."""

    folder: Path  # the parent folder of the parts
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


Begin = Callable[[list[WorkItem[Content]], Task[Content]], object]


@dataclass(frozen=True, eq=False)
class Derived:
    """A folder, `path`, whose files are being made from other files, in tasks of an engine."""

    parts: Claimed
    made_from: str
    progress: Progress
    _engine: Engine
    _checksums: dict[str, str] = field(default_factory=dict)  # of the files that tasks have made

    @property
    def path(self) -> Path:
        """The folder that is being made."""
        return self.parts.folder

    @cached_property
    def engine(self) -> Engine:
        """The engine, which starts when this property is first read."""
        return started(self._engine, self.progress, self.parts.work.parent)  # a leftover there does no harm

    def each_file(
        self, title: str, files: Sequence[OwnFile], make: Callable[[OwnFile, Made], object], *parts: str
    ) -> TaskResult:
        """Make the subfolders `parts` of the folder, one task per file of the run; return the sum of all results."""
        return self.make(title, items_of(files), make, *parts)

    def make(
        self, title: str, items: Sequence[WorkItem[Content]], make: Callable[..., object], *parts: str
    ) -> TaskResult:
        """Make the output's `parts` in tasks, one per item that has no stamp; return the sum of all results."""

        def begin(missing: list[WorkItem[Content]], task: Task[Content]) -> None:
            with self.progress.stage(f"{title} of {len(missing)} of {len(items)} files"):
                self.engine.run(missing, task)

        return self.fill(items, make, begin, *parts)

    def fill(
        self, items: Sequence[WorkItem[Content]], make: Callable[..., object], begin: Begin[Content], *parts: str
    ) -> TaskResult:
        """Make the files of `parts` for all items that have no stamp yet; return the sum of the results of all items.

        `begin(missing items, task)` must call `task(item)`, or `task(item, *more)`, on each of these items in workers.
        The task calls `make(content, made)` or `make(content, made, *more)`. Without parts, files are written directly
        into the output folder or its subfolders. InputError if `begin` leaves items without a stamp.
        """
        self.parts.owner.require()
        work, item_by_name = self.parts.work.parent, {item.known_as: item for item in items}
        folders = [*map(self.parts.reopen, parts)]
        root = folders[0].parent if parts else self.path
        stamps = Stamps(make_folder(work / f"{'+'.join(parts)}{STAMPS}"), self.made_from, root)
        task: Task[Content] = Task(root, stamps, make)
        ledger = Ledger.of(stamps, [*item_by_name]).completed(
            lambda ledger: begin([item_by_name[name] for name in ledger.missing], task), self.path, self.progress
        )
        for part in parts:
            self.finish(part)
        self._checksums.update(ledger.sums.files)
        return ledger.sums

    def finish(self, part: str) -> None:
        """Give its name to a part that is complete, made by tasks or by the driver in the folder of `parts.reopen`."""
        self.parts.owner.require()
        self.parts.finish(part)

    def write_last(self, name: str, content: dict) -> None:
        """Write the JSON file `name`; the list of all checksums, including this file's, is written just before."""
        with whole(self.path / name) as file:
            file.write_text(text_of(content), encoding="utf-8")
            self._checksums[name] = checksum_of(file)
            self.seal(name)

    def seal(self, *last: str) -> None:
        """Write the checksums of all files of the folder, for `clip-verify`.

        `last` has the names of files that are written later, whose checksums are already known.
        """
        paths = {name for name in files_below(self.path) if not name.endswith(PARTIAL)} - {CHECKSUMS}
        checksums = {name: self._checksums.get(name) or _checksum(self.path / name) for name in sorted(paths | {*last})}
        write_json(self.path / CHECKSUMS, {DIGEST: self.made_from, "checksums": checksums})

    def forget(self) -> None:
        """Remove the stamps of finished tasks: no command continues their work, and an error empties the folder."""
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
    """The description of a folder to make: `description` has, as JSON, all that the folder's bytes depend on.

    The caller writes the file `whole_by` last, when the folder is complete. The output folder must be apart from the
    `inputs`. A folder that holds anything else is refused, unless `overwrite` says to replace it; `overwrite` is None
    if the command has no such option. `then` is called with the whole folder; until it has returned, the same command
    continues.
    """

    description: dict[str, Any]
    whole_by: str
    inputs: Sequence[str | PathLike[str]] = ()
    overwrite: bool | None = None
    then: Callable[[Path], object] | None = None

    @cached_property
    def made_from(self) -> str:
        """The digest of the description."""
        return digest_of(self.description)

    def require_usable(self, folder: Path) -> None:
        """Refuse a folder with any files but those that the same command left unfinished.

        With `overwrite`, a folder is refused only if it holds files that no such command wrote.
        """
        if is_free(folder) or self.has_begun(folder):
            return
        others = _files_of_others(folder)
        if self.overwrite and others:
            raise InputError(
                f"output {folder} holds files that no export wrote ({listed(others, MAX_NAMED)}), which --overwrite "
                "does not delete; give a new or empty folder"
            )
        if self.overwrite or self.is_complete(folder):
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
        return _claim(folder) == self.made_from

    def is_complete(self, folder: Path) -> bool:
        """Say whether a command with the same description has made the folder, and no file has gone since."""
        made = read_json(folder / _list_name(self.whole_by)) or {}
        if self.whole_by not in names(folder) or made.get(DIGEST) != self.made_from:
            return False
        return made["checksums"].keys() <= {*files_below(folder)}


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

    Only work of the same command is continued. After an error, finished tasks are kept for its next run; if no task has
    finished, the folder is emptied. With `wait`, wait for another command that is writing into the same local folder.
    If the same command has made the folder, and `wanted` does not say to replace it, raise AlreadyComplete.
    """
    require_apart(output, wanted.inputs)
    with claimed(absolute(output), wanted.require_usable, wait) as parts:
        folder = parts.folder
        has_begun = wanted.has_begun(folder)
        parts.owner.require()  # at a URL, another run may have taken over
        if not wanted.overwrite and wanted.is_complete(folder):
            _end(parts, wanted)
            raise AlreadyComplete(f"output {folder} is complete already: the same command made it")
        if not has_begun:
            write_json(folder / WORK / CLAIM, {"made_from": BEING_CLEARED})
            _clear(parts)
            write_json(folder / WORK / CLAIM, {"made_from": wanted.made_from})
        for name in (wanted.whole_by, CHECKSUMS):
            remove(folder / name)
        derived = Derived(parts, wanted.made_from, progress or Progress(), engine_of(engine))
        try:
            yield derived
        except BaseException:
            parts.owner.require()  # the folder may belong to a run that has taken over
            if not _are_stamped(folder):
                _clear(parts)
            raise
        parts.owner.require()
        if wanted.whole_by != "run.json" and CHECKSUMS not in names(folder):  # run.json lists checksums itself
            derived.seal()
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


def _claim(folder: Path) -> str | None:
    return (read_json(folder / WORK / CLAIM) or {}).get("made_from")


def _list_name(whole_by: str) -> str:
    """Return the name of the file that lists the checksums of a folder which is complete once it has `whole_by`."""
    return "run.json" if whole_by == "run.json" else CHECKSUMS


def _files_of_others(folder: Path) -> list[str]:
    """Return the names of files and hidden folders in a folder that no command of this kind wrote."""
    if is_begun(folder):
        return []  # the folder held nothing else when it was claimed
    written = {WORK}
    for name in ("run.json", CHECKSUMS):
        content = read_json(folder / name)
        if isinstance(content, dict) and DIGEST in content:
            written |= {name, *content["checksums"]}
    hidden_names = {name for name in names(folder) if name.startswith(".")}
    present = hidden_names | {*files_below(folder)}
    return sorted(name for name in present - written if not name.endswith(PARTIAL))


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


STATUS = "status."  # prefix of a tally's name; the status of rows follows
ROW_GROUP = 50_000


@dataclass(frozen=True)
class Filled:
    """A complete folder with one file per input; `facts` is the content of the folder's JSON summary."""

    path: Path
    facts: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        """The Parquet files of the folder."""
        return part_files(self.path)


@dataclass(frozen=True)
class Filling:
    """A folder that is to have one file per input, and to which later calls may add files of further inputs.

    `description` has all that the files depend on besides their inputs. With `overwrite`, the folder is emptied first;
    without, such files that have another description are refused. A folder that also has other files is refused.
    """

    called: str  # what messages call the files, such as hashes
    of_what: str  # what the files are about, such as pictures
    description: dict
    overwrite: bool = False
    stamps: type[Stamps] = Stamps

    @property
    def stated(self) -> dict[str, Any]:
        """The description with the version of the tasks' stamps, as the folder's STAMP holds it."""
        return self.description | {"stamp_version": VERSION}

    def fill(
        self,
        output: str | PathLike[str],
        inputs: Sequence[Input],
        make: Callable[[Ledger, Path], object],
        describe: Callable[[Ledger], dict[str, Any]] | None = None,
    ) -> Filled:
        """Make the files that a folder lacks, and write a JSON summary if asked for; return the complete folder.

        `make(ledger, temporary folder)` writes the missing files; `describe(ledger)` returns the summary of all files.
        """
        with claimed(output, self.require_usable) as parts:
            folder = parts.folder
            for name in names(folder) - {WORK} if self.overwrite else ():
                remove(folder / name)
            ledger = Ledger.of(self.stamps(folder, digest_of(self.description)), inputs)
            self._require_no_others(ledger)
            write_json(folder / STAMP, self.stated)
            summary = folder / f"_{self.called}.json"

            def run(ledger: Ledger) -> None:
                remove(summary)  # it would not describe the new files
                make(ledger, parts.work)

            ledger = ledger.completed(run, folder)
            ledger.prune()
            facts = describe(ledger) if describe else {}
            if describe:
                write_json(summary, facts)  # readers of Parquet pass over names that begin with _
        return Filled(folder, facts)

    def require_usable(self, folder: Path) -> None:
        """Refuse a folder of other things and, without `overwrite`, one whose files have another description."""
        if is_free(folder) or finished(names(folder)) - {WORK} == {STAMP}:  # claimed by a run that made nothing
            return
        made, wanted = {"stamp_version": 1} | (read_json(folder / STAMP) or {}), self.stated
        present = finished(names(folder)) - {WORK}
        others = sorted(name for name in present if not (STAMP_NAME.fullmatch(name) or OF_TASK.fullmatch(name)))
        if made.keys() != wanted.keys() or others:
            what = f"{self.called} of {self.of_what}"
            which = f" ({listed(others, MAX_NAMED)})" if others else ""
            raise InputError(f"output {folder} holds files that are no {what}{which}; give an empty or new folder")
        if made != wanted and not self.overwrite:
            what = ", ".join(
                f"{name} {made[name]}, not {wanted[name]}" for name in wanted if made[name] != wanted[name]
            )
            raise InputError(
                f"output {folder} holds {self.called} made otherwise ({what}); give another folder, or replace it by "
                "--overwrite"
            )

    def _require_no_others(self, ledger: Ledger) -> None:
        """Refuse a folder that also has files of other inputs."""
        paths = {source.path for source in ledger.inputs}
        others = {source["path"] for _, stamp in ledger.stamps.read() for source in stamp.inputs} - paths
        if others:
            raise InputError(
                f"output {ledger.stamps.folder} also holds {self.called} of {min(others)}, which is not among the "
                "inputs; give another folder, or replace it by --overwrite"
            )


def write_part(
    stamps: Stamps, inputs: Sequence[Input], rows: Iterable[pa.RecordBatch], schema: pa.Schema, result: TaskResult
) -> None:
    """Write the rows of a task's inputs as one Parquet file, then the task's stamp with the result.

    `rows` have a column `status`; the number of rows with each status is added to the result.
    """
    path = stamps.folder / f"{stamps.name_of(inputs)}.parquet"
    with part_writer(path, schema, ROW_GROUP) as writer:
        for batch in rows:
            for status, number in Counter(batch["status"].to_pylist()).items():
                result.add(f"{STATUS}{status}", number)
            writer.write(batch)
            advance(rows=batch.num_rows)
    result.files[path.name] = writer.checksum
    stamps.write(inputs, result)


def statuses(ledger: Ledger) -> dict[str, int]:
    """Return the number of rows with each value of the column `status`, summed over the finished tasks of a ledger."""
    return {status: int(number) for status, number in ledger.sums.beginning(STATUS).items()}
