"""Combine pairs into images, one row each with all its texts; compute uids, and find near copies among hashes."""
