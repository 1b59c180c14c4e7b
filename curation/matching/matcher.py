"""Match texts against the entries of one language, whose trie a Matcher holds as read-only arrays.

`metadata.rules` defines how texts and entries are read as symbols; the loops are in `curation.kernels.trie`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.kernels.trie.finding import look_up, merge, step, walk
from curation.kernels.trie.tables import Trie
from curation.matching.trie import Reader, build_trie, normal_form, read_texts, readers, require_entries
from metadata.entries import digest_of
from metadata.rules import CharacterTable, Rules, character_table, meta_can_match, meta_entry
from runtime.arrow import list_array, string_array, string_buffers
from runtime.errors import InputError, typed
from runtime.storage.arrays import open_arrays, save_arrays

VERSION = 1  # of the saved form
LEVELS = 4  # symbols of each walk that are looked up for a whole group of texts at once


@typed
@dataclass(frozen=True)
class Matcher:
    """Finds the entries of one list in texts; an entry's id is its position in that list."""

    rules: Rules
    digest: str  # of the entries
    size: int
    tries: tuple[Trie, ...]  # one for each reader of the rules
    table: CharacterTable | None  # None: the rules are `meta`

    @classmethod
    def build(cls, entries: Iterable[str] | pa.Array, rules: Rules = "unicode") -> Matcher:
        """Return the matcher for a sequence or an Arrow array of strings; InputError for an empty or null entry."""
        entries = require_entries(entries)
        table = character_table() if rules == "unicode" else None
        groups = _by_reader(entries, table)
        tries = [
            build_trie(strings, positions, len(entries), reader)
            for reader, (strings, positions) in zip(readers(table), groups, strict=True)
        ]
        if rules == "meta":
            tries[1] = tries[1]._replace(borders=_borders(groups[1][0]))
        return cls(rules, digest_of(entries), len(entries), tuple(tries), table)

    def find(self, texts: Iterable[str | None] | pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """Return the ids of the entries that each text contains, ascending and distinct, as list<int32>.

        A null text gives null; a ChunkedArray gives a ChunkedArray.
        """
        if isinstance(texts, pa.ChunkedArray):
            return pa.chunked_array([self.find(chunk) for chunk in texts.chunks], pa.list_(pa.int32()))
        texts = string_array(texts, "texts")
        read = texts if self.table is None else normal_form(texts, self.table)
        offsets, data = string_buffers(read)
        results = [
            _search(trie, reader, offsets, data)
            for trie, reader in zip(self.tries, readers(self.table), strict=True)
            if trie.sizes[2]
        ]
        return list_array(*_merged(results, len(texts)), like=texts)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the matcher into a folder, as plain arrays."""
        header = {"version": VERSION, "rules": self.rules, "digest": self.digest, "size": self.size}
        arrays = {f"{name}{i}": array for i, trie in enumerate(self.tries) for name, array in trie._asdict().items()}
        if self.table is not None:
            header["unicode"] = unicodedata.unidata_version
            arrays |= {name: getattr(self.table, name) for name in CharacterTable.__dataclass_fields__}
        save_arrays(Path(path), "matcher.json", header, arrays)

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Matcher:
        """Map a saved matcher into memory; InputError for a damaged folder or one of another version."""
        header, arrays = open_arrays(Path(path), "matcher.json", VERSION)
        table = None
        if header["rules"] == "unicode":
            if header["unicode"] != unicodedata.unidata_version:
                raise InputError(
                    f"{path} was built with Unicode {header['unicode']}; this Python knows "
                    f"{unicodedata.unidata_version}: build it again"
                )
            table = CharacterTable(*(arrays[name] for name in CharacterTable.__dataclass_fields__))
        count = sum(name.startswith("vocabulary") for name in arrays)
        tries = tuple(Trie(*(arrays[f"{name}{i}"] for name in Trie._fields)) for i in range(count))
        return cls(header["rules"], header["digest"], header["size"], tries, table)


def _by_reader(entries: pa.Array, table: CharacterTable | None) -> list[tuple[pa.Array, np.ndarray]]:
    """Return, for each reader, the entries that it reads, in the form it needs, and their positions in the list."""
    positions = np.arange(len(entries))
    if table is not None:
        return [(normal_form(entries, table), positions)]
    padded = [meta_entry(entry) for entry in entries.to_pylist()]
    words = np.array([len(p) == len(e) + 2 for p, e in zip(padded, entries.to_pylist(), strict=True)], bool)
    others = [place for place in np.flatnonzero(~words) if meta_can_match(padded[place])]
    characters = pa.array([padded[place] for place in others], pa.large_string())
    return [(entries.filter(pa.array(words)), positions[words]), (characters, np.array(others, np.int64))]


def _borders(padded: pa.Array) -> np.ndarray:
    """Return uint8[256]: 1 for each byte that begins a character, other than a space, at either end of an entry."""
    borders = np.zeros(256, np.uint8)
    ends = {character for entry in padded.to_pylist() for character in (entry[0], entry[-1])}
    borders[[character.encode()[0] for character in ends - {" "}]] = 1
    return borders


def _search(trie: Trie, reader: Reader, offsets: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (offsets, ids) of the entries of one trie in all texts; the texts are data[offsets[i]:offsets[i + 1]]."""
    if len(trie.borders):
        reader = reader._replace(of_texts=(True, trie.borders))
    out = np.zeros(len(offsets), np.int64)
    ids = np.empty(16 * len(offsets) + int(trie.sizes[1]) + 100, np.int32)
    stamps = np.zeros(int(trie.sizes[1]), np.int32)  # the system allocates only the pages that are written
    space = np.empty((3 + LEVELS, 0), np.int64)
    for read in read_texts(reader, offsets, data):
        if read.size + LEVELS > space.shape[1]:
            space = np.empty((3 + LEVELS, 2 * read.size + LEVELS), np.int64)
        codes, places, buckets, nodes = *space[:3], space[3:]
        look_up(data, read.lows, read.highs, read.begins, read.size, trie, codes)
        nodes = nodes[: step(codes, read.size, trie, places, buckets, nodes)]
        ends, text = out[read.first : read.last + 1], 0
        while (text := walk(codes, nodes, read.bounds, text, trie, stamps, read.first + 1, ids, ends)) < len(ends) - 1:
            ids = np.concatenate([ids, np.empty_like(ids)])
    return out, ids[: out[-1]]


def _merged(results: list[tuple[np.ndarray, np.ndarray]], texts: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (offsets, ids) of the entries in `texts` texts, merged from the `results` of up to two tries."""
    if not results:
        return np.zeros(texts + 1, np.int64), np.zeros(0, np.int32)
    if len(results) == 1 or not len(results[1][1]):
        return results[0]
    (offsets, ids), (other_offsets, other_ids) = results
    out_offsets, out = np.empty_like(offsets), np.empty(len(ids) + len(other_ids), np.int32)
    merge(offsets, ids, other_offsets, other_ids, out_offsets, out)
    return out_offsets, out
