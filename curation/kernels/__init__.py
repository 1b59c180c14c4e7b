"""Numba kernels of the curation stages."""
