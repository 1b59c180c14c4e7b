"""Kernels that read the JSON of WAT records."""
