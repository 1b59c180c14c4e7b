"""Find the beginnings of segments in UTF-8, and the words among the segments.

A segment is a word, a mark or a space, between two word boundaries. `begins` (uint8) is as long as the bytes, and 1
where a segment begins. The tables are made in `metadata.words.breaks` and `metadata.words.segment`.
"""

import numpy as np

from runtime.kernels import inline, kernel

SPACE, NEWLINE, IGNORED, OTHER, HARD = 0, 1, 2, 3, 255  # how a character breaks words; those between are ICU's affair
LINE_FEED = 10
# What a character is to words, to symbols of the `unicode` rules, and to the gap between two words; bits.
LETTER, IN_WORD, SPACELESS, MARK, SEPARATOR, GAP = 1, 2, 4, 8, 16, 32


@inline
def code_point(data, at):
    """Return the character whose bytes begin at `at`, and how many they are."""
    lead = np.int64(data[at])
    if lead < 0x80:
        return lead, 1
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | data[at + 1] & 0x3F, 2
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | (data[at + 1] & 0x3F) << 6 | data[at + 2] & 0x3F, 3
    high = (lead & 0x07) << 18 | (data[at + 1] & 0x3F) << 12
    return high | (data[at + 2] & 0x3F) << 6 | data[at + 3] & 0x3F, 4


@kernel
def mark_easy(data, classes, joins, bridges, begins, hard, positions):
    """begins[i] = 1 where a segment begins, in chunks between spaces without a HARD character; return the others' size.

    `joins[a, b]`: no boundary between two classes; `bridges[a, b, c]`: nor in `a b c`, where `a b` and `b c` have one.
    The other chunks are copied to `hard`, each followed by a line feed; `positions` are those of its bytes in `data`.
    """
    at, chunk, copied = 0, 0, 0
    before, last, middle = NEWLINE, NEWLINE, 0
    while at < len(data):
        code, size = code_point(data, at)
        own = classes[code] if code < len(classes) else HARD
        if own == HARD:
            at = _chunk_end(data, at, classes)
            copied = _set_aside(data, chunk, at, begins, hard, positions, copied)
            before, last = OTHER, OTHER
            continue
        if own != IGNORED or last <= NEWLINE:
            if not joins[last, own]:
                if bridges[before, last, own]:
                    begins[middle] = 0
                else:
                    begins[at] = 1
            before, last, middle = last, own, at
        at += size
        if own <= NEWLINE:
            chunk = at
    return copied


@kernel
def _chunk_end(data, at, classes):
    while at < len(data):
        code, size = code_point(data, at)
        if code < len(classes) and classes[code] <= NEWLINE:
            break
        at += size
    return at


@kernel
def _set_aside(data, chunk, end, begins, hard, positions, copied):
    """Append data[chunk:end] and a line feed to `hard`, and unmark it; return the new size."""
    for position in range(chunk, end):
        begins[position] = 0
        hard[copied], positions[copied] = data[position], position
        copied += 1
    if end < len(data):
        hard[copied], positions[copied] = LINE_FEED, end
        copied += 1
    return copied


@kernel
def mark_hard(hard, positions, ends, begins):
    """begins[positions[i]] = 1 where a segment of `hard` begins; `ends` are those of its segments in UTF-16 units."""
    units, segment = 0, 0
    begins[positions[0]] = 1
    for i in range(len(hard)):
        if hard[i] & 0xC0 == 0x80:
            continue
        if units == ends[segment]:
            begins[positions[i]] = 1
            segment += 1
        units += 2 if hard[i] >= 0xF0 else 1


@kernel
def find_words(data, begins, kinds, starts, ends, follows):
    """Find the segments with a LETTER; return how many. follows[i]: only GAP is between words i - 1 and i.

    A boundary inside a symbol of the `unicode` rules is none, and a separator is always a segment of its own.
    """
    found, at, last = 0, 0, 0
    start, has_letter, is_gap, only_gap = 0, False, False, False
    while at < len(data):
        code, size = code_point(data, at)
        own = kinds[code]
        joins = own & last & IN_WORD or (own & MARK and last & (IN_WORD | SPACELESS))
        if (begins[at] and not joins) or (own | last) & SEPARATOR:
            if has_letter:
                starts[found], ends[found], follows[found] = start, at, only_gap
                found += 1
            only_gap = has_letter or (only_gap and is_gap)
            start, has_letter, is_gap = at, False, True
        has_letter |= own & LETTER != 0
        is_gap &= own & GAP != 0
        last = ((own | last) & SPACELESS or IN_WORD) if own & MARK else own
        at += size
    if has_letter:
        starts[found], ends[found], follows[found] = start, at, only_gap
        found += 1
    return found
