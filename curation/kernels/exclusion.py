"""Look rows up in exclusion lists: keys of 16 bytes in a sorted array, hosts of URLs by the domains they end in.

Both answers are exact: a hash, or the first bits of a key, only say where to compare the whole.
"""

import numpy as np

from runtime.kernels import inline, lean

NOT_LISTED, LISTED, UNUSUAL = 0, 1, 2  # UNUSUAL: a host that is not spelled in plain ASCII, for the caller to respell
_COLON, _SLASH, _DOT = (np.uint8(ord(c)) for c in ":/.")
_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # of FNV-1a


def _table(default, of_characters):
    """Return an array of the value of each byte."""
    table = np.array([default(byte) for byte in range(256)], np.uint8)
    for characters, value in of_characters.items():
        table[list(characters.encode())] = value
    return table


_PLAIN, _STOP, _USER, _PORT, _BRACKET = range(5)  # the role of a byte in the part of a URL that names the host
_ROLES = _table(lambda byte: _PLAIN, {"/\\?#": _STOP, "@": _USER, ":": _PORT, "]": _BRACKET})
_FOREIGN = np.uint8(0)
# Each byte in lower case; 0 for bytes that may spell a host in another way: % and those outside ASCII.
_LOWER = _table(lambda byte: byte + 32 if 65 <= byte <= 90 else byte if byte < 128 else 0, {"%": 0})


@lean
def find_keys(keys, starts, shift, wanted, out):
    """out[row] = the position of wanted[row, 0:2] in keys[:, 0:2], all uint64; -1 where it is not there.

    Keys ascend; those whose first `64 - shift` bits are b are keys[starts[b]:starts[b + 1]].
    """
    for row in range(len(out)):
        first, second = wanted[row, 0], wanted[row, 1]
        bucket = np.int64(first >> shift)
        low, high = starts[bucket], starts[bucket + 1]
        end = high
        while low < high:
            middle = (low + high) >> 1
            if keys[middle, 0] < first or (keys[middle, 0] == first and keys[middle, 1] < second):
                low = middle + 1
            else:
                high = middle
        out[row] = low if low < end and keys[low, 0] == first and keys[low, 1] == second else -1


@inline
def host_span(data, begin, end):
    """Return where the host of the URL data[begin:end] begins and ends, without userinfo, port, and dot at its end."""
    i = begin
    while i < end and data[i] != _COLON:
        i += 1
    if i + 2 >= end or data[i + 1] != _SLASH or data[i + 2] != _SLASH:
        return end, end
    i += 3
    first, colon = i, -1
    while i < end:
        role = _ROLES[data[i]]
        if role != _PLAIN:
            if role == _STOP:
                break
            if role == _USER:
                first, colon = i + 1, -1
            elif role == _BRACKET:  # the colons before it are those of an IPv6 address
                colon = -1
            elif colon < 0:
                colon = i
        i += 1
    last = colon if colon >= 0 else i
    while last > first and data[last - 1] == _DOT:
        last -= 1
    return first, last


@inline
def hashed_with(hashed, byte):
    return (hashed ^ np.uint64(byte)) * _PRIME


@inline
def equals(data, begin, end, name, first, last):
    """Return whether data[begin:end], in lower case, is name[first:last]."""
    if end - begin != last - first:
        return False
    for k in range(end - begin):
        if _LOWER[data[begin + k]] != name[first + k]:
            return False
    return True


@inline
def slot_of(data, begin, end, hashed, names, bounds, slots):
    """Return the slot of the name data[begin:end], or the free slot (-1) where it would be if it is not listed."""
    mask = len(slots) - 1
    slot = np.int64(hashed ^ (hashed >> np.uint64(32))) & mask
    while slots[slot] >= 0:
        number = slots[slot]
        if equals(data, begin, end, names, bounds[number], bounds[number + 1]):
            break
        slot = (slot + 1) & mask
    return slot


@lean
def fill_slots(names, bounds, slots):
    """slots[a hash of each name, read from its end, or the next that is free] = its number; -1 elsewhere.

    Names are lower-case bytes, names[bounds[k]:bounds[k + 1]], each once; slots are a power of two, some of them free.
    """
    for number in range(len(bounds) - 1):
        hashed = _BASIS
        for i in range(bounds[number + 1] - 1, bounds[number] - 1, -1):
            hashed = hashed_with(hashed, names[i])
        slots[slot_of(names, bounds[number], bounds[number + 1], hashed, names, bounds, slots)] = number


@lean
def find_hosts(data, offsets, names, bounds, slots, out):
    """out[row] = LISTED where the host of the URL data[offsets[row]:offsets[row + 1]] is a name or ends in .name."""
    for row in range(len(out)):
        begin, end = host_span(data, offsets[row], offsets[row + 1])
        hashed, found = _BASIS, NOT_LISTED
        for i in range(end - 1, begin - 1, -1):
            byte = _LOWER[data[i]]
            if byte == _FOREIGN:
                found = UNUSUAL
                break
            hashed = hashed_with(hashed, byte)
            if i == begin or data[i - 1] == _DOT:
                if slots[slot_of(data, i, end, hashed, names, bounds, slots)] >= 0:
                    found = LISTED
                    break
        out[row] = found
