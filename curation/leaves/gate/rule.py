"""The dataclass of a policy's rule, tables of words for rules, and the work that several rules about a batch share.

The rules themselves are in `image_rules`, `text_rules`, `personal_data` and `policies`. Tables of words and phrases are
looked up by hash in kernels: `kernels.texts` has the same arithmetic. Shared work is done for the first rule that asks,
and kept while the batch is.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
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
    """A row of a table of rules: what the rule removes, `N` being its number.

    `check` of a rule over IMAGES gets a MATCHED batch, and returns which images it removes. Of one over TEXTS it gets
    their structs, the row of each one's image and the batch, and returns which texts it removes. What a rule that
    `is_silent` would remove is never written down.
    """

    name: str
    scope: str
    removes: str
    check: Callable[..., np.ndarray] | None = None
    numbers: tuple[int, int] | None = None  # the least and the most; None: it takes no number
    is_recommended: bool = False
    recommended: int | None = None  # its number then
    is_silent: bool = False

    @property
    def form(self) -> str:
        """The rule in the form in which a user gives it."""
        return self.name if self.numbers is None else f"{self.name}:N"


def numbered(row: Rule, numbers: tuple[int, int], recommended: int | None = None) -> Rule:
    """Return a rule that takes a number from the first to the last of `numbers`."""
    is_recommended = recommended is not None
    return replace(row, numbers=numbers, recommended=recommended, is_recommended=is_recommended)


class WordTable(NamedTuple):
    """An open table: the key of each place, 0 where it is empty, and its bits."""

    keys: np.ndarray
    bits: np.ndarray

    @classmethod
    def of(cls, bits: Mapping[int, int]) -> WordTable:
        """Return the table of keys with their bits, at most half full."""
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
    """Return the hash of a phrase, given those of its words."""
    key = 0
    for word in words:
        key = key * int(SPREAD) + word & _ALL
    return key


def listed(name: str) -> list[dict[str, str]]:
    """Return the rows of a table of this package."""
    return [*csv.DictReader(files("curation.leaves.gate").joinpath(name).read_text("utf-8").splitlines())]


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
