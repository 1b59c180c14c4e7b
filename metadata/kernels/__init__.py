"""Loops that Numba compiles: arrays in, arrays out, nothing checked, one integer type per kernel."""

import numba

kernel = numba.njit(cache=True, nogil=True)
inline = numba.njit(cache=True, nogil=True, inline="always")  # array arguments would cost reference counts in a call
