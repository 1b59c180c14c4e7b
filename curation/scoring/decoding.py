"""Decode the images of tars in threads, a few batches ahead of the model, in an order that no thread decides."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from curation.hashing.pictures import MOST_BYTES, TOO_LARGE, Decoded, decoded, flattened
from curation.scoring.texts import Tar

if TYPE_CHECKING:
    from PIL import Image

NO_TEXT, NO_UID = "no_text", "no_uid"
AHEAD = 2  # batches that are decoded while the model works
Prepare = Callable[["Image.Image"], Any]


class Batch(NamedTuple):
    """Some samples of a tar, from `begin` on, each as the model takes it or with the reason why it is not there."""

    tar: Tar
    begin: int
    images: list[Decoded[Any]]


@contextmanager
def threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool of threads, which does not begin what is left at the end."""
    pool = ThreadPoolExecutor(number)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def batches(tars: Iterable[Tar], size: int, prepare: Prepare, pool: ThreadPoolExecutor) -> Iterator[Batch]:
    """Yield the samples of each tar, in order, `size` at a time; of a tar without samples an empty batch."""
    begun: deque[tuple[Tar, int, list[Future]]] = deque()
    for tar, rows in _parts(tars, size):
        begun.append((tar, rows.start, [pool.submit(_prepared, tar, row, prepare) for row in rows]))
        if len(begun) > AHEAD:
            yield _finished(*begun.popleft())
    while begun:
        yield _finished(*begun.popleft())


def _parts(tars: Iterable[Tar], size: int) -> Iterator[tuple[Tar, range]]:
    for tar in tars:
        rows = range(tar.samples.num_rows)
        for begin in range(0, max(len(rows), 1), size):
            yield tar, rows[begin : begin + size]


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
