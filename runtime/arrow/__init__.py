"""Arrow arrays as NumPy arrays and back; schemas, and keys of uids."""
