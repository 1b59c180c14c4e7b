"""Read files of pairs in any format as batches of candidates, and count what was dropped."""
