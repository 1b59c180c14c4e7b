"""Check entries, and read entries and texts as the sequences of symbols that a trie compares.

The rules `unicode` have one reader of symbols: the characters and words of normalised text. The rules `meta` have two
readers. An entry with a space at both ends is read as words between single spaces; any other entry is read as
characters of the padded text. A list with both kinds of entries therefore makes `meta` read each text twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.kernels.trie.symbols import read_symbols, unnormalised
from curation.kernels.trie.words import read_characters, read_words
from metadata.rules.characters import CharacterTable
from metadata.rules.text import RULES, normalise
from runtime.arrow.buffers import string_array, string_buffers
from runtime.errors import InputError

GROUP_BYTES = 1 << 15  # of texts that are read at a time: their symbols stay in the processor's second cache
GROUP_TEXTS = 1 << 12


class Reader(NamedTuple):
    """A kernel that reads symbols, and its argument `how` for texts and for entries."""

    read: Callable[..., int]
    of_texts: Any
    of_entries: Any


class Symbols(NamedTuple):
    """The symbols of the texts first to last, laid out as `kernels.trie.symbols` says."""

    first: int
    last: int
    lows: np.ndarray
    highs: np.ndarray
    begins: np.ndarray
    bounds: np.ndarray
    size: int  # number of keys: symbols, and an end after each text


def readers(table: CharacterTable | None) -> tuple[Reader, ...]:
    """Return the reader of `unicode`, given its table of characters; without a table, those of words and characters."""
    if table is None:
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


def read_texts(reader: Reader, offsets: np.ndarray, data: np.ndarray) -> Iterator[Symbols]:
    """Yield the symbols of all texts, group by group; the arrays are used again for the next group."""
    space = _space(0)
    for first, last in _groups(offsets):
        size = _most_symbols(offsets, first, last)
        if size > len(space[0]):
            space = _space(size)
        bounds = np.empty(last - first + 1, np.int64)
        count = reader.read(offsets, data, first, last, reader.of_texts, *space, bounds)
        yield Symbols(first, last, *space, bounds, count)


def read_entries(reader: Reader, entries: pa.Array) -> tuple[np.ndarray, Symbols]:
    """Return the entries' bytes and their symbols."""
    offsets, data = string_buffers(entries)
    last = len(entries)
    space, bounds = _space(_most_symbols(offsets, 0, last)), np.empty(last + 1, np.int64)
    count = reader.read(offsets, data, 0, last, reader.of_entries, *space, bounds)
    return data, Symbols(0, last, *space, bounds, count)


def _groups(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (first, last) over all texts, in groups of about GROUP_BYTES; a longer text is a group of its own."""
    first, texts = 0, len(offsets) - 1
    while first < texts:
        last = int(np.searchsorted(offsets, offsets[first] + GROUP_BYTES, "right")) - 1
        last = min(max(last, first + 1), first + GROUP_TEXTS, texts)
        yield first, last
        first = last


def _most_symbols(offsets: np.ndarray, first: int, last: int) -> int:
    """Return how many keys the texts can give: three a byte (a wrapped mark as characters), three a text."""
    return 3 * int(offsets[last] - offsets[first] + last - first)


def _space(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return room for the two integers of so many keys, and for where their bytes begin."""
    return np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)


def require_rules(rules: str) -> None:
    """Refuse a name that is not one of a rule set."""
    if rules not in RULES:
        raise InputError(f"rules are {rules!r}; there are {' and '.join(RULES)}")


def require_entries(entries: Iterable[str] | pa.Array) -> pa.Array:
    """Return the entries as an Arrow array; refuse a list with a null or an empty entry."""
    entries = string_array(entries, "entries")
    if entries.null_count:
        position = pc.index(pc.is_null(entries), True).as_py()
        raise InputError(f"entry {position} is null; each entry must be a string: leave it out")
    empty = pc.index(pc.utf8_length(entries), pa.scalar(0, pa.int32())).as_py() if len(entries) else -1
    if empty >= 0:
        raise InputError(f"entry {empty} is empty; each entry must hold a character: leave it out")
    return entries
