"""Counting of entry ids."""

from runtime.kernels import kernel


@kernel
def count(ids, out):
    """out[id] grows by one for each time that `id` stands in `ids`."""
    for i in range(len(ids)):
        out[ids[i]] += 1


@kernel
def add(ids, counts, out):
    """out[ids[i]] grows by counts[i]."""
    for i in range(len(ids)):
        out[ids[i]] += counts[i]
