"""Claim a folder with a file for each input for one run, and say which inputs have their file.

Hashes and scores of pictures lie in such folders. The same call goes on after a run that broke off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TypeGuard

from curation.inputs.files import Input
from curation.runs.folders import present, usable
from curation.runs.ledger import Ledger
from runtime.errors import InputError
from runtime.storage.ownership import WORK, is_free, owned
from runtime.storage.paths import as_path, names, reachable, remove
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
    folder = usable(as_path(output))
    with present(folder), reachable(folder):
        if not overwrite:
            _require_like(folder, claim)  # before anything of ours is in it
        with owned(folder) as owner:
            if overwrite:
                _clear(folder, claim)
            _require_like(folder, claim)
            write_json(folder / STAMP, claim.description)
            yield Claimed(folder, owner.work, claim)


def _require_like(folder: Path, claim: Claim) -> None:
    if is_free(folder) or names(folder) in ({STAMP}, {STAMP, WORK}):  # claimed by a run that made nothing
        return
    made, wanted = read_json(folder / STAMP), claim.description
    if not _is_like(made, claim):
        raise InputError(
            f"output {folder} holds files that are no {claim.called} of {claim.of_what}; give an empty or new folder"
        )
    if made != wanted:
        what = ", ".join(f"{name} {made[name]}, not {wanted[name]}" for name in wanted if made[name] != wanted[name])
        raise InputError(
            f"output {folder} holds {claim.called} made otherwise ({what}); give another folder, or --overwrite"
        )


def _is_like(made: dict | None, claim: Claim) -> TypeGuard[dict]:
    return made is not None and made.keys() == claim.description.keys()


def _clear(folder: Path, claim: Claim) -> None:
    """Remove what is in a folder of such files; leave another folder as it is."""
    if _is_like(read_json(folder / STAMP), claim):
        for name in names(folder) - {WORK}:
            remove(folder / name)
