"""Find the link around each image of a WAT file, and the place that this gives it.

A link follows the images in it. One with a text may follow them too, without being around them: it does not count.
`curation.inputs.crawl.links.place_of` defines the result; what is unusual is left to it.
"""

import numpy as np

from curation.kernels.texts import HTTP
from curation.kernels.url_paths import LOWERED
from curation.kernels.wat.pages import unescape
from curation.kernels.wat.tokens import END, QUOTE, RECORD, after_space
from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word

HOME, AWAY = 2048, 4096  # as in links.IMAGE_PLACES
ODD = -1
NONE = 0

_SLASH, _DOT, _COLON, _QUESTION, _HASH, _AT, _COMMA, _OPEN, _CLOSE, _BACKSLASH = (ord(each) for each in "/.:?#@,{}\\")
_4_BYTES, _5_BYTES, _6_BYTES = ((1 << 8 * size) - 1 for size in (4, 5, 6))
_PATH, _LINK, _ESCAPED, _ITS_URL, _A_URL, _TEXT = (
    int.from_bytes(each, "little")
    for each in (b'"path":"', b'A@/href"', b"A@\\/href", b',"url":"', b'"url"', b'"text"')
)
_JPG, _PNG, _GIF, _JPEG, _WEBP, _AVIF = (
    int.from_bytes(each, "little") for each in (b".jpg", b".png", b".gif", b"jpeg", b"webp", b"avif")
)


@lean
def find_places(data, images, host_offsets, hosts, link, places):
    """places[k] = the bits of the place of images[k], ODD where it needs a look.

    The host of record r, in lower case, is hosts[host_offsets[r]:host_offsets[r + 1]]. `link` has room for any.
    """
    for k in range(len(places)):
        record, begin = images[k, RECORD], np.int64(images[k, END])
        begin, end = target_of(data, begin)
        places[k] = begin if begin <= 0 else NONE
        if begin > 0:
            size = unescape(data, begin, end, link, np.int64(0))
            places[k] = place(link, size, hosts, np.int64(host_offsets[record]), np.int64(host_offsets[record + 1]))


@inline
def target_of(data, i):
    """Return where the url begins and ends of a link without text that follows an object; NONE or ODD twice if none."""
    i = after_space(data, i)
    begin, end = np.int64(NONE), np.int64(NONE)
    if byte_at(data, i) == _COMMA:
        i = after_space(data, i + 1)
        is_usual = byte_at(data, i) == _OPEN and load_word(data, i + 1) == _PATH
        first = load_word(data, i + 9)
        is_link = first == _LINK or (first == _ESCAPED and byte_at(data, i + 17) == QUOTE)
        i += 17 + (first == _ESCAPED)
        if not is_usual or (is_link and load_word(data, i) != _ITS_URL):
            begin = end = np.int64(ODD)
        elif is_link:
            begin = i + 8
            end = string_end_of(data, begin)
            begin, end = without_text(data, begin, end)
    return begin, end


@inline
def string_end_of(data, i):
    """Return where the string ends whose bytes begin at data[i]."""
    while byte_at(data, i) != QUOTE:
        i += 1 + (byte_at(data, i) == _BACKSLASH)
    return i


@inline
def without_text(data, begin, end):
    """Return the bounds of a url, NONE twice if its link has a text, ODD twice if other members are unusual."""
    i = end + 1
    while begin > 0 and byte_at(data, i) != _CLOSE:
        name = i + 1
        first = load_word(data, name)
        if byte_at(data, i) != _COMMA or byte_at(data, name) != QUOTE:
            begin = end = np.int64(ODD)
        elif first & _6_BYTES == _TEXT:
            begin = end = np.int64(NONE)
        else:
            i = string_end_of(data, name + 1)
            is_plain = byte_at(data, i + 1) == _COLON and byte_at(data, i + 2) == QUOTE
            if not is_plain or first & _5_BYTES == _A_URL or has_escape(data, name + 1, i):
                begin = end = np.int64(ODD)
            else:
                i = string_end_of(data, i + 3) + 1
    return begin, end


@inline
def has_escape(data, i, end):
    """Return whether a backslash is in data[i:end]."""
    while i < end and byte_at(data, i) != _BACKSLASH:
        i += 1
    return i < end


@lean
def place(link, size, hosts, host, host_end):
    """Return what `place_of` says of link[:size] on a page with the host hosts[host:host_end]; ODD if it is unusual."""
    for i in range(size):
        if byte_at(link, i) <= ord(" ") or byte_at(link, i) >= 0x7F:
            return ODD
    first = byte_at(link, 0) if size > 0 else 0
    begin = after_scheme(link, size)
    if begin == 0:
        is_root = first == _SLASH and (size == 1 or byte_at(link, 1) == _HASH)
        return HOME if is_root else NONE
    stop = begin
    while stop < size and not ends_host(byte_at(link, stop)):
        stop += 1
    odd = stop == begin or (stop < size and (byte_at(link, stop) == _AT or byte_at(link, stop) == _COLON))
    for i in range(host, host_end):
        odd |= byte_at(hosts, i) >= 0x80
    if odd:
        return ODD
    end = stop
    while end < size and byte_at(link, end) != _QUESTION and byte_at(link, end) != _HASH:
        end += 1
    is_home = end - stop <= 1 and (end == size or byte_at(link, end) == _HASH)
    is_away = not is_same(link, site(link, begin, stop), stop, hosts, site(hosts, host, host_end), host_end)
    return HOME * is_home | AWAY * (is_away and not is_picture(link, stop, end))


@inline
def after_scheme(link, size):
    """Return where the host of a link begins, 0 if it has none."""
    i = np.int64(0)
    if size > 7 and load_word(link, 0) & _4_BYTES | 0x20202020 == HTTP:
        i = np.int64(4) + (byte_at(link, 4) | 32 == ord("s"))
        i = i + 1 if byte_at(link, i) == _COLON else np.int64(-1)
    is_host = i >= 0 and i + 1 < size and byte_at(link, i) == _SLASH and byte_at(link, i + 1) == _SLASH
    return i + 2 if is_host else np.int64(0)


@inline
def ends_host(byte):
    return byte == _SLASH or byte == _QUESTION or byte == _HASH or byte == _COLON or byte == _AT


@inline
def site(data, begin, end):
    """Return where the site of the host data[begin:end] begins: its last two or three labels."""
    last = label(data, begin, end)
    second = label(data, begin, last - 1)
    is_long = end - last == 2 and last - 1 - second <= 3 and second > begin
    return label(data, begin, second - 1) if is_long else second


@inline
def label(data, begin, end):
    """Return where the last label of data[begin:end] begins."""
    while end > begin and byte_at(data, end - 1) != _DOT:
        end -= 1
    return max(begin, end)


@inline
def is_same(link, begin, end, host, host_begin, host_end):
    """Return whether two names are the same, the first in any case."""
    same = end - begin == host_end - host_begin
    k = np.int64(0)
    while same and k < end - begin:
        same = LOWERED[byte_at(link, begin + k)] == byte_at(host, host_begin + k)
        k += 1
    return same


@inline
def is_picture(link, begin, end):
    """Return whether a path ends as the files of pictures do."""
    word = load_word(link, end - 4) & _4_BYTES | 0x20202000 if end - begin >= 4 else 0
    short = word == _JPG or word == _PNG or word == _GIF
    word |= 0x20
    long = end - begin >= 5 and byte_at(link, end - 5) == _DOT
    return short or (long and (word == _JPEG or word == _WEBP or word == _AVIF))
