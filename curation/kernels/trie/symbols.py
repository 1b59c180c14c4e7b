"""Read texts as symbols by the rules `unicode` or `meta`, and check whether a text is in normal form.

A reader writes the keys (lows[i], highs[i]) of the symbols of several texts one after the other; begins[i] is the index
in `data` of the first byte of symbol i. bounds[k] is the index of the first symbol of the k-th text, and one key (0, 0)
follows the symbols of each text. The readers for the rules `meta`, of words between single spaces and of characters,
have the same signature.
"""

import numpy as np

from curation.kernels.trie import tables
from curation.kernels.trie.tables import MAX_INLINE_BYTES, REACH, WINDOW, decode_quickly, key_of_bytes, short_key
from runtime.kernels import inline, kernel, part
from runtime.kernels.machine import leading_ones, load_word, lowest, run_length, trailing_zeros, without_lowest
from runtime.kernels.masks import ascii_masks, mask_of_leads, meta_masks, triples

_SPACE = 32
_ONE_BYTE = 2 << 56  # The key of one byte has this high integer.

# These classes of symbols are defined in metadata.rules.
SEPARATOR, PUNCTUATION, SPACELESS, MARK, WORD = range(5)
UNNORMALISED = 255


@kernel
def read_words(offsets, data, first, last, how, lows, highs, begins, bounds):
    """Read texts first to last - 1 as words, possibly empty, between single spaces; return the number of keys.

    `how` is a pair: `wraps`, and an array that only `read_characters` needs. With `wraps`, the texts are read as the
    `meta` rules search them: a tab or line end is a space, and each wrapped mark is a word with a space on both sides.
    Without `wraps`, the texts are entries, and only spaces divide words.
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
                    lows[count] = byte
                    highs[count] = _ONE_BYTE
                    count += 1
            i += 1
        lows[count] = 0
        highs[count] = 0
        count += 1
    bounds[last - first] = count
    return count


@inline
def read_window(data, i, begin, end, lows, highs, begins, count):
    """Read, by bit masks, the words and wrapped marks that end in the first WINDOW bytes of data[i:end].

    The first word begins at `begin`. Return the next `begin` and the new `count`.
    """
    ends, wrapped = meta_masks(data, i)
    ends &= lowest(end - i)
    while ends != 0:
        bit = trailing_zeros(ends)
        ends = without_lowest(ends)
        size = i + bit - begin
        begins[count] = begin
        if size <= MAX_INLINE_BYTES:
            key = short_key(load_word(data, begin), load_word(data, begin + 8), size)
        else:
            key = key_of_bytes(data, begin, size)
        lows[count], highs[count] = key
        count += 1
        # This key of the separator is kept only if the separator is a wrapped mark.
        lows[count] = np.int64(data[i + bit])
        highs[count] = _ONE_BYTE
        count += wrapped >> bit & 1
        begin = i + bit + 1
    return begin, count


@kernel
def read_characters(offsets, data, first, last, how, lows, highs, begins, bounds):
    """Read texts first to last - 1 as characters; return the number of keys.

    `how` is a pair: `wraps` and `borders`. With `wraps`, the texts are read as the `meta` rules search them. If
    `borders` is not empty, a text without any byte that is set in `borders` is read as empty. Keys of characters are
    never hashes, so `begins` is not written.
    """
    wraps, borders = how
    count = 0
    for text in range(first, last):
        bounds[text - first] = count
        i, end = offsets[text], offsets[text + 1]
        if len(borders) != 0 and not has_border(data, i, end, borders):
            lows[count] = 0
            highs[count] = 0
            count += 1
            continue
        if wraps:
            lows[count] = _SPACE
            highs[count] = _ONE_BYTE
            count += 1
        while i < end:
            if data[i] >= 0xE0 and i + REACH < len(data):
                many = min(triples(data, i), (end - i) // 3)
                for k in range(many):
                    lows[count + k] = load_word(data, i + 3 * k) & 0xFFFFFF
                    highs[count + k] = 4 << 56
                i = i + 3 * many
                count = count + many
                if many > 0:
                    continue
            character, size = decode_quickly(data, i, end)
            wrapped = wraps and is_wrapped(character)
            if wrapped:
                lows[count] = _SPACE
                highs[count] = _ONE_BYTE
                count += 1
            if wraps and is_space(character):
                character = _SPACE
            lows[count], length = tables.low_key_of_character(character)
            highs[count] = (length + 1) << 56
            count += 1
            if wrapped:
                lows[count] = _SPACE
                highs[count] = _ONE_BYTE
                count += 1
            i += size
        if wraps:
            lows[count] = _SPACE
            highs[count] = _ONE_BYTE
            count += 1
        lows[count] = 0
        highs[count] = 0
        count += 1
    bounds[last - first] = count
    return count


@inline
def has_border(data, i, end, borders):
    """Say whether data[i:end] has a byte, other than an ASCII letter, digit or space, that is set in `borders`."""
    border = 0
    while i < end and border == 0:
        mark = -1
        high = 0
        if i + WINDOW <= len(data):
            _, mark, high = ascii_masks(data, i)
        bits = (mark | high) & lowest(end - i)
        while bits != 0:
            border |= borders[data[i + trailing_zeros(bits)]]
            bits = without_lowest(bits)
        i += WINDOW
    return border != 0


@inline
def is_wrapped(byte):
    """Say whether `meta` puts spaces around the character: , . : ; ? ! and the backtick."""
    return byte in (44, 46, 58, 59, 63, 33, 96)


@inline
def is_space(byte):
    """Say whether `meta` turns the character into a space: tab, line feed, carriage return."""
    return byte in (9, 10, 13)


@kernel
def unnormalised(offsets, data, pages, order, out):
    """Set out[text] to True if the text may not be in normal form, by the quick check of Unicode's Annex 15."""
    text = 0
    last = offsets[len(out)]
    while text < len(out):
        i = skip_plain(data, offsets[text], last)
        while text < len(out) and offsets[text + 1] <= i:
            out[text] = False
            text += 1
        if text < len(out):
            out[text] = may_differ(data, max(i, offsets[text]), offsets[text + 1], pages, order)
            text += 1


@inline
def may_differ(data, i, end, pages, order):
    """Say whether the text data[i:end] may not be in normal form."""
    before = 0
    differs = False
    while i < end and not differs:
        character, size = tables.decode(data, i, end)
        rank = np.int64(order[np.int64(pages[character >> 8]) << 8 | character & 255])
        differs = rank == UNNORMALISED or 0 < rank < before
        before = rank
        i += size
    return differs


@inline
def skip_plain(data, i, end):
    """Return an index in data[i:end], or `end`; normalising changes nothing before it."""
    plain_end = end
    while i < plain_end:
        leads = mask_of_leads(data, i) if i + WINDOW <= len(data) else 1
        if leads != 0:
            plain_end = min(i + trailing_zeros(leads), end)
        i += WINDOW
    return plain_end


@kernel
def read_symbols(offsets, data, first, last, table, lows, highs, begins, bounds):
    """Read texts first to last - 1, in normal form, by the `unicode` rules; return the number of keys.

    `table` is pages, classes and twins of metadata.rules.CharacterTable.
    """
    count = np.int64(0)
    for text in range(first, last):
        bounds[text - first] = count
        i, end = offsets[text], offsets[text + 1]
        while i < end:
            is_done = False
            if i + REACH < len(data):
                i, count, is_done = read_ascii(data, i, end, lows, highs, begins, count)
            if not is_done:
                i, count = read_others(data, i, end, table, lows, highs, begins, count)
        lows[count] = 0
        highs[count] = 0
        count += 1
    bounds[last - first] = count
    return count


@part
def read_ascii(data, i, end, lows, highs, begins, count):
    """Read, by bit masks, the ASCII symbols that end within the first WINDOW bytes of data[i:end].

    Return the begin of the next symbol, the new number of keys, and whether `read_ascii` may read that symbol as well.
    """
    word, mark, high = ascii_masks(data, i)
    size = min(end - i, WINDOW)
    high &= lowest(size)
    stop = min(trailing_zeros(high), size)
    if stop > 0 and (stop < size or i + size < end):  # A word that reaches `stop` may continue after it.
        stop -= leading_ones(word << (WINDOW - stop))
    word = word & lowest(stop)
    mark = mark & lowest(stop)
    tokens = mark | word & ~(word << 1)
    while tokens != 0:
        bit = trailing_zeros(tokens)
        tokens = without_lowest(tokens)
        length = max(run_length(word, bit), 1)
        begin = i + bit
        begins[count] = begin
        if length <= MAX_INLINE_BYTES:
            key = short_key(load_word(data, begin), load_word(data, begin + 8), length)
        else:
            key = tables.hash_of_bytes(data, begin, length), tables.HASHED | length
        lows[count], highs[count] = key
        count += 1
    return i + stop, count, stop > 0 and high == 0


@part
def read_triples(data, i, end, pages, classes, lows, highs, count):
    """Read the characters from data[i] on, as long as each has three bytes and is a symbol; return their number.

    This loop is separate because all its characters have the same size, so that none has to wait for the size of the
    previous character.
    """
    many = min(triples(data, i), (end - i) // 3)
    for k in range(many):
        word = load_word(data, i + 3 * k)
        character = tables.three_bytes(word)
        lows[count + k] = word & 0xFFFFFF
        highs[count + k] = 4 << 56
        if classes[np.int64(pages[character >> 8]) << 8 | character & 255] != SPACELESS:
            many = k
            break
    return many


@part
def read_others(data, i, end, table, lows, highs, begins, count):
    """Read symbols of data[i:end] character by character, until after the next ASCII character outside a word.

    `table` is pages, classes and twins of characters. From index `count` on, the key of each symbol, two integers, goes
    into `lows` and `highs`, and the index at which a word begins goes into `begins`. Return the index after that
    character, and the new count.
    """
    pages, classes, twins = table
    # `before` is the class of the symbol from `begin` on.
    begin = i
    before = SEPARATOR
    ends = False
    while i < end and not ends:
        if before != WORD and data[i] >= 0xE0 and i + REACH < len(data):
            many = read_triples(data, i, end, pages, classes, lows, highs, count)
            if many > 0:
                i = i + 3 * many
                count = count + many
                begin = i - 3
                before = SPACELESS
                continue
        character, size = decode_quickly(data, i, end)
        index = np.int64(pages[character >> 8]) << 8 | character & 255
        kind = np.int64(classes[index])
        joins = kind == WORD and before == WORD
        if kind == MARK:
            kind = SPACELESS if before == SPACELESS else WORD
            joins = kind == before
        if not joins:
            if before == WORD:
                lows[count], highs[count] = key_of_bytes(data, begin, i - begin)
                begins[count] = begin
                count += 1
            begin = i
            before = kind
            if kind == PUNCTUATION or kind == SPACELESS:
                twin = np.int64(twins[index])
                lows[count], length = tables.low_key_of_character(twin if twin else character)
                highs[count] = (length + 1) << 56
                count += 1
        elif kind == SPACELESS:  # The character is a mark, which makes the symbol longer.
            lows[count - 1], highs[count - 1] = key_of_bytes(data, begin, i + size - begin)
            begins[count - 1] = begin
        i += size
        ends = character < 0x80 and kind <= PUNCTUATION
    if before == WORD:
        lows[count], highs[count] = key_of_bytes(data, begin, i - begin)
        begins[count] = begin
        count += 1
    return i, count
