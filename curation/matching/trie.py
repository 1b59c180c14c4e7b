"""Build the trie of a list of entries."""

import numpy as np
import pyarrow as pa

from curation.kernels.trie import building
from curation.kernels.trie.keys import HASHED, MOST_BYTES
from curation.kernels.trie.tables import EDGES, LINE, NUMBER, WORDS, Trie
from curation.matching.symbols import Reader, Symbols, read_entries
from runtime.errors import InputError

LOAD = 0.5  # share of a hash table that is used; fuller tables are smaller, and slower where a key is missing
MANY = 10_000  # symbols from which on a table of all characters of three bytes is not too large
HINT_BITS = 16  # for each edge: of the pairs that are no edge, one in sixteen is taken for one


def build_trie(entries: pa.Array, positions: np.ndarray, size: int, reader: Reader) -> Trie:
    """Return the trie of `entries`, which stand at `positions` (int64) of a list of `size` entries."""
    data, symbols = read_entries(reader, entries)
    _require_sizes(symbols, size)
    vocabulary, pool, numbers, distinct = _vocabulary(data, symbols)
    edges, terminal, same, nodes = _paths(numbers, symbols.bounds, positions, size)
    node_codes, symbol_codes = np.zeros(nodes + 1, np.int64), np.zeros(distinct + 1, np.int64)
    all_nodes = building.renumber_nodes(terminal[: nodes + 1], same, size, node_codes)
    building.mark_nodes(edges, node_codes, symbol_codes)
    building.renumber_symbols(edges, node_codes, all_nodes, symbol_codes)

    final_vocabulary = _table(distinct, WORDS)
    characters = np.zeros(0x10000 if _are_many_characters(symbols) else 0, np.uint32)
    building.renumber_vocabulary(vocabulary, symbol_codes, final_vocabulary, characters)
    count = _edges_below_root(edges)
    final_edges, hints = _table(count, EDGES), np.zeros(HINT_BITS * count // 8 + 1, np.uint8)
    building.renumber_edges(edges, node_codes, symbol_codes, final_edges, hints)
    depth = int(np.diff(symbols.bounds).max(initial=1)) - 1
    sizes = np.array([all_nodes, size, depth])
    repeated = same if (same >= 0).any() else same[:0]
    return Trie(final_vocabulary, pool, final_edges, hints, repeated, sizes, characters, np.zeros(0, np.uint8))


def _require_sizes(symbols: Symbols, size: int) -> None:
    """Refuse what the tables' fields of 24, 29 and 32 bits do not hold."""
    highs = symbols.highs[: symbols.size]
    if symbols.size + size > NUMBER or np.any((highs >= HASHED) & (highs & MOST_BYTES == MOST_BYTES)):
        raise InputError(
            f"{size:,} entries of {symbols.size:,} words, or a word among them of 16 MB, are too many; drop some"
        )


def _vocabulary(data: np.ndarray, symbols: Symbols) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return the vocabulary by first appearance, its pool, each symbol's number, and how many are distinct."""
    vocabulary = _table(symbols.size, WORDS)
    pool = np.empty(len(data), np.uint8)
    numbers = np.empty(symbols.size, np.int64)
    distinct, used = building.number_symbols(
        data, symbols.lows, symbols.highs, symbols.begins, symbols.size, vocabulary, pool, numbers
    )
    return vocabulary, pool[:used].copy(), numbers, distinct


def _paths(
    numbers: np.ndarray, bounds: np.ndarray, positions: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return edges, the entry of each node, the next entry with the same symbols, and the number of nodes."""
    edges = _table(len(numbers), EDGES)
    terminal = np.full(len(numbers) + 2, -1, np.int64)
    same = np.full(size, -1, np.int32)
    nodes = building.insert_entries(numbers, bounds, positions, edges, terminal, same)
    return edges, terminal, same, nodes


def _are_many_characters(symbols: Symbols) -> bool:
    """Return whether the symbols are mostly of three bytes, as those of Chinese, Japanese and Thai are."""
    return symbols.size > MANY and int((symbols.highs[: symbols.size] == 4 << 56).sum()) * 2 > symbols.size


def _edges_below_root(edges: np.ndarray) -> int:
    return int((edges.reshape(-1, LINE)[:, :EDGES] >> 32 > 1).sum())


def _table(keys: int, bucket: int) -> np.ndarray:
    """Return an empty table for so many keys, `bucket` in a bucket; buckets are cache lines, in a mapped file too."""
    space = np.zeros((int(keys / (bucket * LOAD)) + 2) * LINE, np.int64)
    begin = -space.ctypes.data % 64 // 8
    return space[begin : len(space) - LINE + begin]
