"""Draw the times of exponential clocks.

The clock of an image has the times at which soft cap sampling draws it (`export.soft_cap`). The j-th time is t_j = the
sum over k = 1 … j of E_k / exp(-below - penalty * (k - 1)), where E_k is drawn from Exp(1) and `below` is the greatest
logit minus the image's logit. As t_j would overflow, a kernel keeps
a_j = t_j * exp(-below - penalty * (j - 1)), which is a_(j-1) * exp(-penalty) + E_j. In all kernels, a time is given as
its logarithm, log(a_j) + below + penalty * (j - 1), in the form of a uint64 that sorts as the logarithm does. Further,
`keys` is uint64[image], `below` is float64[image], and `decay` is exp(-penalty).
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
    """Return the natural logarithm of a normal number above 0, with an error of at most two units in the last place.

    It uses sums and products alone, so that all machines agree on it; the logarithms of their libraries differ. For
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
    """Return E_k of the image `key` for k = `number`, from the 52 highest bits of a hash of both; never 0."""
    return -natural_log((float(np.int64(numbered(key, number) >> U(12))) + 0.5) * 2.0**-52)


@inline
def ordered(x):
    """Return the bits of a float64 as a uint64 that sorts as the number does."""
    bits = np.float64(x).view(np.uint64)
    return ~bits if bits & SIGN else bits | SIGN


@inline
def next_time(key, below, penalty, decay, number, a, time):
    """Return a_j and the j-th time of the image `key`, where j is `number`; `a` and `time` are those of j - 1.

    A time is never before the previous one, even if rounding would make it so.
    """
    a = a * decay + waited(key, number)
    return a, max(time, ordered(natural_log(a) + (below + penalty * (number - 1))))


@kernel
def count_times(keys, below, penalty, decay, low, high, shift, out):
    """Count the times of all images up to `high`: in out[0] those before `low`, and behind it by intervals of 2^shift.

    A time t from `low` to `high` is counted in out[1 + (t - low >> shift)].
    """
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
    """Set out[row] to the number of the image's times up to and including `last`."""
    for row in range(len(keys)):
        number, a, time = 0, 0.0, U(0)
        while time <= last:
            number += 1
            a, time = next_time(keys[row], below[row], penalty, decay, number, a, time)
        out[row] = number - 1


@kernel
def times_of(key, below, penalty, decay, before, out):
    """Set `out` to the times of one image in ascending order, without the first `before` times."""
    a, time = 0.0, U(0)
    for number in range(1, before + len(out) + 1):
        a, time = next_time(key, below, penalty, decay, number, a, time)
        if number > before:
            out[number - 1 - before] = time


@kernel
def count_distances(below, out):
    """Count logits by their distance below the greatest one: add to out[bin], where bin = 512 * log2(1 + distance)."""
    for row in range(len(below)):
        out[min(len(out) - 1, int(512.0 * min(200.0, np.log2(1.0 + below[row]))))] += 1
