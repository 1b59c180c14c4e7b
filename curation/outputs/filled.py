"""Make a folder with one file per input, to which later calls may add files of further inputs.

clip-hash and clip-score write their tables so, for one run at a time.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.outputs.checkpoints import VERSION, Input, Ledger, Stamps, digest_of
from runtime.errors import InputError
from runtime.progress import advance
from runtime.storage.atomic import STAMP, finished, read_json, write_json
from runtime.storage.locks import WORK, claimed, is_free
from runtime.storage.own_files import part_files
from runtime.storage.parquet import part_writer
from runtime.storage.paths import names, remove
from runtime.tallies import TaskResult

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
    without, such files that have another description are refused.
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
            write_json(folder / STAMP, self.stated)
            ledger = Ledger.of(self.stamps(folder, digest_of(self.description)), inputs)
            self._require_no_others(ledger)
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
        if made.keys() != wanted.keys():
            what = f"{self.called} of {self.of_what}"
            raise InputError(f"output {folder} holds files that are no {what}; give an empty or new folder")
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
