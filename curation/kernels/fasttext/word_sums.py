"""Remember the sum of the rows of each word that a text has held: most words have come before.

A table is five arrays and the vectors behind them. `slots` int64 [2^k, 4] holds a word's key (two integers, see
`kernels.trie.symbols`), the number of its sum, and where its bytes begin in `letters` uint8, if the key does not hold
them. `hashes` int64 has the hash of each word, -1 for a label; `used` int64 [2] the numbers of sums and of letters.
Sum 0 is that of the end of sentence. Behind the sums that are remembered there is one for each word read at a time, for
words that are too long to be remembered.
"""

from typing import NamedTuple

import numpy as np

from curation.kernels.fasttext.language_id import AT_ONCE
from curation.kernels.fasttext.ngrams import Sums, add_word, clear
from curation.kernels.fasttext.word_rows import LONGEST, slot_of
from curation.kernels.trie.symbols import HASHED
from runtime.kernels import lean


class WordSums(NamedTuple):
    """The table of words."""

    slots: np.ndarray
    letters: np.ndarray
    hashes: np.ndarray
    used: np.ndarray
    sums: Sums


@lean
def forget_if_full(table, most):
    """Forget all words, unless as many as are read at a time fit into a table that holds `most`."""
    if table.used[0] + AT_ONCE > most or table.used[1] + AT_ONCE * LONGEST > len(table.letters):
        for slot in range(len(table.slots)):
            table.slots[slot, 1] = 0
        table.used[0], table.used[1] = 1, 0


@lean
def sum_of_word(model, data, word, table):
    """Return the number of the sum of a word (begin, size, key) that the table may hold; a new one is added to it."""
    begin, size, low, high = word
    slots, used = table.slots, table.used
    slot = slot_of(slots, table.letters, data, begin, size, low, high)
    if slots[slot, 1] == 0:
        slots[slot, 0], slots[slot, 1], slots[slot, 2], slots[slot, 3] = low, high, used[0], used[1]
        add_up(model, data, begin, size, table, used[0])
        used[0] += 1
        if high >= HASHED:
            for i in range(size):
                table.letters[used[1] + i] = data[begin + i]
            used[1] += size
    return slots[slot, 2]


@lean
def add_up(model, data, begin, size, table, number):
    """Make sum `number` that of the word data[begin:begin + size]."""
    clear(table.sums, number)
    table.hashes[number] = add_word(model, data, begin, begin + size, table.sums, number)
