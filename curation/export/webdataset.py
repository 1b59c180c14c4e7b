"""Export `webdataset`: rewrite downloaded tars with a run's curated pairs alone, for trainers that read `txt`.

`txt` is the curated text. With captions, `txt` of a drawn share of the samples is the image's caption, and `alt.txt` is
the curated text. All other members keep their names and bytes.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from curation.by_uid.joined_tars import joined_images
from curation.export.forms import (
    ALL,
    ByCluster,
    Form,
    Selection,
    captioned,
    distinct_tars,
    lack,
    processes,
    selected,
)
from curation.online.config import CaptionDraw
from curation.report.numbers import counted
from curation.run.derived import Derived
from curation.run.finished import curated_files
from curation.run.results import Results
from curation.schemas import CURATED
from curation.tars.headers import members
from curation.tars.samples import by_key, image_of, mapped
from curation.tars.writing import writing
from runtime.arguments import add_fields
from runtime.errors import InputError
from runtime.storage.arrays import open_arrow
from runtime.storage.own_files import OwnFile, as_written
from runtime.storage.parquet import batches

TEXT, ALT = "txt", "alt.txt"  # webdataset cuts a name at its first dot: these are two members of one sample
SIZES = "sizes.json"  # in which open_clip looks for the number of samples of each tar
BATCH_ROWS = 1 << 16  # curated rows in memory at a time
PAIRS = pa.schema([CURATED.field("uid"), CURATED.field("text")])


@dataclass(frozen=True)
class WebDataset(Form):
    """For each given tar, a tar of its curated pairs; and sizes.json."""

    tars: Sequence[str | Path] = ()
    captions: Sequence[str | Path] = ()
    caption_ratio: float = CaptionDraw.ratio
    epoch: int = CaptionDraw.epoch
    seed: int = CaptionDraw.seed
    clusters: ByCluster = ALL
    workers: int = 1

    writes = "tars of the curated pairs"
    whole_by = SIZES
    elsewhere = "captions are drawn for webdataset alone; give captions, or no ratio and epoch"

    def __post_init__(self) -> None:
        if not self.tars:
            raise InputError("the format webdataset is written of tars; give those of img2dataset")
        if not self.captions and (self.caption_ratio, self.epoch) != (CaptionDraw.ratio, CaptionDraw.epoch):
            raise InputError(self.elsewhere)
        _ = self._draw  # its numbers are checked
        self.clusters.require_choice("webdataset")

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add the flags of the draw of captions."""
        group = parser.add_argument_group("captions in place of texts, for webdataset")
        helps = {
            "--caption-ratio SHARE": "of the samples with a caption, those whose txt it is, for webdataset",
            "--epoch N": "of the draw of captions, as of the online loader",
        }
        add_fields(group, cls, helps)

    def write(self, run: Results, folder: Derived) -> str:
        """Write the tars."""
        with folder.at_once() as local:
            return self._write(run, local)

    def _write(self, run: Results, folder: Path) -> str:
        tars = distinct_tars(self.tars)
        with ExitStack() as stack:
            found = stack.enter_context(captioned(run, folder, self.captions))
            selection = stack.enter_context(selected(run, folder, self.clusters))
            spread = stack.enter_context(processes(min(self.workers, len(tars))))
            work = Path(stack.enter_context(TemporaryDirectory(dir=folder)))
            joined = joined_images(tars, _pairs(run, selection), PAIRS, work)
            texts = _texts(joined, partial(self._draw.of, found.captions if found else None), work)
            written = [*spread(partial(write_tar, folder=folder), tars, texts)]
        sizes = {tar.name: samples for tar, (samples, _) in zip(tars, written, strict=True)}
        (folder / SIZES).write_text(json.dumps(sizes, indent=1) + "\n", "utf-8")
        samples, captions = (sum(each) for each in zip(*written, strict=True))
        if not samples:
            raise InputError(
                f"none of the samples in {counted(len(tars), 'tar')} is in the manifest of {run.path}{selection}; give "
                "tars of a download of its curated/ or matched/"
            )
        drawn = f" with {counted(captions, 'caption')} as txt ({lack(found)})" if found else ""
        return f"{counted(samples, 'sample')} in {counted(len(tars), 'tar')}{drawn}{selection}"

    @property
    def _draw(self) -> CaptionDraw:
        return CaptionDraw(self.caption_ratio, self.seed, self.epoch)


def write_tar(tar: Path, texts: OwnFile, folder: Path) -> tuple[int, int]:
    """Write the samples of a tar that have a text; return the number of samples, and of captions.

    The file of texts is removed.
    """
    rows = open_arrow(texts).read_all()
    texts.path.unlink()
    members_of = {offset: _members(*each) for offset, *each in zip(*rows.to_pydict().values(), strict=True)}
    with tar.open("rb") as file, mapped(file) as data, writing(folder / tar.name) as out:
        for key, files in by_key(members(data)):
            image = image_of(files)
            if image is None or files[image].offset not in members_of:
                continue
            for extension, member in files.items():
                if extension not in (TEXT, ALT):
                    out.add(member.name, data[member.offset : member.offset + member.size])
            for extension, text in members_of[files[image].offset]:
                out.add(f"{key}.{extension}", text.encode())
    return rows.num_rows, rows.num_rows - rows["caption"].null_count


def _pairs(run: Results, selection: Selection) -> Iterator[pa.RecordBatch]:
    """Yield the PAIRS that are written."""
    for file in curated_files(run):
        yield from map(selection.filter, batches(file, BATCH_ROWS, PAIRS.names))


def _texts(
    joined: Iterable[tuple[pa.RecordBatch, pa.Table]], captions: Callable[[pa.Array], pa.Array], work: Path
) -> Iterator[OwnFile]:
    """Yield a file in `work` of the texts of each tar, and of the captions that stand for them."""
    for number, (_, rows) in enumerate(joined):
        drawn = captions(rows["uid"].combine_chunks())
        rows = rows.select(["offset", "text"]).append_column("caption", drawn)
        path = work / f"{number}.texts"
        with pa.ipc.new_file(str(path), rows.schema) as file:
            file.write_table(rows)
        yield as_written(path)


def _members(text: str, caption: str | None) -> list[tuple[str, str]]:
    """Return the extensions and contents of the texts of a sample."""
    return [(TEXT, text)] if caption is None else [(TEXT, caption), (ALT, text)]
