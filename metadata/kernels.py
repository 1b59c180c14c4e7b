"""Find the words among the segments into which ICU cuts a text."""

from runtime.kernels import kernel

# These bits are a character's kind: its role in words, in symbols of the `unicode` rules, and in gaps between words.
LETTER, IN_WORD, SPACELESS, MARK, SEPARATOR, GAP = 1, 2, 4, 8, 16, 32


@kernel
def find_words(kinds, begins, starts, ends, follows):
    """Write the begin and end of each word, and return the number of words.

    A word is a segment with a letter or digit. Word i is the characters starts[i] to ends[i] - 1. follows[i] becomes
    True if all characters between words i - 1 and i have the bit GAP. kinds[j] (uint8) has the bits of character j,
    such as LETTER; begins[j] is True if ICU begins a segment there. A segment that begins inside a symbol of the
    `unicode` rules is joined with the segment before; each SEPARATOR is its own segment.
    """
    count = 0
    last = 0
    start = 0
    has_letter = False
    is_gap = False
    only_gap = False
    for i in range(len(kinds)):
        kind = kinds[i]
        joins = kind & last & IN_WORD or (kind & MARK and last & (IN_WORD | SPACELESS))
        if (begins[i] and not joins) or (kind | last) & SEPARATOR:
            if has_letter:
                starts[count] = start
                ends[count] = i
                follows[count] = only_gap
                count += 1
            only_gap = has_letter or (only_gap and is_gap)
            start = i
            has_letter = False
            is_gap = True
        has_letter |= kind & LETTER != 0
        is_gap &= kind & GAP != 0
        last = ((kind | last) & SPACELESS or IN_WORD) if kind & MARK else kind
    if has_letter:
        starts[count] = start
        ends[count] = len(kinds)
        follows[count] = only_gap
        count += 1
    return count
