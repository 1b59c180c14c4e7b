"""From UTF-8 bytes to symbols: where each begins and ends, and a key for its bytes.

Every symbol is a string of bytes. Its key holds up to seven bytes themselves, below their number plus one; of more bytes
it is a hash, told apart by its top byte, and whoever compares keys compares the bytes too. No key is 0. Texts are read in
blocks: `bounds[k]` is the place of the first symbol of a block's k-th text, and each text is followed by one key 0.

Three readers of one signature: symbols for the `unicode` rules, words between single spaces and characters for `meta`.
"""

import numpy as np

from curation.kernels import inline, kernel

# The classes of metadata.characters.
SEPARATOR, PUNCTUATION, SPACELESS, MARK, WORD = range(5)
UNNORMALISED = 255

HASHED = 0x7F << 56
_LOW_BYTES = (1 << 56) - 1
_FACTOR = -7046029254386353131  # 2^64 / golden ratio, odd, as int64
_SPACE, _SPACE_KEY = 32, 2 << 56 | 32
_EMPTY_KEY = 1 << 56


@inline
def decode(data, i, end):
    """Return the character whose UTF-8 begins at data[i], and its number of bytes; a cut one is one byte long."""
    byte = np.int64(data[i])
    if byte < 0x80:
        return byte, 1
    if byte < 0xE0:
        if i + 1 < end:
            return (byte & 0x1F) << 6 | np.int64(data[i + 1]) & 0x3F, 2
    elif byte < 0xF0:
        if i + 2 < end:
            return (byte & 0x0F) << 12 | (np.int64(data[i + 1]) & 0x3F) << 6 | np.int64(data[i + 2]) & 0x3F, 3
    elif i + 3 < end:
        high = (byte & 0x07) << 18 | (np.int64(data[i + 1]) & 0x3F) << 12
        return min(high | (np.int64(data[i + 2]) & 0x3F) << 6 | np.int64(data[i + 3]) & 0x3F, 0x10FFFF), 4
    return byte, 1


@inline
def key_of_bytes(data, begin, end):
    """Return the key of the symbol data[begin:end]."""
    size = end - begin
    if size <= 7:
        key = (size + 1) << 56
        for i in range(size):
            key |= np.int64(data[begin + i]) << (8 * i)
        return key
    hashed = size
    chunk = 0
    for i in range(size):
        chunk |= np.int64(data[begin + i]) << (8 * (i & 7))
        if i & 7 == 7:
            hashed = (hashed ^ chunk) * _FACTOR
            hashed ^= hashed >> 29
            chunk = 0
    hashed = (hashed ^ chunk) * _FACTOR
    return (hashed ^ hashed >> 31) & _LOW_BYTES | HASHED


@inline
def key_of_character(character):
    """Return the key of a symbol that is the UTF-8 form of one character."""
    if character < 0x80:
        return 2 << 56 | character
    if character < 0x800:
        return 3 << 56 | (0x80 | character & 0x3F) << 8 | 0xC0 | character >> 6
    if character < 0x10000:
        low = (0x80 | character & 0x3F) << 16 | (0x80 | character >> 6 & 0x3F) << 8
        return 4 << 56 | low | 0xE0 | character >> 12
    low = (0x80 | character & 0x3F) << 24 | (0x80 | character >> 6 & 0x3F) << 16
    return 5 << 56 | low | (0x80 | character >> 12 & 0x3F) << 8 | 0xF0 | character >> 18


@kernel
def unnormalised(offsets, data, pages, order, out):
    """out[text] = whether the text may not be in the normal form: the quick check of Unicode's Annex 15."""
    for text in range(len(out)):
        any_byte = 0
        for i in range(offsets[text], offsets[text + 1]):
            any_byte |= np.int64(data[i])
        out[text] = False
        if any_byte < 0x80:
            continue
        i = offsets[text]
        before = 0
        while i < offsets[text + 1]:
            character, size = decode(data, i, offsets[text + 1])
            own = np.int64(order[np.int64(pages[character >> 8]) << 8 | character & 255])
            if own == UNNORMALISED or 0 < own < before:
                out[text] = True
                break
            before = own
            i += size


@kernel
def read_symbols(offsets, data, first, last, table, keys, begins, ends, bounds):
    """Read texts first to last, which are in normal form, by the `unicode` rules; return the number of keys.

    `table` is pages, classes and twins of metadata.characters.CharacterTable.
    """
    pages, classes, twins = table
    count = 0
    for text in range(first, last):
        bounds[text - first] = count
        i, end = offsets[text], offsets[text + 1]
        begin = i
        before = SEPARATOR  # the class of the symbol that begins at `begin`, while characters may still join it
        while i < end:
            character, size = decode(data, i, end)
            place = np.int64(pages[character >> 8]) << 8 | character & 255
            own = np.int64(classes[place])
            if own == MARK:
                own = SPACELESS if before == SPACELESS else WORD
                joins = own == before
            else:
                joins = own == WORD and before == WORD
            if not joins:
                if before >= SPACELESS:
                    keys[count], begins[count], ends[count] = key_of_bytes(data, begin, i), begin, i
                    count += 1
                if own == PUNCTUATION:
                    twin = np.int64(twins[place])
                    keys[count] = key_of_character(twin if twin else character)
                    count += 1
                begin = i
                before = own
            i += size
        if before >= SPACELESS:
            keys[count], begins[count], ends[count] = key_of_bytes(data, begin, end), begin, end
            count += 1
        keys[count] = 0
        count += 1
    bounds[last - first] = count
    return count


@kernel
def read_words(offsets, data, first, last, wraps, keys, begins, ends, bounds):
    """Read texts first to last as the words, some of them empty, between single spaces; return the number of keys.

    With `wraps` the texts are read as the `meta` rules search them: a tab or line end is a space, and each of the
    wrapped marks is a word with a space on both sides. Without, they are entries, which only spaces divide.
    """
    count = 0
    for text in range(first, last):
        bounds[text - first] = count
        begin, end = offsets[text], offsets[text + 1]
        for i in range(begin, end + 1):
            byte = np.int64(data[i]) if i < end else _SPACE
            wrapped = wraps and is_wrapped(byte)
            if wrapped or byte == _SPACE or (wraps and is_space(byte)):
                keys[count], begins[count], ends[count] = key_of_bytes(data, begin, i), begin, i
                count += 1
                begin = i + 1
                if wrapped:
                    keys[count] = 2 << 56 | byte
                    count += 1
        keys[count] = 0
        count += 1
    bounds[last - first] = count
    return count


@kernel
def read_characters(offsets, data, first, last, wraps, keys, begins, ends, bounds):
    """Read texts first to last as characters, with `wraps` those of the text that the `meta` rules search.

    Characters have no hashed keys, so `begins` and `ends` stay as they are.
    """
    count = 0
    for text in range(first, last):
        bounds[text - first] = count
        i, end = offsets[text], offsets[text + 1]
        if wraps:
            keys[count] = _SPACE_KEY
            count += 1
        while i < end:
            character, size = decode(data, i, end)
            wrapped = wraps and is_wrapped(character)
            if wrapped:
                keys[count] = _SPACE_KEY
                count += 1
            if wraps and is_space(character):
                character = _SPACE
            keys[count] = key_of_character(character)
            count += 1
            if wrapped:
                keys[count] = _SPACE_KEY
                count += 1
            i += size
        if wraps:
            keys[count] = _SPACE_KEY
            count += 1
        keys[count] = 0
        count += 1
    bounds[last - first] = count
    return count


@inline
def is_wrapped(byte):
    """Return whether `meta` puts spaces around the character: , . : ; ? ! and the backtick."""
    return byte in (44, 46, 58, 59, 63, 33, 96)


@inline
def is_space(byte):
    """Return whether `meta` turns the character into a space: tab, line feed, carriage return."""
    return byte in (9, 10, 13)
