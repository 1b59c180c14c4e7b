"""Kernels that predict labels with a fastText model."""
