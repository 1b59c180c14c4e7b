"""Find the link around each image of a WAT file, and the bits of IMAGE_PLACES that it gives the image.

A record lists a link after the images in it. A link with a text is not used, as it may follow an image without being
around it. `curation.inputs.crawl.page_candidates.places_of_link` defines the result, and handles unusual links.
"""

import numpy as np

from curation.kernels.texts import HTTP, LOWERED
from curation.kernels.wat.pages import unescape
from curation.kernels.wat.tokens import END, QUOTE, RECORD, after_space
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word, lowest, trailing_zeros
from runtime.kernels.masks import WINDOW, backslashes, string_stops

_SCHEME_BYTES = 9  # The longest scheme, `https://`, and a host's first character have this many bytes.
HOME, AWAY = 2048, 4096  # These are bits of schemas.IMAGE_PLACES.
ODD = -1
NONE = 0

_SLASH, _DOT, _COLON, _QUESTION, _HASH, _AT, _COMMA, _OPEN, _CLOSE, _BACKSLASH = (ord(sign) for sign in "/.:?#@,{}\\")
_4_BYTES, _5_BYTES, _6_BYTES = ((1 << 8 * size) - 1 for size in (4, 5, 6))
_PATH, _LINK, _ESCAPED, _ITS_URL, _A_URL, _TEXT = (
    int.from_bytes(pattern, "little")
    for pattern in (b'"path":"', b'A@/href"', b"A@\\/href", b',"url":"', b'"url"', b'"text"')
)
_JPG, _PNG, _GIF, _JPEG, _WEBP, _AVIF = (
    int.from_bytes(ending, "little") for ending in (b".jpg", b".png", b".gif", b"jpeg", b"webp", b"avif")
)


@lean
def find_places(data, images, host_offsets, hosts, link, places):
    """Set places[k] to the bits of IMAGE_PLACES that the link around images[k] gives, or to ODD if the link is unusual.

    The host of record r, in lower case, is hosts[host_offsets[r]:host_offsets[r + 1]]. `link` is scratch memory with
    room for any link.
    """
    for k in range(len(places)):
        record = images[k, RECORD]
        begin = np.int64(images[k, END])
        begin, end, is_plain = target_of(data, begin)
        places[k] = min(begin, 0)
        if begin > 0:
            host = np.int64(host_offsets[record])
            host_end = np.int64(host_offsets[record + 1])
            if is_plain:
                places[k] = place_bits(data, begin, end, hosts, host, host_end)
            else:
                end = unescape(data, begin, end, link, np.int64(0))
                places[k] = place_bits(link, np.int64(0), end, hosts, host, host_end)


@inline
def target_of(data, i):
    """Return begin and end of the next object's URL, and whether the URL has no escape.

    data[i] is the byte after the previous object. The begin is NONE if the next object is not a link or has a text,
    and ODD if Python must read it.
    """
    i = after_space(data, i)
    begin = np.int64(NONE)
    end = np.int64(NONE)
    is_plain = True
    if byte_at(data, i) == _COMMA:
        i = after_space(data, i + 1)
        is_usual = byte_at(data, i) == _OPEN and load_word(data, i + 1) == _PATH
        first = load_word(data, i + 9)
        is_link = first == _LINK or (first == _ESCAPED and byte_at(data, i + 17) == QUOTE)
        i += 17 + (first == _ESCAPED)
        if not is_usual or (is_link and load_word(data, i) != _ITS_URL):
            begin = np.int64(ODD)
        elif is_link:
            begin = i + 8
            end, is_plain = string_end_of(data, begin)
            begin = without_text(data, begin, end)
    return begin, end, is_plain


@inline
def string_end_of(data, i):
    """Return the index of the quote that ends the string from data[i] on, and whether the string has no escape."""
    is_plain = True
    stop = i
    while True:
        stops = string_stops(data, stop)
        slashes = backslashes(data, stop)
        if stops == 0:
            is_plain &= slashes == 0
            stop += WINDOW
            continue
        size = trailing_zeros(stops)
        is_plain &= slashes & lowest(size) == 0
        stop += size
        if byte_at(data, stop) == QUOTE:
            return stop, is_plain
        is_plain = False
        stop += 1 + (byte_at(data, stop) == _BACKSLASH)


@inline
def without_text(data, begin, end):
    """Return the begin of a URL, data[begin:end]; NONE if its link has a text, ODD if other members are unusual."""
    i = end + 1
    while begin > 0 and byte_at(data, i) != _CLOSE:
        first = load_word(data, i + 1)
        if byte_at(data, i) != _COMMA or byte_at(data, i + 1) != QUOTE:
            begin = np.int64(ODD)
        elif first & _6_BYTES == _TEXT:
            begin = np.int64(NONE)
        else:
            i, is_plain = string_end_of(data, i + 2)
            is_string = byte_at(data, i + 1) == _COLON and byte_at(data, i + 2) == QUOTE
            if not is_string or not is_plain or first & _5_BYTES == _A_URL:
                begin = np.int64(ODD)
            else:
                i = string_end_of(data, i + 3)[0] + 1
    return begin


@lean
def place_bits(link, begin, end, hosts, host, host_end):
    """Return the bits of `places_of_link` for link[begin:end] on a page of hosts[host:host_end]; ODD if unusual."""
    for i in range(begin, min(end, begin + _SCHEME_BYTES)):
        if is_odd(byte_at(link, i)):
            return ODD
    start = after_scheme(link, begin, end)
    if start == 0:
        is_root = begin < end and byte_at(link, begin) == _SLASH
        return HOME if is_root and (end == begin + 1 or byte_at(link, begin + 1) == _HASH) else NONE
    stop = start
    while stop < end and is_of_host(byte_at(link, stop)):
        stop += 1
    last = byte_at(link, stop) if stop < end else _HASH
    after = byte_at(link, stop + 1) if stop + 1 < end else _HASH
    odd = stop == start or last == _AT or last == _COLON or is_odd(last) or is_odd(after)
    for i in range(host, host_end):
        odd |= byte_at(hosts, i) >= 0x80
    if odd:
        return ODD
    bits = HOME if last == _HASH or (last == _SLASH and after == _HASH) else NONE
    if is_same_host(link, site(link, start, stop), stop, hosts, site(hosts, host, host_end), host_end):
        return bits
    path_end = end
    for i in range(stop, end):
        if is_odd(byte_at(link, i)):
            return ODD
        path_end = min(path_end, i) if byte_at(link, i) == _QUESTION or byte_at(link, i) == _HASH else path_end
    return bits if is_picture(link, stop, path_end) else bits | AWAY


@inline
def is_odd(byte):
    return byte <= ord(" ") or byte >= 0x7F


@inline
def is_of_host(byte):
    return not (is_odd(byte) or byte == _SLASH or byte == _QUESTION or byte == _HASH or byte == _COLON or byte == _AT)


@inline
def after_scheme(link, begin, end):
    """Return the index at which the host of link[begin:end] begins, or 0 for a link without a host."""
    i = begin
    if end - begin > 7 and load_word(link, begin) & _4_BYTES | 0x20202020 == HTTP:
        i += 4
        i += byte_at(link, i) | 32 == ord("s")
        i = i + 1 if byte_at(link, i) == _COLON else end
    is_host = i + 1 < end and byte_at(link, i) == _SLASH and byte_at(link, i + 1) == _SLASH
    return i + 2 if is_host else np.int64(0)


@inline
def site(data, begin, end):
    """Return the index at which the site of the host data[begin:end] begins: its last two or three labels."""
    last = label(data, begin, end)
    second = label(data, begin, last - 1)
    is_long = end - last == 2 and last - 1 - second <= 3 and second > begin
    return label(data, begin, second - 1) if is_long else second


@inline
def label(data, begin, end):
    """Return the index at which the last label of data[begin:end] begins."""
    while end > begin and byte_at(data, end - 1) != _DOT:
        end -= 1
    return max(begin, end)


@inline
def is_same_host(link, begin, end, host, host_begin, host_end):
    """Return whether two hosts are the same; the first may be in any case."""
    same = end - begin == host_end - host_begin
    k = np.int64(0)
    while same and k < end - begin:
        same = LOWERED[byte_at(link, begin + k)] == byte_at(host, host_begin + k)
        k += 1
    return same


@inline
def is_picture(link, begin, end):
    """Return whether the path link[begin:end] has the extension of a picture file."""
    word = load_word(link, end - 4) & _4_BYTES | 0x20202000 if end - begin >= 4 else 0
    short = word == _JPG or word == _PNG or word == _GIF
    word |= 0x20
    long = end - begin >= 5 and byte_at(link, end - 5) == _DOT
    return short or (long and (word == _JPEG or word == _WEBP or word == _AVIF))
