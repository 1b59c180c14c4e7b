"""Claim a folder with a file for each input for one run, and say which inputs have their file.

Hashes and scores of pictures lie in such folders. The same call goes on after a run that broke off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path

from curation.inputs.files import Input
from curation.run.ledger import Ledger
from runtime.errors import InputError
from runtime.storage import output_folders
from runtime.storage.locks import WORK, is_free
from runtime.storage.paths import names, remove
from runtime.storage.whole import STAMP, read_json, write_json


@dataclass(frozen=True)
class Claim:
    """What a folder is to hold; `description` names all that its files depend on besides the inputs."""

    called: str  # the files, to a user: hashes
    of_what: str  # pictures
    description: dict


@dataclass(frozen=True)
class Claimed:
    """A folder that belongs to this run alone; `work` in it is for temporary files."""

    folder: Path
    work: Path
    claim: Claim

    def ledger(self, inputs: Sequence[Input]) -> Ledger:
        """Return what is done and what is not; refuse a folder with files of other inputs."""
        ledger = Ledger.open(self.folder, self.claim.description, list(inputs))
        paths = {each.path for each in inputs}
        others = {each["path"] for stamp in ledger.stamps.read().values() for each in stamp.inputs} - paths
        if others:
            raise InputError(
                f"output {self.folder} also holds {self.claim.called} of {min(others)}, which is not among the "
                "inputs; give another folder, or --overwrite this"
            )
        return ledger


@contextmanager
def claimed(output: str | PathLike[str], claim: Claim, overwrite: bool) -> Iterator[Claimed]:
    """Give the output folder to this run alone; refuse one that holds something else, or empty it of such files."""
    with output_folders.claimed(output, partial(_require_like, claim=claim, overwrite=overwrite)) as parts:
        for name in names(parts.folder) - {WORK} if overwrite else ():
            remove(parts.folder / name)
        write_json(parts.folder / STAMP, claim.description)
        yield Claimed(parts.folder, parts.work, claim)


def _require_like(folder: Path, claim: Claim, overwrite: bool) -> None:
    """Refuse a folder of something else, or, without `overwrite`, of such files that were made otherwise."""
    if is_free(folder) or names(folder) in ({STAMP}, {STAMP, WORK}):  # claimed by a run that made nothing
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
