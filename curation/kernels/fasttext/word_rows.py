"""Find the ids of the rows that a fastText model sums for a word, in a table that caches the words met so far.

A word has its own row, if it is in the dictionary, and the rows of its character n-grams that the model kept. The table
holds the dictionary from the start. It is six arrays:

- `slots` int64 [2^k, 4]: two columns are the word's key (see `kernels.trie.tables`); one is the position in `ids` at
  which its rows begin, times 2^16, plus the number of its rows; one is the position of its bytes in `letters`;
- `ids` uint16: the rows of all words;
- `letters` uint8: the bytes of the words that are too long for a key to hold them;
- `used` int64 [3]: the numbers of words, letters and ids;
- copies of `slots` and `used` with the dictionary alone, to which a full table is reset.
"""

import numpy as np

from curation.kernels.fasttext.dictionary import CLOSE, FNV_START, LOWEST_32, OPEN, hash_on, is_label
from curation.kernels.trie.tables import HASHED, key_of_bytes, same_bytes
from runtime.kernels import inline, lean
from runtime.kernels.machine import ones, product

BUCKETS = 2_000_000  # buckets that n-grams are hashed into
LONGEST = 63  # bytes of the longest word in the table; longer words hardly recur
MOST_IDS = 3 * LONGEST + 1  # most rows of a word in the table

_FACTOR = -7046029254386353131  # 2^64 / golden ratio, odd, as int64


@inline
def bucket_of(hashed, kept):
    """Return the bucket of an n-gram with this hash, or -1 if the model did not keep it."""
    bucket = (hashed & LOWEST_32) % BUCKETS
    return bucket if kept[bucket >> 6] >> (bucket & 63) & 1 else -1


@inline
def add_bucket(bucket, kept, before, ids, count):
    """Append the row of a bucket to ids[:count], unless the bucket is -1; return the new count."""
    if bucket >= 0:
        ids[count] = before[bucket >> 6] + ones(kept[bucket >> 6] & ((1 << (bucket & 63)) - 1))
        count += 1
    return count


@inline
def add_ngrams(data, begin, end, kept, before, ids, count):
    """Append the rows of the n-grams of `<` + data[begin:end] + `>` to ids[:count]; return the new count.

    The n-grams have two to four characters, and are sorted by their first character, then by length: at most three per
    byte. All n-grams that end at one character are hashed together. The n-grams that begin at one character wait until
    the longest of them is hashed.
    """
    one, two, three = hash_on(FNV_START, OPEN), 0, 0  # hashes of the last character, the last two, the last three
    pair, last_pair, triple = -1, -1, -1  # buckets: of the pair before the last, the last pair, the last triple
    i = begin
    while i < end and data[i] & 0xC0 == 0x80:  # text that is not UTF-8 may begin with such bytes
        one = hash_on(one, data[i])
        i += 1
    characters = 1
    while i <= end:
        byte = np.int64(data[i]) if i < end else CLOSE
        own, one, two, three = hash_on(FNV_START, byte), hash_on(one, byte), hash_on(two, byte), hash_on(three, byte)
        i += 1
        while i < end and data[i] & 0xC0 == 0x80:
            byte = np.int64(data[i])
            own, one, two, three = hash_on(own, byte), hash_on(one, byte), hash_on(two, byte), hash_on(three, byte)
            i += 1
        four = bucket_of(three, kept) if characters > 2 else -1
        if pair & triple & four >= 0:  # at least one is kept (not -1)
            count = add_bucket(pair, kept, before, ids, count)
            count = add_bucket(triple, kept, before, ids, count)
            count = add_bucket(four, kept, before, ids, count)
        pair, last_pair = last_pair, bucket_of(one, kept)
        triple = bucket_of(two, kept) if characters > 1 else -1
        one, two, three = own, one, two
        characters += 1
    count = add_bucket(pair, kept, before, ids, count)
    count = add_bucket(triple, kept, before, ids, count)
    return add_bucket(last_pair, kept, before, ids, count)


@inline
def first_slot(slots, low, high):
    """Return the slot at which the search for a key begins."""
    return product(low ^ product(high, _FACTOR), _FACTOR) >> 32 & (len(slots) - 1)


@inline
def slot_of(slots, letters, data, begin, size, low, high):
    """Return the slot of the word data[begin:begin + size], whose key is given, or the free slot for it."""
    slot = first_slot(slots, low, high)
    while slots[slot, 1] != 0:
        if slots[slot, 0] == low and slots[slot, 1] == high:
            if high < HASHED or same_bytes(data, begin, letters, slots[slot, 3], size):
                break
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@inline
def slot_of_new(table, data, begin, size, low, high, kept, before):
    """Add a word to the table, and return its slot; a full table is first reset to the dictionary."""
    slots, ids, letters, used, first_slots, first_used = table
    if 2 * used[0] >= len(slots) or used[1] + LONGEST > len(letters) or used[2] + MOST_IDS > len(ids):
        forget(slots, used, first_slots, first_used)
    slot = slot_of(slots, letters, data, begin, size, low, high)
    stop = used[2]
    if not is_label(data, begin, size):
        stop = add_ngrams(data, begin, begin + size, kept, before, ids, stop)
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
    """Put a word with a value into a free slot; used[:2] are the numbers of words and of letters."""
    slots[slot, 0], slots[slot, 1], slots[slot, 2], slots[slot, 3] = low, high, value, used[1]
    used[0] += 1
    if high >= HASHED:
        for i in range(size):
            letters[used[1] + i] = data[begin + i]
        used[1] += size


@lean
def learn_dictionary(offsets, data, kept, before, table):
    """Fill an empty table with the words data[offsets[word]:offsets[word + 1]]; the own row of each is `word`."""
    slots, ids, letters, used, first_slots, first_used = table
    for word in range(len(offsets) - 1):
        begin, size = offsets[word], offsets[word + 1] - offsets[word]
        low, high = key_of_bytes(data, begin, size)
        slot = slot_of(slots, letters, data, begin, size, low, high)
        ids[used[2]] = word
        stop = add_ngrams(data, begin, begin + size, kept, before, ids, used[2] + 1)
        remember(slots, letters, used, slot, data, begin, size, low, high, used[2] << 16 | (stop - used[2]))
        used[2] = stop
    forget(first_slots, first_used, slots, used)
