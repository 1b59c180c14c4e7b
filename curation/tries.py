"""Building the trie of a list of entries."""

import numpy as np
import pyarrow as pa

from curation.kernels import trie as kernels
from curation.kernels.trie import Trie
from curation.reading import Reader, Symbols, read_entries

LOAD = 0.5  # of a hash table; fuller tables are smaller, and slower where a key is missing


def build_trie(entries: pa.Array, positions: np.ndarray, size: int, reader: Reader) -> Trie:
    """Return the trie of `entries`, which stand at `positions` (int64) of a list of `size` entries."""
    data, symbols = read_entries(reader, entries)
    vocabulary, pool, numbers, distinct = _vocabulary(data, symbols)
    edges, terminal, same, nodes = _paths(numbers, symbols.bounds, positions, size)
    node_numbers = np.empty(nodes, np.int64)
    all_nodes = kernels.renumber_nodes(terminal[:nodes], size, node_numbers)
    symbol_numbers = np.empty(distinct, np.int64)
    kernels.renumber_symbols(edges, node_numbers, all_nodes, symbol_numbers)

    final_vocabulary = _table(distinct)
    kernels.renumber_vocabulary(vocabulary, symbol_numbers, final_vocabulary)
    final_edges = _table(nodes)
    kernels.renumber_edges(edges, node_numbers, symbol_numbers, final_edges)
    depth = int(np.diff(symbols.bounds).max(initial=1)) - 1
    repeated = same if (same >= 0).any() else same[:0]
    return Trie(final_vocabulary, pool, final_edges, repeated, np.array([all_nodes, size, depth]))


def _vocabulary(data: np.ndarray, symbols: Symbols) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return the vocabulary by first appearance, its pool, each symbol's number, and how many are distinct."""
    vocabulary = _table(symbols.count)
    pool = np.empty(len(data) + 3 * symbols.count, np.uint8)
    numbers = np.empty(symbols.count, np.int64)
    distinct, used = kernels.number_symbols(
        data, symbols.keys, symbols.begins, symbols.ends, symbols.count, vocabulary, pool, numbers
    )
    return vocabulary, pool[:used].copy(), numbers, distinct


def _paths(numbers, bounds, positions, size) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return edges, the entry of each node, the next entry with the same symbols, and the number of nodes."""
    edges = _table(len(numbers))
    terminal = np.full(len(numbers) + 1, -1, np.int64)
    same = np.full(size, -1, np.int32)
    nodes = kernels.insert_entries(numbers, bounds, positions, edges, terminal, same)
    return edges, terminal, same, nodes


def _table(keys: int) -> np.ndarray:
    return np.zeros((int(keys / LOAD) + 1, 2), np.int64)
