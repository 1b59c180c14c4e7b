"""Read texts by the `meta` rules, as words between single spaces or as characters, in the layout of `symbols`."""

import numpy as np

from curation.kernels.trie.keys import (
    INLINE,
    REACH,
    WINDOW,
    decode_quickly,
    key_of_bytes,
    low_key_of_character,
    short_key,
)
from runtime.kernels import inline, kernel
from runtime.kernels.machine import load_word, lowest, trailing_zeros, without_lowest
from runtime.kernels.masks import ascii_masks, meta_masks, triples

_SPACE = 32
_ONE_BYTE = 2 << 56  # the high integer of the key of one byte


@kernel
def read_words(offsets, data, first, last, how, lows, highs, begins, bounds):
    """Read texts first to last as the words, some of them empty, between single spaces; return the number of keys.

    `how` is `wraps`, and an array that only characters need. With `wraps` the texts are read as the `meta` rules search
    them: a tab or line end is a space, and each of the wrapped marks is a word with a space on both sides. Without,
    they are entries, which only spaces divide.
    """
    wraps = how[0]
    count = 0
    for text in range(first, last):
        bounds[text - first] = count
        begin, end = offsets[text], offsets[text + 1]
        i = begin
        while wraps and i < end and i + REACH < len(data):
            begin, count = read_window(data, i, begin, end, lows, highs, begins, count)
            i = min(i + WINDOW, end)
        while i <= end:
            byte = np.int64(data[i]) if i < end else _SPACE
            wrapped = wraps and is_wrapped(byte)
            if wrapped or byte == _SPACE or (wraps and is_space(byte)):
                lows[count], highs[count] = key_of_bytes(data, begin, i - begin)
                begins[count] = begin
                count += 1
                begin = i + 1
                if wrapped:
                    lows[count], highs[count] = byte, _ONE_BYTE
                    count += 1
            i += 1
        lows[count], highs[count] = 0, 0
        count += 1
    bounds[last - first] = count
    return count


@inline
def read_window(data, i, begin, end, lows, highs, begins, count):
    """Read the words that end within a window of data[i:end], the first beginning at `begin`, by bit masks.

    Return where the next one begins and the number of keys.
    """
    ends, wrapped = meta_masks(data, i)
    ends &= lowest(end - i)
    while ends != 0:
        place = trailing_zeros(ends)
        ends = without_lowest(ends)
        size = i + place - begin
        begins[count] = begin
        if size <= INLINE:
            key = short_key(load_word(data, begin), load_word(data, begin + 8), size)
        else:
            key = key_of_bytes(data, begin, size)
        lows[count], highs[count] = key
        count += 1
        lows[count], highs[count] = np.int64(data[i + place]), _ONE_BYTE  # stays where it is a mark
        count += wrapped >> place & 1
        begin = i + place + 1
    return begin, count


@kernel
def read_characters(offsets, data, first, last, how, lows, highs, begins, bounds):
    """Read texts first to last as characters; return the number of keys.

    `how` is `wraps` and `borders`. With `wraps` they are the characters of the text that the `meta` rules search, and a
    text without a byte that is set in `borders`, where that is not empty, counts as empty. Characters have no hashed
    keys, so `begins` stay as they are.
    """
    wraps, borders = how
    count = 0
    for text in range(first, last):
        bounds[text - first] = count
        i, end = offsets[text], offsets[text + 1]
        if len(borders) != 0 and not has_border(data, i, end, borders):
            lows[count], highs[count] = 0, 0
            count += 1
            continue
        if wraps:
            lows[count], highs[count] = _SPACE, _ONE_BYTE
            count += 1
        while i < end:
            if data[i] >= 0xE0 and i + REACH < len(data):
                many = min(triples(data, i), (end - i) // 3)
                for k in range(many):
                    lows[count + k], highs[count + k] = load_word(data, i + 3 * k) & 0xFFFFFF, 4 << 56
                i, count = i + 3 * many, count + many
                if many > 0:
                    continue
            character, size = decode_quickly(data, i, end)
            wrapped = wraps and is_wrapped(character)
            if wrapped:
                lows[count], highs[count] = _SPACE, _ONE_BYTE
                count += 1
            if wraps and is_space(character):
                character = _SPACE
            lows[count], length = low_key_of_character(character)
            highs[count] = (length + 1) << 56
            count += 1
            if wrapped:
                lows[count], highs[count] = _SPACE, _ONE_BYTE
                count += 1
            i += size
        if wraps:
            lows[count], highs[count] = _SPACE, _ONE_BYTE
            count += 1
        lows[count], highs[count] = 0, 0
        count += 1
    bounds[last - first] = count
    return count


@inline
def has_border(data, i, end, borders):
    """Return whether a byte of data[i:end] that is no ASCII letter, digit or space is set in `borders`."""
    found = 0
    while i < end and found == 0:
        mark, high = -1, 0
        if i + WINDOW <= len(data):
            _, mark, high = ascii_masks(data, i)
        bits = (mark | high) & lowest(end - i)
        while bits != 0:
            found |= borders[data[i + trailing_zeros(bits)]]
            bits = without_lowest(bits)
        i += WINDOW
    return found != 0


@inline
def is_wrapped(byte):
    """Return whether `meta` puts spaces around the character: , . : ; ? ! and the backtick."""
    return byte in (44, 46, 58, 59, 63, 33, 96)


@inline
def is_space(byte):
    """Return whether `meta` turns the character into a space: tab, line feed, carriage return."""
    return byte in (9, 10, 13)
