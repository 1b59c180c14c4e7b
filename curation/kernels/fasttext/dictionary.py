"""Read the dictionary of a fastText model in place, from the bytes of the model file.

An entry is its name, a zero, its count (eight bytes) and its kind (one byte, 0 for a word and 1 for a label). Words
come before labels. `entries` int64 [number of entries + 1] holds the position of each entry, and the end of the last.
"""

import numpy as np

from curation.kernels.trie.tables import same_bytes
from runtime.kernels import inline, kernel
from runtime.kernels.machine import load_word, product

TAIL = 10  # bytes of an entry after its name
FNV_START, _FNV_FACTOR, LOWEST_32 = 2166136261, 16777619, 0xFFFFFFFF
OPEN, CLOSE = ord("<"), ord(">")  # enclose a word whose n-grams are hashed
_LABEL = int.from_bytes(b"__label_", "little")


@inline
def hash_on(hashed, byte):
    """Return the FNV-1a hash `hashed` updated by one byte, in the lowest 32 bits; fastText takes the byte as signed."""
    return product(hashed ^ np.int64(np.int8(byte)), _FNV_FACTOR)


@inline
def hash_of(data, begin, end):
    """Return the 32-bit FNV-1a hash of data[begin:end]."""
    hashed = FNV_START
    for i in range(begin, end):
        hashed = hash_on(hashed, data[i])
    return hashed & LOWEST_32


@kernel
def find_entries(content, position, entries):
    """Fill `entries` for a dictionary that begins at `position`; return whether all entries fit into `content`."""
    for entry in range(len(entries) - 1):
        entries[entry] = position
        while position < len(content) and content[position] != 0:
            position += 1
        position += TAIL
    entries[-1] = position
    return position <= len(content)


@kernel
def index_entries(content, entries, slots):
    """Put each entry into the hash table `slots`; of two entries with one name, the later replaces the earlier.

    `slots` is int32 [2^k], longer than there are entries, filled with -1.
    """
    for entry in range(len(entries) - 1):
        begin, end = entries[entry], entries[entry + 1] - TAIL
        slot = slot_of_name(content, entries, slots, content, begin, end - begin, hash_of(content, begin, end))
        slots[slot] = entry


@inline
def slot_of_name(content, entries, slots, data, begin, size, hashed):
    """Return the slot of the entry called data[begin:begin + size], or the free slot for it."""
    slot = hashed & (len(slots) - 1)
    while slots[slot] >= 0:
        entry = entries[slots[slot]]
        if entries[slots[slot] + 1] - TAIL - entry == size:
            if same_bytes(content, entry, data, begin, size):
                break
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@kernel
def number_of(content, entries, slots, name):
    """Return the number of the entry called `name`, or -1 if there is none, and the hash of the name."""
    hashed = hash_of(name, 0, len(name))
    return np.int64(slots[slot_of_name(content, entries, slots, name, 0, len(name), hashed)]), hashed


@inline
def is_label(data, begin, size):
    """Say whether the word begins with `__label__`: such a word has no rows."""
    return size > 8 and load_word(data, begin) == _LABEL and data[begin + 8] == ord("_")
