"""Make a folder of the files of a finished run, in Spark tasks; the same command goes on after one that broke off.

Exports, removals and indexes are such folders, local or at a URL. An example, for a file of URLs per curated file:

    def write(file: OwnFile, made: Made) -> None:  # in a worker
        path = made.path("urls", file.path.name)
        with part_writer(path, SCHEMA, ROWS) as writer: ...
        made.wrote("urls", path.name, writer.checksum)
        made.tallies.add("urls", writer.rows)

    wanted = Derivation({"run": digest, "of": "urls"}, whole_by="urls.json", inputs=[run.path])
    with deriving(engine, output, wanted) as folder:
        tallies = folder.each_file("list URLs", curated_files(run), write, "urls")
        write_json(folder.path / "urls.json", {"urls": tallies["urls"]})

A part, here `urls/`, gets its name when all its files are there; at a URL, whose parts cannot be renamed, its files are
there before. In both places the folder is whole once it has the file `whole_by`, which a caller writes last. What is
done is in stamps below `.work` (`ledger`), with all that tasks tallied; the stamps go when the folder is whole. Before
a command goes on it compares what is done with the checksums in these stamps, and makes anew what is damaged. Last of
all, `.checksums.json` lists the checksums of all files; those of a removal are in its run.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from curation.run.ledger import digest_of
from curation.run.making import CHECKSUMS, STAMPS, Derived
from runtime.engine.choice import Given, engine_of
from runtime.errors import InputError
from runtime.progress import Progress
from runtime.storage.locks import LOCK, TOKEN, WORK, is_free
from runtime.storage.output_folders import Claimed, claimed, require_apart
from runtime.storage.paths import absolute, files, files_below, names, remove
from runtime.storage.whole import PARTIAL, finished, read_json, write_json

CLAIM = "derived.json"  # below WORK: what the folder will be made from


@dataclass(frozen=True)
class Derivation:
    """What a folder is made from: `description` has all that its bytes follow from, in JSON.

    The file `whole_by`, written last, says that the folder is whole. The folder must be apart from the `inputs`. A
    folder that holds something is refused, or with `overwrite` replaced; it is None where a user cannot ask for that.
    """

    description: dict[str, Any]
    whole_by: str
    inputs: Sequence[str | PathLike[str]] = ()
    overwrite: bool | None = None

    @cached_property
    def made_from(self) -> str:
        """The digest of the description."""
        return digest_of(self.description)

    def require_usable(self, folder: Path) -> None:
        """Refuse a folder that holds something else than what the same command left when it broke off."""
        if self.overwrite or is_free(folder) or self.has_begun(folder):
            return
        more = "" if self.overwrite is None else ", or --overwrite this"
        if not is_begun(folder):
            raise InputError(f"output {folder} is not empty; give a new or empty folder{more}")
        if names(folder) - {WORK} or _are_stamped(folder):
            raise InputError(
                f"output {folder} holds what another command began, or this one with other inputs or options; run that "
                f"one again, or give a new or empty folder{more}"
            )

    def has_begun(self, folder: Path) -> bool:
        """Say whether a command with the same description has begun to make the folder."""
        return _claim(folder) == self.made_from


@contextmanager
def deriving(
    engine: Given,
    output: str | PathLike[str],
    wanted: Derivation,
    progress: Progress | None = None,
    wait: bool = False,
) -> Iterator[Derived]:
    """Claim a folder, and yield it to be made during the block; go on with what the same command has begun.

    After an error what is done stays for the next command; nothing is left where nothing was done. With `wait` another
    command that is at work on a local folder is waited for.
    """
    require_apart(output, wanted.inputs)
    with claimed(absolute(output), wanted.require_usable, wait) as parts:
        folder = parts.folder
        has_begun = wanted.has_begun(folder)
        parts.owner.require()  # a second run at a URL, which nothing keeps out, may be ahead
        if not has_begun:
            _clear(parts)
            write_json(folder / WORK / CLAIM, {"made_from": wanted.made_from})
        for name in (wanted.whole_by, CHECKSUMS):
            remove(folder / name)
        found = names(folder)
        for name in found - finished(found):
            remove(folder / name)
        derived = Derived(parts, wanted.made_from, progress or Progress(), engine_of(engine))
        try:
            yield derived
        except BaseException:
            parts.owner.require()  # it may be the folder of a run that has taken over
            if not _are_stamped(folder):
                _clear(parts)
            raise
        parts.owner.require()
        for name in files_below(folder):
            if name.endswith(PARTIAL):  # of a task, or a command, that was killed
                remove(folder / name)
        if wanted.whole_by != "run.json":  # which lists checksums itself
            derived.seal()
        _clear_work(parts)


def is_begun(folder: Path) -> bool:
    """Say whether any command has begun to make a folder."""
    return _claim(folder) is not None


def _claim(folder: Path) -> str | None:
    return (read_json(folder / WORK / CLAIM) or {}).get("made_from")


def _are_stamped(folder: Path) -> bool:
    """Say whether a task has ended in a folder."""
    work = folder / WORK
    return any(files(work / name) for name in names(work) if name.endswith(STAMPS))


def _clear(parts: Claimed) -> None:
    """Remove all that is in a folder; first its files, as readers know by one of them that it is whole."""
    for path in files(parts.folder):
        remove(path)
    for name in names(parts.folder) - {WORK}:
        remove(parts.folder / name)
    _clear_work(parts)


def _clear_work(parts: Claimed) -> None:
    work = parts.folder / WORK
    for _ in range(2):  # a listing may be late: what it lacks comes with the next one
        for name in names(work) - {LOCK, TOKEN, CLAIM, parts.work.name}:
            remove(work / name)
    remove(work / CLAIM)
