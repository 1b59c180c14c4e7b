"""Look rows up in exclusion lists: 16-byte keys in a sorted array, and hosts of URLs by their parent domains."""

import numpy as np

from runtime.kernels import inline, lean

NOT_LISTED, LISTED, UNUSUAL = 0, 1, 2  # An UNUSUAL host has % or is not ASCII; the caller must respell it.
_COLON, _SLASH, _DOT = (np.uint8(ord(c)) for c in ":/.")
# The two halves of a key are hashed alike; the first half uses the numbers of FNV-1a.
_FIRST_BASIS = np.uint64(0xCBF29CE484222325)
_SECOND_BASIS = np.uint64(0x9E3779B97F4A7C15)
_FIRST_PRIME = np.uint64(0x100000001B3)
_SECOND_PRIME = np.uint64(0xC2B2AE3D27D4EB4F)

# A byte has one of these roles in the part of a URL that names the host.
_PLAIN, _STOP, _USER, _PORT, _BRACKET = range(5)
_ROLES = np.full(256, _PLAIN, np.uint8)
_ROLES[list(b"/\\?#")] = _STOP
_ROLES[list(b"@:]")] = (_USER, _PORT, _BRACKET)
_FOREIGN = np.uint8(0)
# Each byte in lower case; _FOREIGN for % and bytes outside ASCII, which a canonical host does not have.
_LOWER = np.frombuffer(bytes(range(256)).lower(), np.uint8).copy()
_LOWER[ord("%")] = _FOREIGN
_LOWER[128:] = _FOREIGN


@inline
def index_among(keys, low, high, first, second):
    """Return the row of `keys` that is (first, second), -1 if there is none; keys[low:high] are sorted."""
    end = high
    while low < high:
        middle = (low + high) >> 1
        if keys[middle, 0] < first or (keys[middle, 0] == first and keys[middle, 1] < second):
            low = middle + 1
        else:
            high = middle
    return low if low < end and keys[low, 0] == first and keys[low, 1] == second else -1


@inline
def key_index(keys, starts, shift, first, second):
    """Return the index of the key (first, second), or -1.

    Keys whose leading `64 - shift` bits are b are keys[starts[b]:starts[b + 1]].
    """
    bucket = np.int64(first >> shift)
    return index_among(keys, starts[bucket], starts[bucket + 1], first, second)


@lean
def find_keys(keys, starts, shift, queries, out):
    """Set out[row] to the index of queries[row, 0:2] in keys[:, 0:2], all uint64; -1 if it is not there."""
    for row in range(len(out)):
        out[row] = key_index(keys, starts, shift, queries[row, 0], queries[row, 1])


@inline
def host_span(data, begin, end):
    """Return the begin and the end of the host in the URL data[begin:end], without userinfo, port and final dots.

    For a URL without a host, both are `end`.
    """
    i = begin
    while i < end and data[i] != _COLON:
        i += 1
    if i + 2 >= end or data[i + 1] != _SLASH or data[i + 2] != _SLASH:
        return end, end
    i += 3
    first = i
    colon = -1
    while i < end:
        role = _ROLES[data[i]]
        if role != _PLAIN:
            if role == _STOP:
                break
            if role == _USER:
                first = i + 1
                colon = -1
            elif role == _BRACKET:  # The colons before a bracket belong to an IPv6 address.
                colon = -1
            elif colon < 0:
                colon = i
        i += 1
    last = colon if colon >= 0 else i
    while last > first and data[last - 1] == _DOT:
        last -= 1
    return first, last


@inline
def hashed_with(first, second, byte):
    """Return the key (first, second) of a name after one more byte of it; names are hashed from their end."""
    return (first ^ np.uint64(byte)) * _FIRST_PRIME, (second ^ np.uint64(byte)) * _SECOND_PRIME


@lean
def hash_names(names, bounds, out):
    """Set out[k, 0:2] to the key of the lower-case name names[bounds[k]:bounds[k + 1]], hashed from its end."""
    for number in range(len(out)):
        first, second = _FIRST_BASIS, _SECOND_BASIS
        for i in range(bounds[number + 1] - 1, bounds[number] - 1, -1):
            first, second = hashed_with(first, second, names[i])
        out[number, 0] = first
        out[number, 1] = second


@lean
def find_hosts(data, offsets, keys, starts, shift, out):
    """Set out[row] to LISTED if the host of the URL data[offsets[row]:offsets[row + 1]] is a listed name or below one.

    `keys`, `starts` and `shift` hold the keys of the listed names, as in `find_keys`. Other hosts get NOT_LISTED, or
    UNUSUAL if a byte is % or not ASCII.
    """
    for row in range(len(out)):
        begin, end = host_span(data, offsets[row], offsets[row + 1])
        first = _FIRST_BASIS
        second = _SECOND_BASIS
        state = NOT_LISTED
        for i in range(end - 1, begin - 1, -1):
            byte = _LOWER[data[i]]
            if byte == _FOREIGN:
                state = UNUSUAL
                break
            first, second = hashed_with(first, second, byte)
            if i == begin or data[i - 1] == _DOT:
                if key_index(keys, starts, shift, first, second) >= 0:
                    state = LISTED
                    break
        out[row] = state
