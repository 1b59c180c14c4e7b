"""Exponential clocks of images: the times at which each is drawn, as soft cap sampling draws it (`export.soft_cap`).

The j-th time of an image is t_j = the sum over k = 1 … j of E_k / exp(-below - penalty * (k - 1)), where E_k is drawn
from Exp(1) and `below` is how far its logit is below the greatest one. Such numbers would overflow. A kernel keeps
a_j = t_j * exp(-below - penalty * (j - 1)), which is a_(j-1) * exp(-penalty) + E_j, and takes for the time the
logarithm of t_j, log(a_j) + below + penalty * (j - 1), as a uint64 that compares as this number does.

In all kernels `keys` is uint64[image], `below` float64[image], and `decay` is exp(-penalty).
"""

import numpy as np

from runtime.kernels import inline, kernel
from runtime.kernels.hashes import numbered

U = np.uint64
SIGN, FRACTION, HALF = U(1 << 63), U((1 << 52) - 1), U(0x3FE << 52)
ROOT_OF_HALF = 0.7071067811865476
LN2_HIGH, LN2_LOW = 0.6931471805592082, 7.371002565167799e-13  # log(2): its first 40 bits, and the rest


@inline
def natural_log(x):
    """The natural logarithm of a normal number above 0, off by at most two units in its last place.

    It is made of sums and products alone, so that all machines agree on it; those of their libraries differ. For
    x = 2**exponent * part it is exponent * log(2) + 2 * artanh((part - 1) / (part + 1)), whose series ends where a
    term no longer counts: (part - 1) / (part + 1) is at most 0.1716.
    """
    bits = np.float64(x).view(np.uint64)
    exponent = float(np.int64(bits >> U(52))) - 1022.0
    part = U(bits & FRACTION | HALF).view(np.float64)  # from 0.5 to 1
    if part < ROOT_OF_HALF:
        part, exponent = part * 2.0, exponent - 1.0
    s = (part - 1.0) / (part + 1.0)
    z = s * s
    rest = 1 / 13 + z * (1 / 15 + z * (1 / 17 + z * (1 / 19 + z * (1 / 21))))
    rest = z * (1 / 3 + z * (1 / 5 + z * (1 / 7 + z * (1 / 9 + z * (1 / 11 + z * rest)))))
    return exponent * LN2_HIGH + (2.0 * s + (2.0 * s * rest + exponent * LN2_LOW))


@inline
def waited(key, number):
    """E of this number, made of the 52 highest bits of a number that the key gives; never 0."""
    return -natural_log((float(np.int64(numbered(key, number) >> U(12))) + 0.5) * 2.0**-52)


@inline
def ordered(x):
    """The bits of a number as a uint64 that compares as it does."""
    bits = np.float64(x).view(np.uint64)
    return ~bits if bits & SIGN else bits | SIGN


@inline
def next_time(key, below, penalty, decay, number, a, time):
    """a and the time of this number, given those before it; a time is never before the last one, also when rounded."""
    a = a * decay + waited(key, number)
    return a, max(time, ordered(natural_log(a) + (below + penalty * (number - 1))))


@kernel
def count_times(keys, below, penalty, decay, low, high, shift, out):
    """out[0] += the times before `low`, out[1 + (time - low >> shift)] += those from there up to `high`."""
    for row in range(len(keys)):
        number, a, time = 0, 0.0, U(0)
        while True:
            number += 1
            a, time = next_time(keys[row], below[row], penalty, decay, number, a, time)
            if time > high:
                break
            out[0 if time < low else 1 + np.int64((time - low) >> shift)] += 1


@kernel
def count_until(keys, below, penalty, decay, last, out):
    """out[row] = the number of times up to `last`."""
    for row in range(len(keys)):
        number, a, time = 0, 0.0, U(0)
        while time <= last:
            number += 1
            a, time = next_time(keys[row], below[row], penalty, decay, number, a, time)
        out[row] = number - 1


@kernel
def times_of(key, below, penalty, decay, before, out):
    """out[number - 1 - before] = the time of this number, of one image."""
    a, time = 0.0, U(0)
    for number in range(1, before + len(out) + 1):
        a, time = next_time(key, below, penalty, decay, number, a, time)
        if number > before:
            out[number - 1 - before] = time


@kernel
def count_distances(below, out):
    """out[bin] += the logits of each distance below the greatest one; a bin is a 512th of a power of two of 1 + it."""
    for row in range(len(below)):
        out[min(len(out) - 1, int(512.0 * min(200.0, np.log2(1.0 + below[row]))))] += 1
