"""Fill a folder with one file per input, for one run at a time; a rerun continues where an earlier run broke off.

clip-hash and clip-score write their tables this way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.inputs.files import Input
from curation.run.ledger import Ledger, Stamps
from runtime.errors import InputError
from runtime.progress import advance
from runtime.storage.locks import WORK, is_free
from runtime.storage.output_folders import claimed
from runtime.storage.own_files import part_files, tally
from runtime.storage.parquet import part_writer
from runtime.storage.paths import names, remove
from runtime.storage.whole import STAMP, finished, read_json, write_json
from runtime.tallies import Tallies

STATUS = "status."  # before the status of rows: the name of a tally
ROW_GROUP = 50_000


@dataclass(frozen=True)
class Claim:
    """The intended content of a folder; `description` names all that its files depend on besides the inputs."""

    called: str  # the files, to a user: hashes
    of_what: str  # pictures
    description: dict

    def ledger(self, folder: Path, inputs: Sequence[Input]) -> Ledger:
        """Return what is done and not done in a folder; refuse one with files of other inputs."""
        ledger = Ledger.open(folder, self.description, list(inputs))
        paths = {each.path for each in inputs}
        others = {each["path"] for _, stamp in ledger.stamps.read() for each in stamp.inputs} - paths
        if others:
            raise InputError(
                f"output {folder} also holds {self.called} of {min(others)}, which is not among the inputs; give "
                "another folder, or --overwrite this"
            )
        return ledger


@dataclass(frozen=True)
class Filled:
    """A folder with the file of each input, and the content of its JSON file."""

    path: Path
    facts: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        """The Parquet files."""
        return part_files(self.path)


def fill(
    output: str | PathLike[str],
    claim: Claim,
    inputs: Sequence[Input],
    make: Callable[[Ledger, Path], object],
    describe: Callable[[Ledger], dict[str, Any]],
    overwrite: bool = False,
) -> Filled:
    """Let `make` write the files that a folder lacks for the inputs, and `describe` summarise all of them.

    `make` is given a folder for temporary files, too. A folder that holds something else is refused, and one that holds
    such files is emptied with `overwrite`.
    """
    with claimed(output, partial(_require_like, claim=claim, overwrite=overwrite)) as parts:
        folder = parts.folder
        for name in names(folder) - {WORK} if overwrite else ():
            remove(folder / name)
        write_json(folder / STAMP, claim.description)
        ledger = claim.ledger(folder, inputs)
        if ledger.done:
            ledger.stamps.forget_damaged()
            ledger = claim.ledger(folder, inputs)
        summary = folder / f"_{claim.called}.json"
        if ledger.missing:
            remove(summary)  # else it would describe a folder that holds more by and by
            make(ledger, parts.work)
            ledger = claim.ledger(folder, inputs)
        if ledger.missing:
            raise InputError(f"what {len(ledger.missing)} inputs gave is not in {folder}; run the same again")
        ledger.prune()
        facts = describe(ledger)
        write_json(summary, facts)  # readers of Parquet pass over names that begin with _
    return Filled(folder, facts)


def write_part(
    stamps: Stamps, inputs: Sequence[Input], rows: Iterable[pa.RecordBatch], schema: pa.Schema, tallies: Tallies
) -> None:
    """Write the rows of a task's inputs, then its stamp with the tallies, to which rows by status are added."""
    path = stamps.folder / f"{stamps.name_of(inputs)}.parquet"
    with part_writer(path, schema, ROW_GROUP) as writer:
        for batch in rows:
            for status, number in Counter(batch["status"].to_pylist()).items():
                tallies.add(f"{STATUS}{status}", number)
            writer.write(batch)
            advance(rows=batch.num_rows)
    tally(tallies, path, writer.checksum)
    stamps.write(inputs, [path.name], tallies)


def statuses(ledger: Ledger) -> dict[str, int]:
    """Return how many rows have which status."""
    return {status: int(number) for status, number in ledger.tallies().beginning(STATUS).items()}


def _require_like(folder: Path, claim: Claim, overwrite: bool) -> None:
    """Refuse a folder of something else, or, without `overwrite`, of such files that were made otherwise."""
    if is_free(folder) or finished(names(folder)) - {WORK} == {STAMP}:  # claimed by a run that made nothing
        return
    made, wanted = read_json(folder / STAMP), claim.description
    if made is None or made.keys() != wanted.keys():
        raise InputError(
            f"output {folder} holds files that are no {claim.called} of {claim.of_what}; give an empty or new folder"
        )
    if made != wanted and not overwrite:
        what = ", ".join(f"{name} {made[name]}, not {wanted[name]}" for name in wanted if made[name] != wanted[name])
        raise InputError(
            f"output {folder} holds {claim.called} made otherwise ({what}); give another folder, or --overwrite"
        )
