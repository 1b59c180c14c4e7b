"""Cut texts into words and word pairs, count these, and choose the ones that become entries."""
