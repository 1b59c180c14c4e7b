"""Find the words among the segments into which ICU cuts a text."""

from runtime.kernels import kernel

# Bits of a character's kind: its role in words, in symbols of the `unicode` rules, and in the gap between two words.
LETTER, IN_WORD, SPACELESS, MARK, SEPARATOR, GAP = 1, 2, 4, 8, 16, 32


@kernel
def find_words(kinds, begins, starts, ends, follows):
    """Write the begin and end of each word, a segment with a letter or digit, and return the number of words.

    Word i is the characters starts[i] to ends[i] - 1. follows[i] becomes True if all characters between words i - 1 and
    i have the bit GAP. kinds[j] (uint8) has the bits of character j, such as LETTER; begins[j] is True if ICU begins a
    segment there. A boundary inside a symbol of the `unicode` rules is ignored; each SEPARATOR is its own segment.
    """
    count, last = 0, 0
    start, has_letter, is_gap, only_gap = 0, False, False, False
    for at in range(len(kinds)):
        kind = kinds[at]
        joins = kind & last & IN_WORD or (kind & MARK and last & (IN_WORD | SPACELESS))
        if (begins[at] and not joins) or (kind | last) & SEPARATOR:
            if has_letter:
                starts[count], ends[count], follows[count] = start, at, only_gap
                count += 1
            only_gap = has_letter or (only_gap and is_gap)
            start, has_letter, is_gap = at, False, True
        has_letter |= kind & LETTER != 0
        is_gap &= kind & GAP != 0
        last = ((kind | last) & SPACELESS or IN_WORD) if kind & MARK else kind
    if has_letter:
        starts[count], ends[count], follows[count] = start, len(kinds), only_gap
        count += 1
    return count
