"""Record which inputs have been read into which files.

Each finished task has one JSON stamp. A stamp is valid only for the same metadata, rules, model and parameters, and for
unchanged inputs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from runtime.arrow import gather
from runtime.errors import AGAIN, InputError
from runtime.folders.folder import EARLIER, STAMP
from runtime.progress import Progress, advance
from runtime.storage.json_files import read_json, write_json
from runtime.storage.own_files import OwnFile, is_sound
from runtime.storage.paths import files, files_below, in_threads, remove
from runtime.tallies import TaskResult


@dataclass(frozen=True)
class Input:
    """A file that a task reads or, of a big Parquet file, a range of row groups."""

    path: str
    format: str  # the name of one of formats()
    size: int  # compressed bytes; the format's typical size if the size is not known
    modified: int | None = None  # time of modification, nanoseconds since 1970, if the file system states it
    row_groups: tuple[int, int] | None = None  # first, and last + 1; None: the whole file
    etag: str | None = None  # if the file system states it
    file_size: int | None = None  # bytes of the whole file, if the file system states them
    changed: int | None = None  # time of the inode's change, nanoseconds since 1970, of a local file
    inode: int | None = None  # of a local file
    dialect: str | None = None  # name of the dialect, of CSV and TSV


VERSION = 2  # of stamps; 1 had names of tallies for checksums and facts


TASK_BYTES = 64 << 20  # compressed bytes of input for one task


TASKS_PER_CORE = 3


STAMP_NAME = re.compile(r"_.*\.json")


@dataclass(frozen=True)
class Stamp:
    """The record of a finished task: its inputs, and the content of its result, whose files are what it wrote."""

    made_from: str  # digest of all that the files depend on, except the inputs
    inputs: list[dict]
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
    """The stamps of a run, one JSON file per finished task, which workers write into `folder`.

    By default a task's files are in `folder` too, and the stamp has their names. With `root`, the stamp has paths
    relative to the folder `root`.
    """

    folder: Path
    made_from: str
    root: Path | None = None

    def name_of(self, inputs: Sequence[Input]) -> str:
        """Return the name, without extension, of the files that a task makes of `inputs`: a digest."""
        return digest_of({"made_from": self.made_from, "inputs": _dicts(inputs)})

    def write(self, inputs: Sequence[Input], result: TaskResult) -> None:
        """Write the stamp of a finished task over `inputs`; only from then on do the task's files count."""
        content = asdict(Stamp(self.made_from, _dicts(inputs), **result.content()))
        content["checksum"] = digest_of(content)
        write_json(self.folder / f"_{self.name_of(inputs)}.json", content)

    def read(self) -> Iterator[tuple[Path, Stamp]]:
        """Yield the path and content of each stamp that has this `made_from` and whose files all exist.

        Some stamps may cover inputs of other runs. Few stamps are in memory at a time.
        """
        present = files(self.folder)
        paths = [path for path in present if STAMP_NAME.fullmatch(path.name)]
        names = {*files_below(self.root)} if self.root else {path.name for path in present}
        for path, content in zip(paths, in_threads(read_json, paths), strict=True):
            stamp = stamp_of(content)
            if stamp and stamp.made_from == self.made_from and names >= stamp.files.keys():
                yield path, stamp

    def forget_damaged(self) -> None:
        """Remove the stamp of each task with a file whose checksum differs, so that the task runs again."""
        root = self.root or self.folder
        stamped = [
            (path, OwnFile(root / name, checksum, AGAIN))
            for path, stamp in self.read()
            for name, checksum in stamp.files.items()
        ]
        advance(total=len(stamped))
        damaged = set()
        for (path, _), is_whole in zip(stamped, in_threads(is_sound, (file for _, file in stamped)), strict=True):
            advance(done=1)
            if not is_whole:
                damaged.add(path)
        for path in damaged:
            remove(path)


def stamp_of(content: object) -> Stamp | None:
    """Return the Stamp that a file's content describes; None if it is damaged, of another version, or no stamp."""
    stated = dict(content) if isinstance(content, dict) else {}
    checksum = stated.pop("checksum", None)
    is_whole = stated.keys() == Stamp.__dataclass_fields__.keys() and checksum == digest_of(stated)
    return Stamp(**stated) if is_whole and stated["version"] == VERSION else None


@dataclass(frozen=True)
class Done:
    """The files of a finished task, and the total number of their rows."""

    files: list[str]
    rows: int


@dataclass(frozen=True)
class Ledger:
    """The finished tasks of a run, by the paths of their stamps, and the inputs that no finished task covers."""

    stamps: Stamps
    inputs: Sequence[Input]  # of the run
    done: dict[Path, Done]
    missing: list[Input]  # inputs that no stamp in `done` covers
    sums: TaskResult  # of all finished tasks

    @classmethod
    def open(cls, folder: Path, description: dict, inputs: list[Input]) -> Ledger:
        """Return the ledger of a folder for a run of `inputs`; `description` has all else that the run depends on."""
        return cls.of(Stamps(folder, digest_of(description)), inputs)

    @classmethod
    def of(cls, stamps: Stamps, inputs: Sequence[Input]) -> Ledger:
        """Return the ledger of these stamps for a run of `inputs`; stamps that cover other inputs are left out."""
        wanted = {input_identity(asdict(source)): source for source in inputs}
        done: dict[Path, Done] = {}
        covered: set[str] = set()
        sums = TaskResult()
        for path, stamp in stamps.read():
            ids = {input_identity(source) for source in stamp.inputs}
            # Two stamps share an input if a run broke off and one of its tasks ended nevertheless.
            if ids <= wanted.keys() and ids.isdisjoint(covered):
                done[path] = Done([*stamp.files], int(stamp.result["rows"]))
                covered |= ids
                sums.merge(stamp.result)
        return cls(stamps, inputs, done, [source for id, source in wanted.items() if id not in covered], sums)

    def completed(self, run: Callable[[Ledger], object], folder: Path, progress: Progress | None = None) -> Ledger:
        """Return the ledger with all inputs done, after `run(ledger)` has run the tasks of its missing inputs.

        A finished task with a damaged file is done again. InputError if inputs still have no stamp in the output
        `folder` then.
        """
        ledger = self
        if ledger.done:
            with (progress or Progress()).stage("compare what is done"):
                self.stamps.forget_damaged()
            ledger = Ledger.of(self.stamps, self.inputs)
        if ledger.missing:
            run(ledger)
            ledger = Ledger.of(self.stamps, self.inputs)
        if ledger.missing:
            raise InputError(
                f"what {len(ledger.missing)} inputs gave was written but is not in {folder}: that is no folder that "
                "all machines share, or it shows files late; run the same command again to go on"
            )
        return ledger

    @property
    def files(self) -> list[Path]:
        """The files of all finished tasks."""
        return [self.stamps.folder / name for done in self.done.values() for name in done.files]

    def files_of(self, rows: int) -> list[list[Path]]:
        """Return the files of all finished tasks in lists of about `rows` rows; no task is split between lists."""
        parts = gather(self.done.values(), lambda done: done.rows, rows)
        return [[self.stamps.folder / name for done in part for name in done.files] for part in parts]

    def tasks(self, cores: int, task_bytes: float = TASK_BYTES) -> list[list[Input]]:
        """Return the missing inputs, one list per task, each of about `task_bytes`, or less to keep all cores busy."""
        size = sum(source.size for source in self.missing)
        limit = min(task_bytes, size // (cores * TASKS_PER_CORE))
        return list(gather(self.missing, lambda source: source.size, limit))

    def prune(self) -> None:
        """Remove all files in the stamps' folder but those of finished tasks: outdated and half-made ones."""
        folder = self.stamps.folder
        kept = {*self.done, *self.files, folder / STAMP, folder / EARLIER}
        for path in set(files(folder)) - kept:
            remove(path)


def _dicts(inputs: Sequence[Input]) -> list[dict]:
    return json.loads(json.dumps([asdict(source) for source in inputs]))  # lists for tuples, as in a stamp


def input_identity(fields: dict) -> str:
    """Return a string that is equal for equal inputs; `fields` is an input as a dict, as stamps hold it."""
    return json.dumps(fields, sort_keys=True)


def digest_of(content: dict) -> str:
    """Return a digest, 24 hexadecimal digits, of a dict that JSON can represent."""
    return blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=12).hexdigest()
