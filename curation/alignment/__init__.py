"""Task alignment: how classes of evaluation sets are distributed in the pool of a run, and in what was kept of it."""
