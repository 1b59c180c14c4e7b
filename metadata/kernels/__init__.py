"""Numba kernels of the metadata build."""
