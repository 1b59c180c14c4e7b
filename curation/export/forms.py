"""A finished run in the forms that other programs read; a folder has its name only when it is whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from curation.export.card import About, card
from curation.export.croissant import croissant
from curation.export.datacomp import write_subset
from curation.export.metaclip import write_languages, write_shards
from curation.runs.finished import curated_files, matched_files, open_local
from curation.runs.results import Results
from runtime.errors import InputError
from runtime.processes import process_pool
from runtime.storage.whole import whole_folder


def export(source, to, form: str, about: About, workers: int = 1, overwrite: bool = False) -> str:
    """Write the run in folder `source` to folder `to` in a form of FORMS; return a sentence about what is there."""
    if form not in FORMS:
        raise InputError(f"format is {form!r}; give one of {', '.join(FORMS)}")
    if workers < 1:
        raise InputError(f"the number of workers is {workers}; it must be at least 1")
    run, to = open_local(source), Path(to)
    _require_free(to, run.path, overwrite)
    try:
        with whole_folder(to) as folder:
            written = FORMS[form](run, folder, about, workers)
    except OSError as error:
        raise InputError(f"{to} cannot be written ({error}); give a folder on a disk with room") from None
    return f"{written} in {to}"


def _datacomp(run: Results, folder: Path, about: About, workers: int) -> str:
    rows = write_subset(curated_files(run), folder / "uids.npy")
    return f"uids.npy with {_number(rows, 'uid')}"


def _huggingface(run: Results, folder: Path, about: About, workers: int) -> str:
    (folder / "data").mkdir()
    files = curated_files(run)
    for file in files:
        _link(file, folder / "data" / file.name)
    name = about.name or run.path.resolve().name
    described = croissant(run.facts, about, name, folder)
    (folder / "croissant.json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / "README.md").write_text(card(run.facts, about, name), "utf-8")
    return f"README.md, croissant.json and {_number(len(files), 'file')} of data"


def _metaclip(run: Results, folder: Path, about: About, workers: int) -> str:
    files = matched_files(run)
    write_languages(run, folder)
    with _processes(min(workers, len(files))) as spread:
        index = write_shards(run, files, folder, spread)
    texts = sum(shard["texts"] for shard in index["shards"].values())
    languages = _number(len(index["languages"]), "language")
    return f"{_number(texts, 'text')} in {_number(len(files), 'shard')} and the entries of {languages}"


FORMS: dict[str, Callable[[Results, Path, About, int], str]] = {
    "datacomp": _datacomp,
    "huggingface": _huggingface,
    "metaclip": _metaclip,
}


def _require_free(to: Path, source: Path, overwrite: bool) -> None:
    """Refuse to write over the run itself or, unless it is to be replaced, over what is there."""
    own, other = source.resolve(), to.resolve()
    if own.is_relative_to(other) or other.is_relative_to(own):
        raise InputError(f"{to} holds the run or is in it; give a folder beside {source}")
    if to.exists() and not to.is_dir():
        raise InputError(f"{to} is a file; give a folder")
    if to.is_dir() and any(to.iterdir()) and not overwrite:
        raise InputError(f"{to} is not empty; give a new folder, or --overwrite this")


def _number(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


@contextmanager
def _processes(number: int) -> Iterator[Callable]:
    """Give a `map` that uses so many processes; they start afresh, since Arrow's threads do not survive a fork."""
    if number == 1:
        yield map
        return
    with process_pool(number) as pool:
        yield pool.map


def _link(file: Path, path: Path) -> None:
    """Give a file a second name, or copy it where disks differ."""
    try:
        os.link(file, path)
    except OSError:
        shutil.copyfile(file, path)
