"""Write the tars of a download anew, with a run's curated pairs alone: for trainers that read the member `txt`.

`txt` is the curated text. Of the samples that are drawn it is the caption of the image, and the curated text stands
beside it as `alt.txt`. All other members keep their names and bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.by_uid.captions import Captions
from curation.by_uid.joined_tars import joined_images
from curation.online.config import CaptionDraw
from curation.schemas import CURATED
from curation.tars.headers import members
from curation.tars.samples import by_key, image_of, mapped
from curation.tars.writing import writing
from runtime.errors import InputError
from runtime.storage.arrays import open_arrow
from runtime.storage.own_files import OwnFile, as_written
from runtime.storage.parquet import batches

TEXT, ALT = "txt", "alt.txt"  # webdataset cuts a name at its first dot: these are two members of one sample
SIZES = "sizes.json"  # in which open_clip looks for the number of samples of each tar
BATCH_ROWS = 1 << 16  # curated rows in memory at a time
PAIRS = pa.schema([CURATED.field("uid"), CURATED.field("text")])
Takes = Callable[[pa.Array], np.ndarray]  # of uids: bool[uid], which images are written


@dataclass(frozen=True)
class Texts:
    """Where the texts of samples come from: curated files, a choice of their images, and captions that are drawn."""

    files: list[OwnFile]
    takes: Takes | None = None  # None: all images
    captions: Captions | None = None
    draw: CaptionDraw = CaptionDraw()

    def pairs(self) -> Iterator[pa.RecordBatch]:
        """Yield the PAIRS that are written."""
        for file in self.files:
            for batch in batches(file, BATCH_ROWS, PAIRS.names):
                yield batch if self.takes is None else batch.filter(pa.array(self.takes(batch["uid"])))


@dataclass(frozen=True)
class Job:
    """A tar to be written: of which one, with which texts, and under which path."""

    tar: Path
    texts: OwnFile
    to: Path


def write_tars(
    tars: list[Path], texts: Texts, folder: Path, spread: Callable[..., Iterable[tuple[int, int]]] = map
) -> tuple[int, int]:
    """Write a tar for each of `tars`, and sizes.json; return the number of samples, and of captions that are `txt`.

    `spread` is `map`, or maps a function over jobs in several processes.
    """
    _require_distinct(tars)
    work = folder / "work"
    work.mkdir()
    written = [*spread(write_tar, _jobs(tars, texts, folder, work))]
    work.rmdir()
    sizes = {tar.name: samples for tar, (samples, _) in zip(tars, written, strict=True)}
    (folder / SIZES).write_text(json.dumps(sizes, indent=1) + "\n", "utf-8")
    samples, captions = (sum(each) for each in zip(*written, strict=True))
    return samples, captions


def write_tar(job: Job) -> tuple[int, int]:
    """Write the samples of a tar that have a text; return their number, and that of captions."""
    rows = _take(job.texts)
    texts = {offset: (text, caption) for offset, text, caption in zip(*rows.to_pydict().values(), strict=True)}
    with (
        job.tar.open("rb") as file,
        mapped(file) as data,
        writing(job.to) as out,
    ):
        for key, files in by_key(members(data)):
            image = image_of(files)
            if image is None or files[image].offset not in texts:
                continue
            for extension, member in files.items():
                if extension not in (TEXT, ALT):
                    out.add(member.name, data[member.offset : member.offset + member.size])
            for extension, text in _members(*texts[files[image].offset]):
                out.add(f"{key}.{extension}", text.encode())
    return rows.num_rows, rows.num_rows - rows["caption"].null_count


def _jobs(tars: list[Path], texts: Texts, folder: Path, work: Path) -> Iterator[Job]:
    """Yield a job for each tar, once its texts are written to a file in `work`."""
    for number, (_, rows) in enumerate(joined_images(tars, texts.pairs(), PAIRS, work)):
        captions = texts.draw.of(texts.captions, rows["uid"].combine_chunks())
        rows = rows.select(["offset", "text"]).append_column("caption", captions)
        path = work / f"{number}.texts"
        with pa.ipc.new_file(str(path), rows.schema) as file:
            file.write_table(rows)
        yield Job(tars[number], as_written(path), folder / tars[number].name)


def _take(file: OwnFile) -> pa.Table:
    """Return the rows in a file, and remove it."""
    rows = open_arrow(file).read_all()
    file.path.unlink()
    return rows


def _members(text: str, caption: str | None) -> list[tuple[str, str]]:
    """Return the extensions and contents of the texts of a sample."""
    return [(TEXT, text)] if caption is None else [(TEXT, caption), (ALT, text)]


def _require_distinct(tars: list[Path]) -> None:
    name, number = Counter(tar.name for tar in tars).most_common(1)[0]
    if number > 1:
        raise InputError(f"{number} tars are called {name}; give tars of one download")
