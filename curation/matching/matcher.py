"""Match texts against the entries of one language, whose trie a Matcher builds and holds as read-only arrays.

`metadata.rules` defines how texts and entries are read as symbols; the loops are in `curation.kernels.trie`. The rules
`unicode` have one reader of symbols: the characters and words of normalised text. The rules `meta` have two readers. An
entry with a space at both ends is read as words between single spaces; any other entry is read as characters of the
padded text. A list with both kinds of entries therefore makes `meta` read each text twice.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.kernels.trie import tables
from curation.kernels.trie.finding import first_steps, look_up, merge_lists, walk
from curation.kernels.trie.symbols import read_characters, read_symbols, read_words, unnormalised
from curation.kernels.trie.tables import NUMBER, Trie, put_edges, put_words
from metadata.entries import strings_digest
from metadata.rules import CharacterTable, Rules, character_table, meta_can_match, meta_entry, normalise
from runtime.argument_types import typed
from runtime.arrow import list_array, string_array, string_buffers
from runtime.errors import InputError
from runtime.storage.arrays import open_arrays, save_arrays

MATCHER_VERSION = 1  # This is the version of the format of saved matchers.
GROUPED_LEVELS = 4  # This many levels of the trie are looked up for all texts of a group at once.


@typed
@dataclass(frozen=True)
class Matcher:
    """Finds the entries of one list in texts; an entry's id is its position in that list."""

    rules: Rules
    digest: str  # digest of the entries
    size: int
    tries: tuple[Trie, ...]  # one for each reader of the rules
    table: CharacterTable | None  # None: the rules are `meta`

    @classmethod
    def build(cls, entries: Iterable[str] | pa.Array, rules: Rules = "unicode") -> Matcher:
        """Return the matcher for a sequence or an Arrow array of strings; InputError for an empty or null entry."""
        entries = valid_entries(entries)
        table = character_table() if rules == "unicode" else None
        groups = _by_reader(entries, table)
        tries = [
            build_trie(strings, positions, len(entries), reader)
            for reader, (strings, positions) in zip(readers(table), groups, strict=True)
        ]
        if rules == "meta":
            tries[1] = tries[1]._replace(borders=_borders(groups[1][0]))
        return cls(rules, strings_digest(entries), len(entries), tuple(tries), table)

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
        header = {"version": MATCHER_VERSION, "rules": self.rules, "digest": self.digest, "size": self.size}
        arrays = dict[str, np.ndarray]()
        for i, trie in enumerate(self.tries):
            arrays |= {f"{name}{i}": array for name, array in trie._asdict().items()}
        if self.table is not None:
            header["unicode"] = unicodedata.unidata_version
            arrays |= {name: getattr(self.table, name) for name in CharacterTable.__dataclass_fields__}
        save_arrays(Path(path), "matcher.json", header, arrays)

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Matcher:
        """Map a saved matcher into memory; InputError if the folder is damaged or has another version."""
        header, arrays = open_arrays(Path(path), "matcher.json", MATCHER_VERSION)
        table = None
        if header["rules"] == "unicode":
            if header["unicode"] != unicodedata.unidata_version:
                raise InputError(
                    f"{path} was built with Unicode {header['unicode']}; this Python has Unicode "
                    f"{unicodedata.unidata_version}; build it again"
                )
            table = CharacterTable(*(arrays[name] for name in CharacterTable.__dataclass_fields__))
        count = sum(name.startswith("vocabulary") for name in arrays)
        tries = []
        for i in range(count):
            tries.append(Trie(**{name: arrays[f"{name}{i}"] for name in Trie._fields}))
        return cls(header["rules"], header["digest"], header["size"], tuple(tries), table)


def _by_reader(entries: pa.Array, table: CharacterTable | None) -> list[tuple[pa.Array, np.ndarray]]:
    """Return, for each reader, the entries that it reads, in the form it needs, and their positions in the list."""
    positions = np.arange(len(entries))
    if table is not None:
        return [(normal_form(entries, table), positions)]
    padded = [meta_entry(entry) for entry in entries.to_pylist()]
    words = np.array([len(p) == len(e) + 2 for p, e in zip(padded, entries.to_pylist(), strict=True)], bool)
    others = [position for position in np.flatnonzero(~words) if meta_can_match(padded[position])]
    characters = pa.array([padded[position] for position in others], pa.large_string())
    return [(entries.filter(pa.array(words)), positions[words]), (characters, np.array(others, np.int64))]


def _borders(padded: pa.Array) -> np.ndarray:
    """Return uint8[256]: 1 for each byte that begins a character, other than a space, at either end of an entry."""
    borders = np.zeros(256, np.uint8)
    ends = set[str]()
    for entry in padded.to_pylist():
        ends.update((entry[0], entry[-1]))
    borders[[character.encode()[0] for character in ends - {" "}]] = 1
    return borders


def _search(trie: Trie, reader: Reader, offsets: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (offsets, ids) of the entries of one trie in all texts; the texts are data[offsets[i]:offsets[i + 1]]."""
    if len(trie.borders):
        reader = reader._replace(of_texts=(True, trie.borders))
    out = np.zeros(len(offsets), np.int64)
    ids = np.empty(16 * len(offsets) + int(trie.sizes[1]) + 100, np.int32)
    stamps = np.zeros(int(trie.sizes[1]), np.int32)  # The system allocates only the pages that are written.
    space = np.empty((3 + GROUPED_LEVELS, 0), np.int64)
    for read in read_texts(reader, offsets, data):
        if read.size + GROUPED_LEVELS > space.shape[1]:
            space = np.empty((3 + GROUPED_LEVELS, 2 * read.size + GROUPED_LEVELS), np.int64)
        codes, positions, buckets = space[:3]
        nodes = space[3:]
        look_up(data, read.lows, read.highs, read.begins, read.size, trie, codes)
        nodes = nodes[: first_steps(codes, read.size, trie, positions, buckets, nodes)]
        ends = out[read.first : read.last + 1]
        text = 0
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
    out_offsets = np.empty_like(offsets)
    out = np.empty(len(ids) + len(other_ids), np.int32)
    merge_lists(offsets, ids, other_offsets, other_ids, out_offsets, out)
    return out_offsets, out


GROUP_BYTES = 1 << 15  # The symbols of this many bytes of texts fit into the processor's L2 cache.
GROUP_TEXTS = 1 << 12

TABLE_LOAD = 0.5  # A fuller hash table is smaller, but slower for missing keys.
MIN_SYMBOLS_OF_CHARACTER_TABLE = 10_000  # Fewer symbols do not justify a table of all characters of three bytes.
HINT_BITS = 16  # The bit filter has this many bits per edge; one in sixteen pairs that are not edges passes it.
_ROOT = 1


class Reader(NamedTuple):
    """A kernel that reads symbols, and the value of its argument `how` for texts and for entries."""

    read: Callable[..., int]
    of_texts: Any
    of_entries: Any


class Symbols(NamedTuple):
    """The symbols of texts[first:last], in the layout that `kernels.trie.symbols` describes."""

    first: int
    last: int
    lows: np.ndarray
    highs: np.ndarray
    begins: np.ndarray
    bounds: np.ndarray
    size: int  # number of keys: the symbols, and one end key per text


def readers(table: CharacterTable | None) -> tuple[Reader, ...]:
    """Return the readers of symbols: one for `unicode`, given its character table; without a table, two for `meta`."""
    if table is None:
        of_texts = (True, np.zeros(0, np.uint8))
        of_entries = (False, np.zeros(0, np.uint8))
        return Reader(read_words, of_texts, of_entries), Reader(read_characters, of_texts, of_entries)
    pages = (table.pages, table.classes, table.twins)
    return (Reader(read_symbols, pages, pages),)


def normal_form(texts: pa.Array, table: CharacterTable) -> pa.Array:
    """Return the texts in the normal form of the `unicode` rules; only texts that may change are normalised."""
    offsets, data = string_buffers(texts)
    unsure = np.empty(len(texts), bool)
    unnormalised(offsets, data, table.pages, table.order, unsure)
    if not unsure.any():
        return texts
    unsure &= texts.is_valid().to_numpy(zero_copy_only=False)
    try:
        strings = texts.filter(pa.array(unsure)).to_pylist()
    except UnicodeDecodeError as error:
        raise InputError(f"a string contains bytes that are not UTF-8 ({error}); clean or drop it first") from None
    forms = pa.array(map(normalise, strings), texts.type)
    return pc.replace_with_mask(texts, pa.array(unsure), forms)


def read_texts(reader: Reader, offsets: np.ndarray, data: np.ndarray) -> Iterator[Symbols]:
    """Yield the symbols (words or characters, as `reader` defines them) of all texts, a group of texts at a time.

    The next group may overwrite all arrays except `bounds`.
    """
    space = _space(0)
    for first, last in _groups(offsets):
        size = _most_symbols(offsets, first, last)
        if size > len(space[0]):
            space = _space(size)
        bounds = np.empty(last - first + 1, np.int64)
        count = reader.read(offsets, data, first, last, reader.of_texts, *space, bounds)
        yield Symbols(first, last, *space, bounds, count)


def read_entries(reader: Reader, entries: pa.Array) -> tuple[np.ndarray, Symbols]:
    """Return the bytes of all entries, and their symbols."""
    offsets, data = string_buffers(entries)
    last = len(entries)
    space = _space(_most_symbols(offsets, 0, last))
    bounds = np.empty(last + 1, np.int64)
    count = reader.read(offsets, data, 0, last, reader.of_entries, *space, bounds)
    return data, Symbols(0, last, *space, bounds, count)


def _groups(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (first, last) for groups of about GROUP_BYTES of texts[first:last]; a longer text is a group of its own."""
    first = 0
    texts = len(offsets) - 1
    while first < texts:
        last = int(np.searchsorted(offsets, offsets[first] + GROUP_BYTES, "right")) - 1
        last = min(max(last, first + 1), first + GROUP_TEXTS, texts)
        yield first, last
        first = last


def _most_symbols(offsets: np.ndarray, first: int, last: int) -> int:
    """Return an upper bound of the keys of texts[first:last]: three per byte and three per text.

    A character can give three keys per byte if it is a wrapped mark that is read as characters.
    """
    return 3 * int(offsets[last] - offsets[first] + last - first)


def _space(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return three int64 arrays for `size` keys: the low and high integer of each key, and the begin of its bytes."""
    return np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)


def valid_entries(entries: Iterable[str] | pa.Array) -> pa.Array:
    """Return the entries in the same order, as one Arrow array of large strings.

    InputError if an entry is null or empty.
    """
    entries = string_array(entries, "entries")
    if entries.null_count:
        position = pc.index(pc.is_null(entries), True).as_py()
        raise InputError(f"the entry at position {position} (from 0) is null, not a text; leave it out")
    empty = pc.index(pc.utf8_length(entries), pa.scalar(0, pa.int32())).as_py() if len(entries) else -1
    if empty >= 0:
        raise InputError(f"the entry at position {empty} (from 0) is an empty text; leave it out")
    return entries


class Vocabulary(NamedTuple):
    """The distinct symbols, numbered from 1 in the order of first appearance; 0 is the end of an entry."""

    numbers: np.ndarray  # int64[key]: the number of each symbol that was read
    lows: np.ndarray  # int64[number]: the low integer of the symbol's key
    highs: np.ndarray  # int64[number]: the high integer, with the offset in the pool
    pool: np.ndarray  # uint8: the bytes of the symbols whose keys are hashes


class TriePaths(NamedTuple):
    """The nodes of a trie, numbered from the root, _ROOT; edges[i] leads to node i + 2."""

    edges: np.ndarray  # int64[edge]: parent node << 32 | symbol
    ends: np.ndarray  # int64[entry]: the node at which the entry ends


def build_trie(entries: pa.Array, positions: np.ndarray, size: int, reader: Reader) -> Trie:
    """Return the trie of `entries`, which have the positions `positions` (int64) in a list of `size` entries."""
    data, symbols = read_entries(reader, entries)
    _require_sizes(symbols, size)
    vocabulary = _vocabulary(data, symbols)
    paths = _paths(vocabulary.numbers, symbols.bounds)
    terminal, same = _terminals(paths, positions, size)
    nodes, node_codes, symbol_codes = _codes(paths, terminal, same, len(vocabulary.lows))

    words = _table(len(vocabulary.lows) - 1, tables.WORDS_PER_BUCKET)
    characters = np.zeros(0x10000 if _are_many_characters(symbols) else 0, np.uint32)
    put_words(vocabulary.lows, vocabulary.highs, symbol_codes, words, characters)
    below = paths.edges >> 32 > _ROOT
    parents = paths.edges[below] >> 32
    symbols_of_edges = paths.edges[below] & NUMBER
    keys = (node_codes[parents] & NUMBER) << 32 | symbol_codes[symbols_of_edges] & NUMBER
    edges = _table(len(keys), tables.EDGES_PER_BUCKET)
    hints = np.zeros(HINT_BITS * len(keys) // 8 + 1, np.uint8)
    put_edges(keys, node_codes[2:][below], edges, hints)
    depth = int(np.diff(symbols.bounds).max(initial=1)) - 1
    repeated = same if (same >= 0).any() else same[:0]
    sizes = np.array([nodes, size, depth])
    return Trie(words, vocabulary.pool, edges, hints, repeated, sizes, characters, np.zeros(0, np.uint8))


def _require_sizes(symbols: Symbols, size: int) -> None:
    """Refuse entries that overflow the tables' fields of 24, 29 and 32 bits."""
    highs = symbols.highs[: symbols.size]
    too_long = (highs >= tables.HASHED) & (highs & tables.MAX_SYMBOL_BYTES == tables.MAX_SYMBOL_BYTES)
    if symbols.size + size > NUMBER or too_long.any():
        raise InputError(
            f"{size:,} entries of {symbols.size:,} words are too many, or one of the words has 16 MB; leave out some"
        )


def _vocabulary(data: np.ndarray, symbols: Symbols) -> Vocabulary:
    """Return the vocabulary of the symbols; equal numbers mean equal bytes, not only equal hashes."""
    keys = np.zeros((symbols.size + 1, 2), np.int64)  # Row 0 is the key of an end.
    keys[1:, 0] = symbols.lows[: symbols.size]
    keys[1:, 1] = symbols.highs[: symbols.size]
    hashed = np.flatnonzero(keys[:, 1] >= tables.HASHED)
    begins = symbols.begins[hashed - 1]
    bounds = np.stack((begins, begins + (keys[hashed, 1] & tables.MAX_SYMBOL_BYTES)), axis=1).ravel()
    slices = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), max(len(bounds) - 1, 0), [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    )
    words = slices.take(pa.array(np.arange(0, len(slices), 2))).dictionary_encode()  # Odd slices lie between words.
    exact = keys.copy()
    exact[hashed, 0] = words.indices.to_numpy()
    distinct = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(exact), [None, pa.py_buffer(exact)])
    numbers = distinct.dictionary_encode().indices.to_numpy().astype(np.int64)
    first = np.empty(numbers.max() + 1, np.int64)
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]
    _, offset_buffer, pool = words.dictionary.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)
    keys[hashed, 1] |= offsets[exact[hashed, 0]] << 24
    return Vocabulary(numbers[1:], keys[first, 0], keys[first, 1], np.frombuffer(pool, np.uint8).copy())


def _paths(numbers: np.ndarray, bounds: np.ndarray) -> TriePaths:
    """Return the nodes of all prefixes of entries, numbered level by level."""
    lengths = np.diff(bounds) - 1
    ends = np.full(len(bounds) - 1, _ROOT)
    edges = [np.empty(0, np.int64)]
    last = _ROOT
    level = 0
    going = np.flatnonzero(lengths)
    while len(going):
        level_edges, children = np.unique(ends[going] << 32 | numbers[bounds[going] + level], return_inverse=True)
        edges.append(level_edges)
        ends[going] = last + 1 + children
        last += len(level_edges)
        level += 1
        going = going[lengths[going] > level]
    return TriePaths(np.concatenate(edges), ends)


def _terminals(paths: TriePaths, positions: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of the first entry that ends at each node, and of the next entry at the same node.

    The first array is per node, the second per entry; -1 stands for no entry.
    """
    terminal = np.full(len(paths.edges) + 2, -1)
    same = np.full(size, -1, np.int32)
    order = np.argsort(paths.ends, kind="stable")
    order = order[paths.ends[order] > _ROOT]  # Entries that end at the root have no symbol.
    is_first = np.diff(paths.ends[order], prepend=_ROOT) != 0
    terminal[paths.ends[order[is_first]]] = positions[order[is_first]]
    again = np.flatnonzero(~is_first)
    same[positions[order[again - 1]]] = positions[order[again]]
    return terminal, same


def _codes(
    paths: TriePaths, terminal: np.ndarray, same: np.ndarray, symbols: int
) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the highest node number, and the codes of all nodes and all symbols, as `kernels.trie.tables` has them."""
    parents = paths.edges >> 32
    symbols_of_edges = paths.edges & NUMBER
    below = parents > _ROOT
    ends = np.flatnonzero(terminal >= 0)
    inner = np.flatnonzero(terminal[2:] < 0) + 2
    node_codes = np.zeros(len(terminal), np.int64)
    symbol_codes = np.zeros(symbols, np.int64)
    node_codes[ends] = terminal[ends] + 1 | np.where(same[terminal[ends]] >= 0, tables.SHARED, 0)
    node_codes[inner] = len(same) + 1 + np.arange(len(inner))
    node_codes[parents[below]] |= tables.OPENS
    symbol_codes[symbols_of_edges[below]] |= tables.FOLLOWS
    symbol_codes[symbols_of_edges[~below]] |= node_codes[2:][~below]
    others = np.flatnonzero(symbol_codes[1:] & NUMBER == 0) + 1
    nodes = len(same) + len(inner)
    symbol_codes[others] |= nodes + 1 + np.arange(len(others))
    return nodes, node_codes, symbol_codes


def _are_many_characters(symbols: Symbols) -> bool:
    """Say whether most symbols are characters of three bytes, such as Chinese, Japanese or Thai."""
    return (
        symbols.size > MIN_SYMBOLS_OF_CHARACTER_TABLE
        and int((symbols.highs[: symbols.size] == 4 << 56).sum()) * 2 > symbols.size
    )


def _table(keys: int, bucket: int) -> np.ndarray:
    """Return an empty hash table for `keys` keys, `bucket` per bucket; a bucket is one aligned cache line."""
    space = np.zeros((int(keys / (bucket * TABLE_LOAD)) + 2) * tables.BUCKET_SIZE, np.int64)
    begin = -space.ctypes.data % 64 // 8
    return space[begin : len(space) - tables.BUCKET_SIZE + begin]
