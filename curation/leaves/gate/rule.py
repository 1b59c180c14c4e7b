"""The dataclass of a policy's rule, tables of words for rules, and results that several rules about a batch share.

The rules themselves are in `rules`, `mending`, `personal_data` and `policies`. Kernels look up words and
phrases by hash; `kernels.texts` has the same arithmetic. A shared result is computed for the first rule that needs it,
and cached as long as the batch exists.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from importlib.resources import files
from typing import NamedTuple, TypeVar
from weakref import ref

import numpy as np
import pyarrow as pa

from curation.kernels.texts import BASIS, PLACES, PRIME, SPREAD
from curation.kernels.url_paths import find_paths
from runtime.arrow import string_buffers

IMAGES, TEXTS, RUN = "images", "texts", "run"

_ALL = (1 << 64) - 1

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Rule:
    """A rule of a policy: `removes` says what the rule removes, where `N` stands for its number, `NAMES` for its names.

    `check` of a rule over IMAGES takes a MATCHED batch, and returns a mask, bool[image], of the images to remove.
    `check` of a rule over TEXTS takes the structs of texts, the row of each text's image and the batch; it returns a
    mask, bool[text], of the texts to remove. If the rule has a number, `check` takes it as `number`. What an
    `is_silent` rule would remove is never written down.
    """

    name: str
    scope: str
    removes: str
    check: Callable[..., np.ndarray] | None = None
    numbers: tuple[int, int] | None = None  # the smallest and the largest number; None: it takes no number
    names: tuple[str, ...] = ()  # those of which it takes some instead of a number, with commas between
    recommended: bool | int = False  # for a rule with a number, the number that is recommended
    is_silent: bool = False

    @property
    def form(self) -> str:
        """The rule as a user writes it, such as `svg`, `min_words:N` or `license:NAMES`."""
        return f"{self.name}:{'NAMES' if self.names else 'N'}" if self.numbers or self.names else self.name


class WordTable(NamedTuple):
    """A hash table with open addressing: the key in each slot, 0 if the slot is empty, and the flags of the key."""

    keys: np.ndarray
    bits: np.ndarray

    @classmethod
    def of(cls, bits: Mapping[int, int]) -> WordTable:
        """Return a table of `bits`, flags by key, at most half full; ValueError for more keys than a table may have."""
        places = 1 << max(4, (2 * len(bits) - 1).bit_length())
        if places > PLACES:
            raise ValueError(f"{len(bits)} words are more than a table has place for")
        table = cls(np.zeros(places, np.uint64), np.zeros(places, np.uint8))
        for key, own in bits.items():
            place = (key * int(SPREAD) & _ALL) >> 48 & (places - 1)
            while table.keys[place] != 0:
                place = (place + 1) & (places - 1)
            table.keys[place], table.bits[place] = key, own
        return table


def word_key(units: Iterable[int]) -> int:
    """Return the hash of a word's bytes or characters."""
    key = int(BASIS)
    for unit in units:
        key = (key ^ unit) * int(PRIME) & _ALL
    return key


def phrase_key(words: Iterable[int]) -> int:
    """Return the hash of a phrase, given the hashes of its words."""
    key = 0
    for word in words:
        key = key * int(SPREAD) + word & _ALL
    return key


def listed(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of this package, each as a dict by column."""
    return [*csv.DictReader(files("curation.leaves.gate").joinpath(name).read_text("utf-8").splitlines())]


def shared(make: Callable[[Given], Made]) -> Callable[[Given], Made]:
    """Return `make` with a cache of its last result, which is dropped when the argument of that call is deleted."""
    last: list[tuple[ref[Given], Made]] = []

    @wraps(make)
    def made(given: Given) -> Made:
        if not last or last[0][0]() is not given:
            last[:] = [(ref(given, lambda _: last.clear()), make(given))]
        return last[0][1]

    return made


class Urls(NamedTuple):
    """The URLs of images: the offset of each, the bytes of all (`data`), and `paths`.

    paths: int64[image, 2], the begin of the host and the end of the path in `data`.
    """

    offsets: np.ndarray
    data: np.ndarray
    paths: np.ndarray


@shared
def urls_of(batch: pa.RecordBatch) -> Urls:
    """Return the URLs of a MATCHED batch, with the bounds of their hosts and paths."""
    offsets, data = string_buffers(batch["url"])
    paths = np.empty((batch.num_rows, 2), np.int64)
    find_paths(data, offsets, paths)
    return Urls(offsets, data, paths)
