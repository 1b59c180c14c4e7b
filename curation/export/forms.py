"""Export a finished run in one of several forms, each for other programs.

The new folder gets its name only when all of it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from curation.by_uid.captions import Captioned, build
from curation.by_uid.joined_tars import tars_at
from curation.export.card import About
from curation.export.datacomp import write_subset
from curation.export.experts import ByCluster, selected
from curation.export.huggingface import Rows, write_folder
from curation.export.list_names import names_of
from curation.export.loaders import Lists, write_loaders
from curation.export.metaclip import write_languages, write_shards
from curation.export.webdataset import Texts, write_tars
from curation.online.config import CaptionDraw
from curation.report.numbers import counted
from curation.run.finished import curated_files, matched_files, open_local
from curation.run.results import Results
from runtime.errors import InputError
from runtime.interrupts import process_pool
from runtime.storage.output_folders import new_folder


@dataclass(frozen=True)
class Given:
    """What some forms take besides the run."""

    tars: Sequence[str | Path] = ()  # metaclip: a JSON is written for each; webdataset: a tar
    names: str | Path | None = None  # metaclip, with tars: a table of what languages and thresholds are called there
    captions: Sequence[str] = ()  # huggingface, webdataset: tables of captions by uid
    draw: CaptionDraw = CaptionDraw()  # webdataset: which captions stand for texts
    clusters: ByCluster = ByCluster()  # all but metaclip without tars: which images are written


NOTHING = Given()


def export(
    source: str | Path,
    to: str | Path,
    form: str,
    about: About,
    workers: int = 1,
    overwrite: bool = False,
    given: Given = NOTHING,
) -> str:
    """Write the run in folder `source` to folder `to` in a form of FORMS; return a sentence about what was written."""
    if form not in FORMS:
        raise InputError(f"format is {form!r}; give one of {', '.join(FORMS)}")
    _require_use(form, given)
    if workers < 1:
        raise InputError(f"the number of workers is {workers}; it must be at least 1")
    run = open_local(source)
    with new_folder(to, [run.path, *given.tars, *given.captions, *given.clusters.tables], overwrite) as folder:
        written = FORMS[form](run, folder, about, workers, given)
    return f"{written} in {to}"


def _datacomp(run: Results, folder: Path, about: About, workers: int, given: Given) -> str:
    with selected(run, folder, given.clusters) as selection:
        rows = write_subset(curated_files(run), folder / "uids.npy", selection)
    return f"uids.npy with {counted(rows, 'uid')}{selection}"


def _huggingface(run: Results, folder: Path, about: About, workers: int, given: Given) -> str:
    with _captions(run, folder, given.captions) as found, selected(run, folder, given.clusters) as selection:
        files = write_folder(run, folder, about, Rows(found.captions if found else None, selection))
    captions = f" with captions ({_lack(found)})" if found else ""
    return f"README.md, croissant.json, the entries and {counted(files, 'file')} of data{captions}{selection}"


def _metaclip(run: Results, folder: Path, about: About, workers: int, given: Given) -> str:
    if given.tars:
        return _loaders(run, folder, given)
    files = matched_files(run)
    write_languages(run, folder)
    with _processes(min(workers, len(files))) as spread:
        index = write_shards(run, files, folder, spread)
    texts = sum(shard["texts"] for shard in index["shards"].values())
    languages = counted(len(index["languages"]), "language")
    return f"{counted(texts, 'text')} in {counted(len(files), 'shard')} and the entries of {languages}"


def _loaders(run: Results, folder: Path, given: Given) -> str:
    paths = tars_at(given.tars)
    lists = Lists.of(run, names_of(run, given.names))
    with selected(run, folder, given.clusters) as selection:
        samples = write_loaders(lists, matched_files(run), paths, folder, selection)
    return f"{counted(samples, 'sample')} of {counted(len(paths), 'tar')} for both loaders{selection}"


def _webdataset(run: Results, folder: Path, about: About, workers: int, given: Given) -> str:
    tars = tars_at(given.tars)
    with ExitStack() as stack:
        found = stack.enter_context(_captions(run, folder, given.captions))
        selection = stack.enter_context(selected(run, folder, given.clusters))
        captions = found.captions if found else None
        texts = Texts(curated_files(run), selection.takes, captions, given.draw)
        spread = stack.enter_context(_processes(min(workers, len(tars))))
        samples, captions_drawn = write_tars(tars, texts, folder, spread)
    if not samples:
        raise InputError(
            f"none of the samples in {counted(len(tars), 'tar')} is in the manifest of {run.path}{selection}; give "
            "tars of a download of its curated/ or matched/"
        )
    drawn = f" with {counted(captions_drawn, 'caption')} as txt ({_lack(found)})" if found else ""
    return f"{counted(samples, 'sample')} in {counted(len(tars), 'tar')}{drawn}{selection}"


FORMS: dict[str, Callable[[Results, Path, About, int, Given], str]] = {
    "datacomp": _datacomp,
    "huggingface": _huggingface,
    "metaclip": _metaclip,
    "webdataset": _webdataset,
}


def _require_use(form: str, given: Given) -> None:
    """Refuse what the form does not take."""
    if given.tars and form not in ("metaclip", "webdataset"):
        raise InputError(f"tars are for the formats metaclip and webdataset; {form} is written without them")
    if form == "webdataset" and not given.tars:
        raise InputError("the format webdataset is written of tars; give those of img2dataset")
    if given.names and (form != "metaclip" or not given.tars):
        raise InputError("names are for what metaclip writes of tars; give the tars, too")
    if given.captions and form not in ("huggingface", "webdataset"):
        raise InputError(f"captions are for the formats huggingface and webdataset; {form} has none")
    drawn = replace(given.draw, seed=CaptionDraw.seed)  # which is of outsiders, too
    if drawn != CaptionDraw() and (form != "webdataset" or not given.captions):
        raise InputError("captions are drawn for webdataset alone; give captions, or no ratio and epoch")
    if given.clusters.tables and form == "metaclip" and not given.tars:
        raise InputError("clusters choose among the samples of tars in the format metaclip; give the tars, too")
    if given.clusters.tables and form != "huggingface" and not given.clusters.coarse:
        raise InputError(f"clusters are columns of the format huggingface; for {form} choose some of them (--expert)")


@contextmanager
def _captions(run: Results, folder: Path, tables: Sequence[str]) -> Iterator[Captioned | None]:
    """Give the captions of tables, if there are any, in a file that goes when the block ends."""
    with TemporaryDirectory(dir=folder) as work:
        yield build(tables, run, Path(work, "captions.arrow")) if tables else None


def _lack(found: Captioned) -> str:
    return f"{found.without:,} of {counted(found.images, 'image')} have no caption"


@contextmanager
def _processes(number: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """Yield a `map` that uses so many processes; they are spawned, because Arrow's threads do not survive a fork."""
    if number == 1:
        yield map
        return
    with process_pool(number) as pool:
        yield pool.map
