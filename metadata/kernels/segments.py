"""Find the words among the segments into which ICU cuts a text."""

from runtime.kernels import kernel

# What a character is to words, to symbols of the `unicode` rules, and to the gap between two words; bits.
LETTER, IN_WORD, SPACELESS, MARK, SEPARATOR, GAP = 1, 2, 4, 8, 16, 32


@kernel
def find_words(kinds, begins, starts, ends, follows):
    """Find the segments with a LETTER; return how many. follows[i]: only GAP is between words i - 1 and i.

    kinds[i] (uint8) is what character i is, and begins[i] says that a segment begins there. A boundary inside a symbol
    of the `unicode` rules is none, and a separator is always a segment of its own.
    """
    found, last = 0, 0
    start, has_letter, is_gap, only_gap = 0, False, False, False
    for at in range(len(kinds)):
        own = kinds[at]
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
    if has_letter:
        starts[found], ends[found], follows[found] = start, len(kinds), only_gap
        found += 1
    return found
