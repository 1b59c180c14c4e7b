"""Remember the sum of the rows of each word that a text has held: most words have come before.

A table is five arrays and the vectors behind them. `slots` int64 [2^k, 4] holds a word's key (two integers, see
`kernels.trie.symbols`), the number of its sum, and where its bytes begin in `letters` uint8, if the key does not hold
them. `hashes` int64 has the hash of each word, -1 for a label; `used` int64 [2] the numbers of sums and of letters.
Sum 0 is that of the end of sentence. Behind the sums that are remembered there is one for each word read at a time, for
words that are too long to be remembered.
"""

from typing import NamedTuple

import numpy as np

from curation.kernels.fasttext.ngrams import Sums, add_word
from curation.kernels.fasttext.word_rows import LONGEST, slot_of
from curation.kernels.trie.symbols import HASHED
from runtime.kernels import inline, lean


class WordSums(NamedTuple):
    """The table of words."""

    slots: np.ndarray
    letters: np.ndarray
    hashes: np.ndarray
    used: np.ndarray
    sums: Sums


@inline
def clear(sums, i):
    """Make sum i the sum of no rows."""
    sums.sizes[i], sums.norms[i] = 0, 0.0
    for k in range(sums.vectors.shape[1]):
        sums.vectors[i, k] = 0


@lean
def forget_if_full(table, most, coming):
    """Forget all words, unless so many more fit into a table that holds `most`."""
    if table.used[0] + coming > most or table.used[1] + coming * LONGEST > len(table.letters):
        for slot in range(len(table.slots)):
            table.slots[slot, 1] = 0
        table.used[0], table.used[1] = 1, 0


@lean
def sum_of_word(words, rows, data, begin, size, low, high, waiting, table):
    """Return the number of the sum of a word that the table may hold; a new word is added to it."""
    slots, used = table.slots, table.used
    slot = slot_of(slots, table.letters, data, begin, size, low, high)
    if slots[slot, 1] == 0:
        number = used[0]
        used[0] += 1
        clear(table.sums, number)
        table.hashes[number] = add_word(words, rows, data, begin, begin + size, waiting, table.sums, number)
        slots[slot, 0], slots[slot, 1], slots[slot, 2], slots[slot, 3] = low, high, number, used[1]
        if high >= HASHED:
            for i in range(size):
                table.letters[used[1] + i] = data[begin + i]
            used[1] += size
    return slots[slot, 2]


@lean
def sum_of_long_word(words, rows, data, begin, size, waiting, table, number):
    """Return `number` after making it the sum of a word that the table may not hold."""
    clear(table.sums, number)
    table.hashes[number] = add_word(words, rows, data, begin, begin + size, waiting, table.sums, number)
    return number
