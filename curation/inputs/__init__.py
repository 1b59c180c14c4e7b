"""Read files of pairs in any supported format as batches of candidates, and count what was dropped."""
