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

import pyarrow as pa

from curation.by_uid.joined_tars import joined_tars, tars_at
from curation.inputs.files import Input
from curation.run.results import MATCHED_PART, Results
from curation.tars.pictures import MOST_BYTES, TOO_LARGE, Decoded, decoded, flattened
from curation.tars.samples import samples, texts
from runtime.storage.own_files import OwnFile

if TYPE_CHECKING:
    from PIL import Image

NO_TEXT, NO_UID = "no_text", "no_uid"
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
    found = [(str(path), path.stat()) for path in tars_at(paths)]
    return [Input(path, "tar", stat.st_size, stat.st_mtime_ns, file_size=stat.st_size) for path, stat in found]


def with_own_texts(tars: Sequence[Input]) -> Iterator[Tar]:
    """Yield tars with the `txt` of each sample."""
    for tar in tars:
        path = Path(tar.path)
        own = [(text or b"").decode("utf-8", "replace") for text in texts(path)]
        yield Tar(tar, samples(path), [[text] if text.strip() else [] for text in own])


def with_texts_of(run: Results, tars: Sequence[Input], work: Path) -> Iterator[Tar]:
    """Yield tars with all texts that a run matched, before any gate; `work` is a folder for temporary files."""
    found = joined_tars([Path(tar.path) for tar in tars], matched(run), work, most_damaged=1.0)
    for tar, (scanned, rows) in zip(tars, found, strict=True):
        candidates = dict(zip(rows["offset"].to_pylist(), rows["candidates"].to_pylist(), strict=True))
        own = [candidates.get(offset, []) for offset in scanned["offset"].to_pylist()]
        of_each = ([[each[name] for each in some] for some in own] for name in ("text", "language"))
        yield Tar(tar, scanned, *of_each)


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
