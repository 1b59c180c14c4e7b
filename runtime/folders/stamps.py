"""Record which inputs have been read into which files.

Each finished task has one JSON stamp until the folder is complete. Then the stamps are removed; if a later call may add
files, the descriptor lists the tasks. A stamp is valid only if the inputs, and the description of everything else that
the files depend on, have not changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

from runtime.arrow import gather
from runtime.errors import AGAIN, InputError
from runtime.folders.descriptor import DESCRIPTOR, EARLIER
from runtime.progress import Progress, advance
from runtime.storage.json_files import read_json, write_json
from runtime.storage.own_files import OwnFile, is_sound
from runtime.storage.paths import files, files_below, in_threads, remove, remove_file
from runtime.tallies import TaskResult


@dataclass(frozen=True)
class Input:
    """A file that a task reads or, of a big Parquet file, a range of row groups."""

    path: str
    format: str  # the name of one of formats()
    size: int  # compressed bytes; the format's typical size if the size is not known
    modified: int | None = None  # time of modification, nanoseconds since 1970, if the file system states it
    row_groups: tuple[int, int] | None = None  # (first, last + 1); None: all row groups
    etag: str | None = None  # if the file system states it
    file_size: int | None = None  # bytes of the complete file, if the file system states them
    changed: int | None = None  # time of the inode's change, nanoseconds since 1970, of a local file
    inode: int | None = None  # of a local file
    dialect: str | None = None  # name of the dialect, of CSV and TSV

    @property
    def digest(self) -> str:
        """A digest of all members; it changes if the file changes."""
        return digest_of(vars(self))


VERSION = 4  # of stamps; 3 had the items of counts in their names
TASK_BYTES = 64 << 20  # compressed bytes of input for one task
TASKS_PER_CORE = 3
STAMP_NAME = re.compile(r"_.*\.json")


@dataclass(frozen=True)
class Stamp:
    """The record of a finished task: its inputs, and its result, which has the checksum of each file that it wrote."""

    made_from: str  # digest of all that the files depend on, except the inputs
    inputs: dict[str, str]  # digest of an input (`Input.digest`) → its path
    counts: list[dict]
    files: dict[str, str]
    facts: dict[str, list]
    version: int = VERSION

    @property
    def result(self) -> TaskResult:
        """The result of the task."""
        return TaskResult(self.counts, self.files, self.facts)


@dataclass(frozen=True)
class Stamps:
    """The stamps of a folder's finished tasks, one JSON file per task, which workers write into `folder`.

    When the folder is complete, its descriptor lists the tasks, and the stamps are removed. If `root` is None, a task's
    files are in `folder`, and the stamp has their names. Otherwise the stamp has paths relative to the folder `root`.
    """

    folder: Path
    made_from: str
    root: Path | None = None

    def name_of(self, inputs: Sequence[Input]) -> str:
        """Return the name, without extension, of the files that a task makes of `inputs`: a digest."""
        return digest_of({"made_from": self.made_from, "inputs": [vars(source) for source in inputs]})

    def write(self, inputs: Sequence[Input], result: TaskResult) -> None:
        """Write the stamp of a finished task that read `inputs`; before this, files of the task count as missing."""
        path_by_digest = {source.digest: source.path for source in inputs}
        content = asdict(Stamp(self.made_from, path_by_digest, **result.content()))
        content["checksum"] = digest_of(content)
        write_json(self.folder / f"_{self.name_of(inputs)}.json", content)

    def read(self) -> Iterator[Stamp]:
        """Yield the stamp of each finished task that has this `made_from` and whose files all exist.

        For tasks that only a descriptor lists, such stamps are made. Stamps may also cover inputs of other runs.
        """
        present = files(self.folder)
        paths = [path for path in present if is_stamp(path.name)]
        names = {*files_below(self.root)} if self.root else {path.name for path in present}
        described = [(self.root or self.folder) / name for name in (DESCRIPTOR, EARLIER) if name in names]
        for stamp in chain(self._described(described), map(stamp_of, in_threads(read_json, paths))):
            if stamp and stamp.made_from == self.made_from and names >= stamp.files.keys():
                yield stamp

    def _described(self, descriptors: Iterable[Path]) -> Iterator[Stamp]:
        """Yield the stamps of the tasks that the folder's descriptor, or the one that is set aside, lists."""
        for path in descriptors:
            content = read_json(path) or {}
            tasks = content.get("tasks", {})
            if tasks.get("made_from") == self.made_from:
                checksums = content["checksums"]
                for task in tasks["finished"]:
                    sums = {file: checksums[file] for file in task["files"]}
                    yield Stamp(self.made_from, task["inputs"], task["counts"], sums, task["facts"])

    def remove(self) -> None:
        """Remove all stamps; the descriptor now lists the tasks."""
        stamps = [path for path in files(self.folder) if is_stamp(path.name)]
        for _ in in_threads(remove_file, stamps):
            pass

    def remove_damaged(self) -> None:
        """Remove each file of a finished task whose checksum differs, so that the task runs again."""
        root = self.root or self.folder
        stamped = [
            OwnFile(root / name, checksum, AGAIN) for stamp in self.read() for name, checksum in stamp.files.items()
        ]
        advance(total=len(stamped))
        for file, is_whole in zip(stamped, in_threads(is_sound, stamped), strict=True):
            advance(done=1)
            if not is_whole:
                remove(file.path)


def is_stamp(name: str) -> bool:
    """Say whether a file has the name of a task's stamp."""
    return STAMP_NAME.fullmatch(name) is not None and name not in (DESCRIPTOR, EARLIER)


def stamp_of(content: object) -> Stamp | None:
    """Return the Stamp that a file's content describes; None if it is damaged, of another version, or no stamp."""
    stated = dict(content) if isinstance(content, dict) else {}
    checksum = stated.pop("checksum", None)
    is_whole = stated.keys() == Stamp.__dataclass_fields__.keys() and checksum == digest_of(stated)
    return Stamp(**stated) if is_whole and stated["version"] == VERSION else None


@dataclass(frozen=True)
class Done:
    """A finished task of a run, held in little memory: a run may have a hundred thousand inputs."""

    name: str  # of the task's stamp, without extension
    inputs: dict[str, str]  # as in the stamp
    files: dict[str, str]
    noted: str  # counts and facts, as JSON

    @classmethod
    def of(cls, name: str, stamp: Stamp) -> Done:
        """Return the task of `stamp`; `name` is the name of the stamp's file without extension."""
        noted = json.dumps({"counts": stamp.counts, "facts": stamp.facts})
        return cls(name, stamp.inputs, stamp.files, noted)

    @property
    def result(self) -> TaskResult:
        """The result of the task."""
        return TaskResult(files=self.files, **json.loads(self.noted))

    def described(self) -> dict[str, Any]:
        """Return the task as an item of the member `tasks` of a descriptor."""
        return {"inputs": self.inputs, "files": [*self.files], **json.loads(self.noted)}


@dataclass(frozen=True)
class Ledger:
    """The finished tasks of a folder, and the inputs that no finished task covers."""

    stamps: Stamps
    inputs: Sequence[Input]  # of the run
    done: list[Done]
    missing: list[Input]  # inputs that no stamp in `done` covers
    sums: TaskResult  # of all finished tasks

    @classmethod
    def open(cls, folder: Path, description: dict, inputs: list[Input]) -> Ledger:
        """Return the ledger of a folder for a run of `inputs`; `description` has all else that the run depends on."""
        return cls.of(Stamps(folder, digest_of(description)), inputs)

    @classmethod
    def of(cls, stamps: Stamps, inputs: Sequence[Input]) -> Ledger:
        """Return the ledger of these stamps for a run of `inputs`; stamps that cover other inputs are left out."""
        wanted = {source.digest: source for source in inputs}
        finished: list[Done] = []
        for stamp in stamps.read():
            if wanted.keys() >= stamp.inputs.keys():
                name = stamps.name_of([wanted[digest] for digest in stamp.inputs])
                finished.append(Done.of(name, stamp))
        done: list[Done] = []
        covered: set[str] = set()
        sums = TaskResult()
        # In the order of names: results do not depend on which tasks an earlier command has finished.
        for task in sorted(finished, key=lambda task: task.name):
            # Two stamps share an input if a task of a killed run finished after the next run had cut its own tasks.
            if covered.isdisjoint(task.inputs):
                done.append(task)
                covered.update(task.inputs)
                sums.merge(task.result)
        missing = [source for digest, source in wanted.items() if digest not in covered]
        return cls(stamps, inputs, done, missing, sums)

    def checked(self, progress: Progress | None = None) -> Ledger:
        """Return the ledger after comparing the files of finished tasks; a task with a damaged file is missing then."""
        if not self.done:
            return self
        with (progress or Progress()).stage("check the finished files"):
            self.stamps.remove_damaged()
        return Ledger.of(self.stamps, self.inputs)

    def completed(self, folder: Path) -> Ledger:
        """Return the ledger after the missing tasks have run.

        InputError if inputs still have no stamp in the output `folder`.
        """
        ledger = Ledger.of(self.stamps, self.inputs) if self.missing else self
        if ledger.missing:
            raise InputError(
                f"workers wrote the results of {len(ledger.missing)} inputs, but the files are missing from {folder}: "
                "not all machines share this folder, or it shows files late; specify a shared folder, or run the same "
                "command again to resume"
            )
        return ledger

    @property
    def files(self) -> list[Path]:
        """The files of all finished tasks."""
        return [self.stamps.folder / name for task in self.done for name in task.files]

    def files_of(self, rows: int) -> list[list[Path]]:
        """Return the files of all finished tasks in lists of about `rows` rows; no task is split between lists."""
        parts = gather(self.done, lambda task: int(task.result["rows"]), rows)
        return [[self.stamps.folder / name for task in part for name in task.files] for part in parts]

    def tasks(self, cores: int, task_bytes: float = TASK_BYTES) -> list[list[Input]]:
        """Return the missing inputs, one list per task, each of about `task_bytes`, or less to keep all cores busy."""
        size = sum(source.size for source in self.missing)
        limit = min(task_bytes, size // (cores * TASKS_PER_CORE))
        return list(gather(self.missing, lambda source: source.size, limit))

    def prune(self) -> None:
        """Remove outdated and half-made files: all files in the stamps' folder that are not of finished tasks."""
        folder = self.stamps.folder
        stamps = {folder / f"_{task.name}.json" for task in self.done}
        kept = {*stamps, *self.files, folder / DESCRIPTOR, folder / EARLIER}
        for path in set(files(folder)) - kept:
            remove_file(path)

    def described(self) -> dict[str, Any]:
        """Return the member `tasks` of a descriptor: the finished tasks, whose checksums the descriptor lists."""
        finished = [task.described() for task in self.done]
        return {"made_from": self.stamps.made_from, "finished": finished}


def digest_of(content: Mapping[str, Any]) -> str:
    """Return a digest, 24 hexadecimal digits, of a dict that JSON can represent."""
    return blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=12).hexdigest()
