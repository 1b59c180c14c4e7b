"""Pairs to images: one row an image, with all its texts; which images were downloaded."""
