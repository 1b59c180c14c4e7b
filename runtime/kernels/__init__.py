"""Loops that Numba compiles: arrays in, arrays out, nothing checked, one integer type per kernel."""

import numba

kernel = numba.njit(cache=True, nogil=True)
inline = numba.njit(cache=True, nogil=True, inline="always")  # array arguments would cost reference counts in a call
# For kernels that allocate nothing: no reference counts at all, where `inline` leaves some in loops with branches.
lean = numba.njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]  # a private option
