"""Combine pairs into images, one row per image with all its texts, and compute the uids of images."""
