"""Kernels that predict with a fastText model."""
