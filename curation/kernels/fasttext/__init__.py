"""Predict with a fastText model: kernels."""
