"""Find the texts that are a name in the host of a URL."""

import numpy as np

from curation.kernels.exclusion import host_span
from curation.kernels.url_paths import LOWERED
from runtime.kernels import inline, lean

LEAST = 3  # letters and digits of a name
_DOT, _DASH = np.uint8(ord(".")), np.uint8(ord("-"))
_IS_NAMED = np.zeros(256, np.bool_)  # bytes that a name is made of
for _byte in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789":
    _IS_NAMED[_byte] = True


@inline
def is_in_host(text, begin, end, data, i, host_end):
    """Return whether a text is whole labels of a host from i on; dots, dashes and signs are passed over."""
    k, size = begin, 0
    while True:
        while k < end and not _IS_NAMED[text[k]]:
            if text[k] >= 0x80:
                return False
            k += 1
        while i < host_end and data[i] == _DASH:
            i += 1
        if k == end:
            return size >= LEAST and (i == host_end or data[i] == _DOT)
        while i < host_end and (data[i] == _DOT or data[i] == _DASH):
            i += 1
        if i == host_end or LOWERED[data[i]] != LOWERED[text[k]]:
            return False
        i, k, size = i + 1, k + 1, size + 1


@lean
def find_site_names(offsets, text, own_offsets, own, page_offsets, page, url_offsets, url, images, out):
    """out[row] = whether a text is one or more whole labels of the host of its page.

    That is own[own_offsets[row]:...], or where this is empty page[page_offsets[images[row]]:...], or else `url`,
    likewise by image.
    """
    for row in range(len(out)):
        begin, end, image = offsets[row], offsets[row + 1], images[row]
        data, first, last = own, own_offsets[row], own_offsets[row + 1]
        if first == last:
            data, first, last = page, page_offsets[image], page_offsets[image + 1]
        if first == last:
            data, first, last = url, url_offsets[image], url_offsets[image + 1]
        out[row] = False
        if begin < end and text[begin] < 0x80:
            i, host_end = host_span(data, first, last)
            while i < host_end and not out[row]:
                out[row] = is_in_host(text, begin, end, data, i, host_end)
                while i < host_end and data[i] != _DOT:
                    i += 1
                i += 1
