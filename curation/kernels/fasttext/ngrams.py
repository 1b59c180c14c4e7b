"""Find and add up the rows of a word, of its character n-grams and of word n-grams, for models of two shapes.

The dictionary of any model is read in place, from the bytes of the model file. An entry is its name, a zero, its count
(eight bytes) and its kind (one byte, 0 for a word and 1 for a label). Words come before labels. `entries` int64 [number
of entries + 1] holds the position of each entry, and the end of the last entry. Rows are added in fastText's order,
whether a text is summed word by word or row by row.

For models of lid.176.ftz's shape, a table caches the row ids of the words met so far: a word's own row, if it is in the
dictionary, and the rows of its character n-grams that the model kept. The table holds the dictionary from the start. It
consists of six arrays:

- `slots` int64 [2^k, 4]: two columns are the word's key (see `kernels.trie.tables`); one is the position in `ids` at
  which its rows begin, times 2^16, plus the number of its rows; one is the position of its bytes in `letters`;
- `ids` uint16: the rows of all words;
- `letters` uint8: the bytes of the words that are too long for a key to hold them;
- `used` int64 [3]: the numbers of words, letters and ids;
- copies of `slots` and `used` with only the dictionary, to which a full table is reset.
"""

import math
from typing import NamedTuple

import numpy as np

from curation.kernels.fasttext.rows import VectorRows, add_row, prefetch_dense
from curation.kernels.trie.tables import HASHED, key_of_bytes, same_bytes
from runtime.kernels import inline, kernel, lean, part
from runtime.kernels.machine import load_word, ones, product

ENTRY_TAIL = 10  # An entry has this many bytes after its name.
FNV_START = 2166136261
_FNV_FACTOR = 16777619
FNV_MASK = 0xFFFFFFFF
# The n-grams of a word are hashed with OPEN before the word and CLOSE after it.
OPEN = ord("<")
CLOSE = ord(">")
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
    return hashed & FNV_MASK


@kernel
def fill_entries(content, position, entries):
    """Fill `entries` for a dictionary that begins at `position`; return whether all entries fit into `content`."""
    for entry in range(len(entries) - 1):
        entries[entry] = position
        while position < len(content) and content[position] != 0:
            position += 1
        position += ENTRY_TAIL
    entries[-1] = position
    return position <= len(content)


@kernel
def index_entries(content, entries, slots):
    """Put each entry into the hash table `slots`; of two entries with one name, the later replaces the earlier.

    `slots` is int32 [2^k], longer than there are entries, filled with -1.
    """
    for entry in range(len(entries) - 1):
        begin, end = entries[entry], entries[entry + 1] - ENTRY_TAIL
        slot = slot_of_name(content, entries, slots, content, begin, end - begin, hash_of(content, begin, end))
        slots[slot] = entry


@inline
def slot_of_name(content, entries, slots, data, begin, size, hashed):
    """Return the slot of the entry with the name data[begin:begin + size] and its hash, or the free slot for it."""
    slot = hashed & (len(slots) - 1)
    while slots[slot] >= 0:
        entry = entries[slots[slot]]
        if entries[slots[slot] + 1] - ENTRY_TAIL - entry == size:
            if same_bytes(content, entry, data, begin, size):
                break
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@kernel
def entry_number(content, entries, slots, name):
    """Return the number of the entry called `name`, or -1 if there is none, and the hash of the name."""
    hashed = hash_of(name, 0, len(name))
    return np.int64(slots[slot_of_name(content, entries, slots, name, 0, len(name), hashed)]), hashed


@inline
def is_label_word(data, begin, size):
    """Say whether the word begins with `__label__`: such a word has no rows."""
    return size > 8 and load_word(data, begin) == _LABEL and data[begin + 8] == ord("_")


PREFETCHED_ROWS = 32  # This many rows are prefetched before the first of them is added.
_WORDS_FACTOR = 116049371


class DictionaryWords(NamedTuple):
    """A model's words and labels, and how it hashes n-grams."""

    content: np.ndarray  # uint8: the bytes of the model file
    entries: np.ndarray  # int64: positions of entries (see the module)
    slots: np.ndarray  # int32: hash table of entries (see the module)
    word_count: int  # number of words, which come before the labels
    end: int  # number of the word for the end of sentence; -1: no word of the model
    end_hash: int  # hash of the end of sentence
    buckets: int  # number of buckets that n-grams are hashed into
    shortest: int  # characters in the shortest n-gram
    longest: int  # characters in the longest n-gram; 0: no n-grams
    word_ngrams: int  # number of words in the longest n-gram of words
    pruned: bool
    kept: np.ndarray  # int64: bit b & 63 of kept[b >> 6] is 1 if bucket b of a pruned model has a row
    before: np.ndarray  # int32: how many buckets are kept before the buckets of kept[b >> 6]
    ranks: np.ndarray  # int32: row of each kept bucket, counted from the end of the words, in the order of buckets


class Model(NamedTuple):
    """The arrays that map the words of a text to rows."""

    words: DictionaryWords
    rows: VectorRows
    waiting: np.ndarray  # int64 [PREFETCHED_ROWS]: rows that are prefetched, but not added yet


class NgramSums(NamedTuple):
    """Vectors that are sums of rows, with the number of rows in each sum, and the sum of their Euclidean lengths."""

    vectors: np.ndarray  # float32 [number, padded width]
    sizes: np.ndarray  # int64: number of rows added to each vector
    norms: np.ndarray  # float64: sum of the Euclidean lengths of these rows


@inline
def row_of_bucket(words, hashed):
    """Return the row of an n-gram with this hash, or -1 if the model did not keep it."""
    bucket = hashed % words.buckets
    if not words.pruned:
        return words.word_count + bucket
    bits = words.kept[bucket >> 6]
    if not bits >> (bucket & 63) & 1:
        return -1
    return words.word_count + words.ranks[words.before[bucket >> 6] + ones(bits & ((1 << (bucket & 63)) - 1))]


@lean
def add_waiting(model, count, sums, i):
    """Add the rows model.waiting[:count], already prefetched, to sum i."""
    for k in range(count):
        sums.norms[i] += math.sqrt(np.float64(add_row(model.rows, model.waiting[k], sums.vectors, i)))
    sums.sizes[i] += count


@inline
def ask_for(model, row, count, sums, i):
    """Prefetch a row and append it to model.waiting[:count], unless it is -1; return the new count.

    If PREFETCHED_ROWS rows already wait, they are added to sum i first.
    """
    if row < 0:
        return count
    if count == PREFETCHED_ROWS:
        add_waiting(model, count, sums, i)
        count = 0
    prefetch_dense(model.rows, row)
    model.waiting[count] = row
    return count + 1


@inline
def word_byte(data, begin, end, i):
    """Return byte i of `<` + data[begin:end] + `>`."""
    if i == 0:
        return OPEN
    return np.int64(data[begin + i - 1]) if i <= end - begin else CLOSE


@lean
def add_ngrams(model, data, begin, end, count, sums, i):
    """Add the rows model.waiting[:count], then the rows of the n-grams of `<` + data[begin:end] + `>`, to sum i.

    The n-grams are sorted by their first character, then by length. The single characters `<` and `>` are left out.
    """
    words = model.words
    size = end - begin + 2
    for first in range(size if words.longest > 0 else 0):
        if word_byte(data, begin, end, first) & 0xC0 == 0x80:
            continue
        hashed = FNV_START
        k = first
        for length in range(1, words.longest + 1):
            if k == size:
                break
            hashed = hash_on(hashed, word_byte(data, begin, end, k))
            k += 1
            while k < size and word_byte(data, begin, end, k) & 0xC0 == 0x80:
                hashed = hash_on(hashed, word_byte(data, begin, end, k))
                k += 1
            if length >= words.shortest and not (length == 1 and (first == 0 or k == size)):
                count = ask_for(model, row_of_bucket(words, hashed & FNV_MASK), count, sums, i)
    add_waiting(model, count, sums, i)


@lean
def add_word(model, data, begin, end, sums, i):
    """Add the rows of the word data[begin:end] to sum i; return its hash, or -1 for a label, which has no rows."""
    words = model.words
    hashed = hash_of(data, begin, end)
    slot = slot_of_name(words.content, words.entries, words.slots, data, begin, end - begin, hashed)
    entry = np.int64(words.slots[slot])
    if entry >= words.word_count or (entry < 0 and is_label_word(data, begin, end - begin)):
        return -1
    add_ngrams(model, data, begin, end, ask_for(model, entry, 0, sums, i), sums, i)
    return hashed


@lean
def add_word_ngrams(model, hashes, count, sums, i):
    """Add to sum i the rows of the n-grams of words; hashes[:count] are the hashes of the text's words."""
    words = model.words
    waiting = 0
    for first in range(count):
        hashed = np.uint64(np.int64(np.int32(hashes[first])))
        for k in range(first + 1, min(first + words.word_ngrams, count)):
            hashed = np.uint64(product(np.int64(hashed), _WORDS_FACTOR)) + np.uint64(np.int64(np.int32(hashes[k])))
            row = row_of_bucket(words, np.int64(hashed % np.uint64(words.buckets)))
            waiting = ask_for(model, row, waiting, sums, i)
    add_waiting(model, waiting, sums, i)


@lean
def add_end(model, sums, i):
    """Add the row of the end of sentence, if the model has it, to sum i."""
    add_waiting(model, ask_for(model, model.words.end, 0, sums, i), sums, i)


@inline
def clear_sum(sums, i):
    """Reset sum i to zero rows."""
    sums.sizes[i] = 0
    sums.norms[i] = 0.0
    for k in range(sums.vectors.shape[1]):
        sums.vectors[i, k] = 0


NGRAM_BUCKETS = 2_000_000  # N-grams are hashed into this many buckets.
MAX_WORD_BYTES = 63  # Longer words are not in the table, as they hardly recur.
MAX_WORD_ROWS = 3 * MAX_WORD_BYTES + 1  # A word in the table has at most this many rows.

_FACTOR = -7046029254386353131  # This is 2^64 divided by the golden ratio, an odd number, as int64.


@inline
def ngram_bucket(hashed, kept):
    """Return the bucket of an n-gram with this hash, or -1 if the model did not keep it."""
    bucket = (hashed & FNV_MASK) % NGRAM_BUCKETS
    return bucket if kept[bucket >> 6] >> (bucket & 63) & 1 else -1


@inline
def add_bucket(bucket, kept, before, ids, count):
    """Append the row of a bucket to ids[:count], unless the bucket is -1; return the new count."""
    if bucket >= 0:
        ids[count] = before[bucket >> 6] + ones(kept[bucket >> 6] & ((1 << (bucket & 63)) - 1))
        count += 1
    return count


@lean
def append_ngrams(data, begin, end, kept, before, ids, count):
    """Append the rows of the n-grams of `<` + data[begin:end] + `>` to ids[:count]; return the new count.

    The n-grams have two to four characters, so there are at most three per byte. They are sorted by their first
    character, then by length. All n-grams that end at one character are hashed together. The n-grams that begin at one
    character wait until the longest of them is hashed.
    """
    # These are the hashes of the last character, of the last two, and of the last three characters.
    one = hash_on(FNV_START, OPEN)
    two = 0
    three = 0
    # These are the buckets of the pair before the last pair, of the last pair, and of the last triple.
    pair = -1
    last_pair = -1
    triple = -1
    i = begin
    # Text that is not UTF-8 may begin with bytes from inside a character.
    while i < end and data[i] & 0xC0 == 0x80:
        one = hash_on(one, data[i])
        i += 1
    characters = 1
    while i <= end:
        byte = np.int64(data[i]) if i < end else CLOSE
        current = hash_on(FNV_START, byte)
        one = hash_on(one, byte)
        two = hash_on(two, byte)
        three = hash_on(three, byte)
        i += 1
        while i < end and data[i] & 0xC0 == 0x80:
            byte = np.int64(data[i])
            current = hash_on(current, byte)
            one = hash_on(one, byte)
            two = hash_on(two, byte)
            three = hash_on(three, byte)
            i += 1
        four = ngram_bucket(three, kept) if characters > 2 else -1
        if pair & triple & four >= 0:  # At least one of them is not -1.
            count = add_bucket(pair, kept, before, ids, count)
            count = add_bucket(triple, kept, before, ids, count)
            count = add_bucket(four, kept, before, ids, count)
        pair = last_pair
        last_pair = ngram_bucket(one, kept)
        triple = ngram_bucket(two, kept) if characters > 1 else -1
        three = two
        two = one
        one = current
        characters += 1
    count = add_bucket(pair, kept, before, ids, count)
    count = add_bucket(triple, kept, before, ids, count)
    return add_bucket(last_pair, kept, before, ids, count)


@inline
def first_slot(slots, low, high):
    """Return the slot at which the search for the key (low, high) begins."""
    return product(low ^ product(high, _FACTOR), _FACTOR) >> 32 & (len(slots) - 1)


@part
def slot_of(slots, letters, data, begin, size, low, high):
    """Return the slot of the word data[begin:begin + size] with the key (low, high), or the free slot for it."""
    slot = first_slot(slots, low, high)
    while slots[slot, 1] != 0:
        if slots[slot, 0] == low and slots[slot, 1] == high:
            if high < HASHED or same_bytes(data, begin, letters, slots[slot, 3], size):
                break
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@lean
def slot_of_new(table, data, begin, size, low, high, kept, before):
    """Add a word to the table, and return its slot; a full table is first reset to the dictionary."""
    slots, ids, letters, used, first_slots, first_used = table
    if 2 * used[0] >= len(slots) or used[1] + MAX_WORD_BYTES > len(letters) or used[2] + MAX_WORD_ROWS > len(ids):
        forget(slots, used, first_slots, first_used)
    slot = slot_of(slots, letters, data, begin, size, low, high)
    stop = used[2]
    if not is_label_word(data, begin, size):
        stop = append_ngrams(data, begin, begin + size, kept, before, ids, stop)
    remember(slots, letters, used, slot, data, begin, size, low, high, used[2] << 16 | (stop - used[2]))
    used[2] = stop
    return slot


@inline
def forget(slots, used, first_slots, first_used):
    """Reset the table to the words of the dictionary."""
    for slot in range(len(slots)):
        for k in range(4):
            slots[slot, k] = first_slots[slot, k]
    for k in range(len(used)):
        used[k] = first_used[k]


@inline
def remember(slots, letters, used, slot, data, begin, size, low, high, value):
    """Put a word, as its key (low, high), and a value into a free slot, and update the numbers in used[:2]."""
    slots[slot, 0] = low
    slots[slot, 1] = high
    slots[slot, 2] = value
    slots[slot, 3] = used[1]
    used[0] += 1
    if high >= HASHED:
        for i in range(size):
            letters[used[1] + i] = data[begin + i]
        used[1] += size


@lean
def learn_dictionary(offsets, data, kept, before, table):
    """Fill an empty table with the words data[offsets[word]:offsets[word + 1]]; a word's own row is row `word`."""
    slots, ids, letters, used, first_slots, first_used = table
    for word in range(len(offsets) - 1):
        begin = offsets[word]
        size = offsets[word + 1] - offsets[word]
        low, high = key_of_bytes(data, begin, size)
        slot = slot_of(slots, letters, data, begin, size, low, high)
        ids[used[2]] = word
        stop = append_ngrams(data, begin, begin + size, kept, before, ids, used[2] + 1)
        remember(slots, letters, used, slot, data, begin, size, low, high, used[2] << 16 | (stop - used[2]))
        used[2] = stop
    forget(first_slots, first_used, slots, used)
