"""Find, read and join tables by uid, and sort them into memory-mapped files."""
