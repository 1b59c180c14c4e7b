"""Kernels that Numba compiles: loops over arrays, without checks, with one integer type per kernel."""

from runtime.kernel_caches import cached

kernel = cached(nogil=True)
inline = cached(nogil=True, inline="always")  # array arguments would cost reference counts in a call
# For kernels that allocate nothing: no reference counts at all, where `inline` leaves some in loops with branches.
lean = cached(nogil=True, _nrt=False)
# For long functions that allocate nothing: LLVM inlines them, and types are inferred once. With `inline`, Numba infers
# them again in each function that calls them, which takes most of the time of compiling.
part = cached(nogil=True, _nrt=False, forceinline=True)
