"""Group URLs by the spelling of their host."""

import numpy as np

from curation.kernels.exclusion import host_span
from curation.kernels.trie.tables import same_bytes
from runtime.kernels import lean

_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@lean
def group_hosts(data, offsets, table, spans, counts):
    """Find the different hosts of the URLs data[offsets[row]:offsets[row + 1]], and return their number.

    URLs without a host are skipped. The k-th host gets spans[k, 0:2], where it begins and ends in `data`, and
    counts[k], the number of its URLs. `table`, all zeros, has a power of two of slots, more than there are rows.
    """
    hosts = 0
    last = np.uint64(len(table) - 1)
    for row in range(len(offsets) - 1):
        begin, end = host_span(data, offsets[row], offsets[row + 1])
        size = end - begin
        if size == 0:
            continue
        key = _BASIS
        for i in range(begin, end):
            key = (key ^ np.uint64(data[i])) * _PRIME
        slot = ((key * _SPREAD) >> np.uint64(32)) & last
        while True:
            held = np.int64(table[slot]) - 1
            if held < 0:
                table[slot] = hosts + 1
                spans[hosts, 0] = begin
                spans[hosts, 1] = end
                counts[hosts] = 1
                hosts += 1
                break
            if spans[held, 1] - spans[held, 0] == size and same_bytes(data, spans[held, 0], data, begin, size):
                counts[held] += 1
                break
            slot = (slot + np.uint64(1)) & last
    return hosts


@lean
def copy_spans(data, spans, bounds, out):
    """Copy data[spans[k, 0]:spans[k, 1]] to out[bounds[k]:bounds[k + 1]], for each k."""
    for number in range(len(bounds) - 1):
        begin = spans[number, 0] - bounds[number]
        for i in range(bounds[number], bounds[number + 1]):
            out[i] = data[begin + i]
