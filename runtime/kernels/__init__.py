"""Kernels that Numba compiles: loops over arrays, without checks, with one integer type per kernel."""

from runtime.kernel_caches import cached

kernel = cached(nogil=True)
# Numba copies the code of an `inline` function into its callers. A call would count references of array arguments.
inline = cached(nogil=True, inline="always")
# A `lean` kernel allocates nothing, so Numba counts no references. `inline` counts some in loops with branches.
lean = cached(nogil=True, _nrt=False)
# LLVM inlines a `part`, a long function that allocates nothing, and Numba infers its types once. With `inline`, Numba
# would infer them again in each caller, which takes most of the time of compiling.
part = cached(nogil=True, _nrt=False, forceinline=True)
