"""Read the JSON of WAT records: kernels."""
