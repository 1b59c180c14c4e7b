"""Make a folder with one file per task; a later call with the same inputs and more adds files to it.

Hashes, scores and embeddings are such folders. An example:

    wanted = Filling(Kind("hashes of pictures", "clip-hash"), {"pdq": False})
    with filling(output, wanted, inputs) as folder:
        if folder.missing:
            engine.run(tasks(folder.missing), partial(hash, stamps=folder.stamps))
        ledger = folder.completed()
        facts = folder.commit(ledger, {"statuses": statuses(ledger)})

While the folder is unfinished, each finished task has a stamp beside its file (`stamps`). The descriptor is written
last. It lists the tasks, and the stamps are removed. While a later call adds files, the descriptor is set aside.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa

from runtime.errors import InputError
from runtime.folders.descriptor import DESCRIPTOR, EARLIER, Kind, complete, set_aside
from runtime.folders.ownership import CLAIM, MAX_NAMED, Claimed, claimed, is_free
from runtime.folders.stamps import Input, Ledger, Stamps, digest_of, is_stamp
from runtime.messages import listed
from runtime.progress import Progress, advance
from runtime.storage.json_files import read_json, write_json
from runtime.storage.own_files import part_files
from runtime.storage.parquet import part_writer
from runtime.storage.paths import make_folder, names, remove
from runtime.storage.whole import WORK, finished
from runtime.tallies import TaskResult

OF_TASK = re.compile(r"[0-9a-f-]+\.parquet")  # as stamps name the files of tasks: by a digest, or by a span of rows
STATUS = "status."  # prefix of a tally's name; the status of rows follows
ROW_GROUP = 50_000


@dataclass(frozen=True)
class Filled:
    """A complete folder with one file per task; `facts` are those of its descriptor."""

    path: Path
    facts: Mapping[str, Any]

    @property
    def files(self) -> list[Path]:
        """The Parquet files of the folder."""
        return part_files(self.path)


@dataclass(frozen=True)
class Filling:
    """A folder that is to have one file per task; a later call with the same inputs and more adds files to it.

    `description` has all that the files depend on besides their inputs. With `overwrite`, the folder is emptied first;
    without, files that have another description are refused. A folder that also has files of others is refused.
    """

    kind: Kind
    description: dict[str, Any]
    overwrite: bool = False
    stamps: type[Stamps] = Stamps

    @property
    def stated(self) -> dict[str, Any]:
        """What a claim and a descriptor say of the folder."""
        return {"kind": self.kind.name, "version": self.kind.version, "made_from": self.description}

    def is_of(self, folder: Path) -> bool:
        """Say whether a folder holds files of this kind with the same description, finished or not."""
        return self._stated_in(folder) == self.stated

    def require_usable(self, folder: Path) -> None:
        """Refuse a folder of other things and, without `overwrite`, one whose files have another description."""
        present = finished(names(folder)) - {WORK}
        claim = read_json(folder / WORK / CLAIM)
        if claim is not None and claim.get("kind") != self.kind.name:
            raise InputError(f"output {folder} holds what another command began; give an empty or new folder")
        if is_free(folder) or not present:  # it is empty, or claimed by a command that has made nothing
            return
        others = sorted(name for name in present if not _may_be_ours(name))
        made = self._stated_in(folder)
        if others or made is None or made["kind"] != self.kind.name:
            which = f" ({listed(others, MAX_NAMED)})" if others else " of this version"
            raise InputError(
                f"output {folder} holds files that are no {self.kind.name}{which}; give an empty or new folder"
            )
        if made != self.stated and not self.overwrite:
            raise InputError(
                f"output {folder} holds {self.kind.name} made otherwise ({self._differing(made)}); give another "
                "folder, or replace it by --overwrite"
            )

    def _stated_in(self, folder: Path) -> dict[str, Any] | None:
        for path in (folder / WORK / CLAIM, folder / DESCRIPTOR, folder / EARLIER):
            content = read_json(path)
            if content is not None and self.stated.keys() <= content.keys():
                return {name: content[name] for name in self.stated}
        return None

    def _differing(self, made: Mapping[str, Any]) -> str:
        """Return the values of the description that differ, there and here."""
        there = {"version": made["version"], **made["made_from"]}
        here = {"version": self.kind.version, **self.description}
        differing = (name for name in here if there.get(name) != here[name])
        return ", ".join(f"{name} {there.get(name)}, not {here[name]}" for name in differing)


@dataclass(frozen=True)
class FolderToFill:
    """A claimed folder, with the ledger of the tasks that have finished."""

    wanted: Filling
    parts: Claimed
    ledger: Ledger

    @property
    def path(self) -> Path:
        """The folder."""
        return self.parts.folder

    @property
    def work(self) -> Path:
        """A folder for temporary files."""
        return self.parts.work

    @property
    def missing(self) -> list[Input]:
        """The inputs that no finished task covers."""
        return self.ledger.missing

    @property
    def stamps(self) -> Stamps:
        """The stamps that tasks write."""
        return self.ledger.stamps

    def completed(self) -> Ledger:
        """Return the ledger of all tasks, and remove files that are of none; InputError if a task has not finished."""
        ledger = self.ledger.completed(self.path)
        self.parts.owner.require()
        ledger.prune()
        return ledger

    def commit(self, ledger: Ledger, facts: Mapping[str, Any]) -> Filled:
        """Write the descriptor with `facts`, which makes the folder complete; return the folder."""
        self.parts.owner.require()
        facts_and_tasks = {**facts, "tasks": ledger.described()}
        content = self.wanted.kind.content(self.wanted.description, ledger.sums.files, facts_and_tasks)
        complete(self.path, content)
        self.stamps.remove()
        remove(self.path / WORK / CLAIM)
        return Filled(self.path, facts)


@contextmanager
def filling(
    output: str | PathLike[str], wanted: Filling, inputs: Sequence[Input], progress: Progress | None = None
) -> Iterator[FolderToFill]:
    """Claim a folder, and yield it with the ledger of `inputs`; the files of finished tasks have been compared.

    InputError if the folder holds files that are not of this kind, were made by another description, or are of inputs
    that are not among `inputs`. With `overwrite`, a call begins anew, also after an interruption.
    """
    with claimed(output, wanted.require_usable) as parts:
        folder = parts.folder
        if wanted.overwrite:
            write_json(make_folder(folder / WORK) / CLAIM, wanted.stated)  # before what is there loses its descriptor
            for name in names(folder) - {WORK}:
                remove(folder / name)
        ledger = Ledger.of(wanted.stamps(folder, digest_of(wanted.description)), inputs)
        _require_no_others(wanted, ledger)
        ledger = ledger.checked(progress)
        if ledger.missing:
            write_json(make_folder(folder / WORK) / CLAIM, wanted.stated)
            set_aside(folder)
        yield FolderToFill(wanted, parts, ledger)


def _may_be_ours(name: str) -> bool:
    """Say whether a file has a name as files of such a folder have."""
    return is_stamp(name) or name in (DESCRIPTOR, EARLIER) or OF_TASK.fullmatch(name) is not None


def _require_no_others(wanted: Filling, ledger: Ledger) -> None:
    """Refuse a folder that also has files of other inputs."""
    paths = {source.path for source in ledger.inputs}
    others = {path for stamp in ledger.stamps.read() for path in stamp.inputs.values()} - paths
    if others:
        raise InputError(
            f"output {ledger.stamps.folder} also holds {wanted.kind.name} of {min(others)}, which is not among the "
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
