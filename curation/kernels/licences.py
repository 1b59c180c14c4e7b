"""Find the word by which a page may state a licence: `license`, or `publicdomain` in an address of Creative Commons."""

from runtime.kernels import inline, lean
from runtime.kernels.machine import byte_at, load_word, lowest, trailing_zeros, without_lowest
from runtime.kernels.masks import SLACK, WINDOW, license_mask

_LICENSE, _LICDOMAI = (int.from_bytes(word, "little") for word in (b"license", b"licdomai"))
_SMALL = 0x2020202020202020  # makes letters small
_PUB = len("pub")
_LONGEST = 100  # bytes before the word in a string that are looked at; the envelope before links has more
_QUOTE, _BACKSLASH, _COLON, _SLASH, _SPACE = (ord(character) for character in '"\\:/ ')
_ORG = int.from_bytes(b"org", "little")
_REL, _NAME, _PROPERTY = (int.from_bytes(end, "little") for end in (b"el", b"me", b"ty"))


@lean
def find_license(data, i, end):
    """Return where `license` begins next in data[i:end], or `licdomain` as in `publicdomain`, in any case; else end."""
    while i + WINDOW + SLACK < end:
        places = license_mask(data, i)
        while places != 0:
            if is_license(data, i + trailing_zeros(places)):
                return i + trailing_zeros(places)
            places = without_lowest(places)
        i += WINDOW
    while i + 8 <= end:
        if is_license(data, i):
            return i
        i += 1
    return end


@inline
def is_license(data, i):
    """Return whether one of both words is at data[i]."""
    word = load_word(data, i) | _SMALL
    return word & lowest(56) == _LICENSE or word == _LICDOMAI


@lean
def find_statement(data, i, end):
    """Return where the next of both words is in the JSON data[i:end] that may state a licence, or end.

    It is in an address, in a rel, or in the name of a meta.
    """
    i = find_license(data, i, end)
    while i < end and not is_in_address(data, i) and not is_named(data, i):
        i = find_license(data, i + 1, end)
    return i


@inline
def is_in_address(data, i):
    """Return whether the word at data[i] begins the path of a host that ends in `org`; its slash may be escaped."""
    i -= 1 if byte_at(data, i + 3) | 32 == ord("e") else 1 + _PUB
    slash = byte_at(data, i) == _SLASH
    i -= byte_at(data, i - 1) == _BACKSLASH
    return slash and (load_word(data, i - 3) | _SMALL) & lowest(24) == _ORG


@inline
def is_named(data, i):
    """Return whether the word at data[i] is in a string that a rel, name or property has, or in one that is odd."""
    first = max(_LONGEST, i - _LONGEST)
    while i > first and byte_at(data, i) != _QUOTE:
        i -= 1
    if i == first or byte_at(data, i - 1) == _BACKSLASH:
        return True
    i -= 1
    while i > first - _LONGEST and (byte_at(data, i) <= _SPACE or byte_at(data, i) == _COLON):
        i -= 1
    key = load_word(data, i - 2) & lowest(16) if byte_at(data, i) == _QUOTE else 0
    return key == _REL or key == _NAME or key == _PROPERTY
