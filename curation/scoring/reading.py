"""Read tars for a model: the texts of their images, and the images, decoded in threads a few batches ahead.

The texts come from the tars or from the matched images of a run. The order of samples does not depend on the threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from curation.by_uid.joined_tars import Scan, join_samples, matched_images, scan
from curation.by_uid.rows import RowStream
from curation.inputs.files import Input
from curation.run.results import MATCHED_PART, Results
from curation.schemas import TRAINED_TEXTS
from curation.tars.pictures import MOST_BYTES, TOO_LARGE, Decoded, decoded, flattened
from curation.tars.samples import samples, texts
from curation.tars.sources import local_tars_at
from runtime.engine.interface import Engine
from runtime.errors import AGAIN
from runtime.storage.own_files import OwnFile, checksums_in, tally
from runtime.storage.parquet import part_writer, read_table
from runtime.storage.paths import make_folder
from runtime.tallies import Tallies

if TYPE_CHECKING:
    from PIL import Image

NO_TEXT, NO_UID = "no_text", "no_uid"
TEXTS, TEXTS_ROWS = pa.schema([TRAINED_TEXTS]), 1 << 16  # a row a sample of a tar, and rows of a row group
AHEAD = 2  # batches that are decoded while the model works
Prepare = Callable[["Image.Image"], Any]


class Tar(NamedTuple):
    """A tar, and the texts of each of its samples with their languages, where these are known."""

    source: Input
    samples: pa.RecordBatch  # of SAMPLES
    texts: list[list[str]]
    languages: list[list[str]] | None = None


class Batch(NamedTuple):
    """Some samples of a tar, from `begin` on, each as the model takes it or with the reason why it is not there."""

    tar: Tar
    begin: int
    images: list[Decoded[Any]]


def find(paths: Sequence[str]) -> list[Input]:
    """Return the tars that files, folders and globs name, by path."""
    return local_tars_at(paths)


def with_own_texts(tars: Sequence[Input]) -> Iterator[Tar]:
    """Yield tars with the `txt` of each sample."""
    for tar in tars:
        path = Path(tar.path)
        own = [(text or b"").decode("utf-8", "replace") for text in texts(path)]
        yield Tar(tar, samples(path), [[text] if text.strip() else [] for text in own])


def with_texts_of(run: Results, tars: Sequence[Input], work: Path, engine: Engine) -> Iterator[Tar]:
    """Return tars with all texts that a run matched, before any gate; `work` is a folder for temporary files."""
    files, sizes = scan(engine, tars, work / "scans", most_damaged=1.0)
    images, folder = matched_images(matched(run), run.facts["rows"]["matched"]), make_folder(work / "texts")
    write = partial(_write_texts, files=files, sizes=sizes, folder=folder)
    checksums = checksums_in(join_samples(files, sizes, [images]).write(engine, write))
    own = [OwnFile(folder / name, checksum, AGAIN) for name, checksum in checksums.items()]
    return (_tar(*each) for each in zip(tars, files, own, strict=True))


def _write_texts(
    number: int, stream: RowStream, files: Sequence[OwnFile], sizes: Sequence[int], folder: Path
) -> Tallies:
    """Write the texts of the samples of a tar, null of those that have none."""
    path, tallies = folder / f"{number:05}.parquet", Tallies()
    with part_writer(path, TEXTS, TEXTS_ROWS) as writer:
        for samples, known in Scan(number, files[number], sizes[number], stream).read():
            at = np.full(samples.num_rows, -1)
            texts = pa.nulls(0, TRAINED_TEXTS.type)
            if known is not None:
                at[known["row"].to_numpy()] = np.arange(known.num_rows)
                texts = known[TRAINED_TEXTS.name]
            writer.write(pa.RecordBatch.from_arrays([texts.take(pa.array(at, mask=at < 0))], schema=TEXTS))
    tally(tallies, path, writer.checksum)
    return tallies


def _tar(tar: Input, scanned: OwnFile, texts: OwnFile) -> Tar:
    samples, own = read_table(scanned), read_table(texts)[TRAINED_TEXTS.name].to_pylist()
    columns = [column.combine_chunks() for column in samples.columns]
    of_each = ([[text[name] for text in some or ()] for some in own] for name in ("text", "language"))
    return Tar(tar, pa.RecordBatch.from_arrays(columns, schema=samples.schema), *of_each)


def matched(run: Results) -> list[OwnFile]:
    """Return the files of all images that a run matched."""
    return run.files(MATCHED_PART)


@contextmanager
def threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of threads, which at the end drops work that has not begun."""
    pool = ThreadPoolExecutor(number)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def batches(tars: Iterable[Tar], size: int, prepare: Prepare, pool: ThreadPoolExecutor) -> Iterator[Batch]:
    """Yield the samples of each tar, in order, `size` at a time; a tar without samples gives an empty batch."""
    begun: deque[tuple[Tar, int, list[Future]]] = deque()
    for tar in tars:
        rows = range(tar.samples.num_rows)
        for begin in range(0, max(len(rows), 1), size):
            images = [pool.submit(_prepared, tar, row, prepare) for row in rows[begin : begin + size]]
            begun.append((tar, begin, images))
            if len(begun) > AHEAD:
                yield _finished(*begun.popleft())
    while begun:
        yield _finished(*begun.popleft())


def _finished(tar: Tar, begin: int, images: list[Future]) -> Batch:
    return Batch(tar, begin, [image.result() for image in images])


def _prepared(tar: Tar, row: int, prepare: Prepare) -> Decoded[Any]:
    uid, offset, size = (tar.samples[name][row].as_py() for name in ("uid", "offset", "size"))
    if uid is None:
        return Decoded(NO_UID)
    if not tar.texts[row]:
        return Decoded(NO_TEXT)
    if size > MOST_BYTES:
        return Decoded(TOO_LARGE)
    with open(tar.source.path, "rb") as file:
        file.seek(offset)
        return decoded(file.read(size), partial(_seen, prepare=prepare))


def _seen(image: Image.Image, prepare: Prepare) -> Any:
    """Return an image as the model takes it."""
    return prepare(flattened(image).convert("RGB"))
