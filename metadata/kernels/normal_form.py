"""Bring the plainest signs of UTF-8 into normal form, and find the chunks that may not be in it."""

from metadata.kernels.segments import code_point
from runtime.kernels import kernel

SPACE, LINE_FEED = 32, 10
SUSPECT = 255  # canonical combining classes end at 240


@kernel
def replace_signs(data, twins, out):
    """out = data with the ASCII twin of each code point that has one; return its size."""
    at, size = 0, 0
    while at < len(data):
        code, width = code_point(data, at)
        if twins[code]:
            out[size] = twins[code]
            size += 1
        else:
            for k in range(width):
                out[size + k] = data[at + k]
            size += width
        at += width
    return size


@kernel
def suspect_chunks(data, order, starts, ends):
    """Find the chunks between spaces and line feeds with a SUSPECT character or marks out of order; return how many.

    `order` holds the canonical combining class of each code point, or SUSPECT.
    """
    found, at = 0, 0
    while at < len(data):
        start, last, is_suspect = at, 0, False
        while at < len(data) and data[at] != SPACE and data[at] != LINE_FEED:
            if data[at] < 0x80:  # most are, and none of them is suspect
                last = 0
                at += 1
                continue
            code, size = code_point(data, at)
            own = order[code]
            is_suspect |= own == SUSPECT or (own != 0 and own < last)
            last = own
            at += size
        if is_suspect:
            starts[found], ends[found] = start, at
            found += 1
        at += 1
    return found
