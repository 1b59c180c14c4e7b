"""Convert between Arrow and NumPy arrays, gather batches, and make keys of uids."""
