"""Readers: how a batch of texts, or of entries, becomes symbols. Each rule set has one or two.

Under `meta` an entry padded on both sides is a sequence of words between single spaces, any other one a sequence of
characters of the padded text; so each text is read twice where there are entries of both kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from curation.kernels.trie.symbols import read_symbols, unnormalised
from curation.kernels.trie.words import read_characters, read_words
from metadata.rules.characters import CharacterTable
from metadata.rules.text import normalise
from runtime.arrow.buffers import string_buffers
from runtime.errors import InputError

BLOCK_BYTES = 1 << 15  # texts read at a time: their symbols stay in the processor's second cache
BLOCK_TEXTS = 1 << 12


class Reader(NamedTuple):
    """A kernel of `kernels.symbols`, and what it is told when it reads texts and when it reads entries."""

    read: Callable
    of_texts: Any
    of_entries: Any


class Symbols(NamedTuple):
    """The symbols of the texts first to last, as the kernels lay them out."""

    first: int
    last: int
    lows: np.ndarray
    highs: np.ndarray
    begins: np.ndarray
    bounds: np.ndarray
    count: int


def readers(rules: str, table: CharacterTable | None) -> tuple[Reader, ...]:
    """Return the readers of a rule set: one for `unicode`, words and characters for `meta`."""
    if rules == "meta":
        of_texts, of_entries = (True, np.zeros(0, np.uint8)), (False, np.zeros(0, np.uint8))
        return Reader(read_words, of_texts, of_entries), Reader(read_characters, of_texts, of_entries)
    pages = (table.pages, table.classes, table.twins)
    return (Reader(read_symbols, pages, pages),)


def normal_form(texts: pa.Array, table: CharacterTable) -> pa.Array:
    """Return the texts as the `unicode` rules read them; only those that may differ are touched."""
    offsets, data = string_buffers(texts)
    unsure = np.empty(len(texts), bool)
    unnormalised(offsets, data, table.pages, table.order, unsure)
    if not unsure.any():
        return texts
    try:
        strings = texts.filter(pa.array(unsure)).to_pylist()
    except UnicodeDecodeError as error:
        raise InputError(f"a string holds bytes that are no UTF-8 ({error}); clean or drop it first") from None
    forms = pa.array([None if t is None else normalise(t) for t in strings], texts.type)
    return _woven(texts, forms, unsure)


def _woven(texts: pa.Array, others: pa.Array, mask: np.ndarray) -> pa.Array:
    """Return the texts, with `others` in their order where the mask is true; runs of either are copied as one."""
    bounds = np.flatnonzero(np.diff(mask, prepend=~mask[:1], append=~mask[-1:])).tolist()
    runs, taken = [], 0
    for begin, end in zip(bounds, bounds[1:], strict=False):
        if mask[begin]:
            runs.append(others.slice(taken, end - begin))
            taken += end - begin
        else:
            runs.append(texts.slice(begin, end - begin))
    return pa.concat_arrays(runs)


def blocks(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (first, last) over all texts, in blocks of about BLOCK_BYTES; a longer text is a block of its own."""
    first, texts = 0, len(offsets) - 1
    while first < texts:
        last = int(np.searchsorted(offsets, offsets[first] + BLOCK_BYTES, "right")) - 1
        last = min(max(last, first + 1), first + BLOCK_TEXTS, texts)
        yield first, last
        first = last


def read_blocks(reader: Reader, offsets: np.ndarray, data: np.ndarray) -> Iterator[Symbols]:
    """Yield the symbols of all texts, block by block; the arrays are used again for the next block."""
    space = _space(0)
    for first, last in blocks(offsets):
        size = _most_symbols(offsets, first, last)
        if size > len(space[0]):
            space = _space(size)
        yield _read(reader.read, reader.of_texts, offsets, data, first, last, space)


def read_entries(reader: Reader, entries: pa.Array) -> tuple[np.ndarray, Symbols]:
    """Return the entries' bytes and their symbols as one block."""
    offsets, data = string_buffers(entries)
    space = _space(_most_symbols(offsets, 0, len(entries)))
    return data, _read(reader.read, reader.of_entries, offsets, data, 0, len(entries), space)


def _read(read, how, offsets, data, first, last, space) -> Symbols:
    bounds = np.empty(last - first + 1, np.int64)
    count = read(offsets, data, first, last, how, *space, bounds)
    return Symbols(first, last, *space, bounds, count)


def _most_symbols(offsets, first, last) -> int:
    """Return how many keys can come of the texts: three a byte (a wrapped mark as characters), three a text."""
    return 3 * int(offsets[last] - offsets[first] + last - first)


def _space(size: int) -> tuple[np.ndarray, ...]:
    return np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
