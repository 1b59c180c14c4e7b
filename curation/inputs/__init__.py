"""Files of pairs in any format to batches of candidates, and a count of what was dropped."""
