"""Captions, clusters and weights of images, read from tables and sorted by uid into memory-mapped files."""
