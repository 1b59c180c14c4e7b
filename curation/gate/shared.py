"""Work that several rules about a batch share: done for the first of them, and kept while the batch is."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import NamedTuple, TypeVar
from weakref import ref

import numpy as np
import pyarrow as pa

from curation.kernels.url_paths import find_paths
from runtime.arrow.buffers import string_buffers

Given = TypeVar("Given")
Made = TypeVar("Made")


def shared(make: Callable[[Given], Made]) -> Callable[[Given], Made]:
    """Return the function, which keeps what it has last made, as long as what that was made of is alive."""
    last: list[tuple[ref[Given], Made]] = []

    @wraps(make)
    def made(given: Given) -> Made:
        if not last or last[0][0]() is not given:
            last[:] = [(ref(given, lambda _: last.clear()), make(given))]
        return last[0][1]

    return made


class Urls(NamedTuple):
    """The URLs of images: offsets and bytes, and of each where its host begins and where its path ends."""

    offsets: np.ndarray
    data: np.ndarray
    paths: np.ndarray


@shared
def urls_of(batch: pa.RecordBatch) -> Urls:
    """Return the URLs of a batch of images."""
    offsets, data = string_buffers(batch["url"])
    paths = np.empty((batch.num_rows, 2), np.int64)
    find_paths(data, offsets, paths)
    return Urls(offsets, data, paths)
