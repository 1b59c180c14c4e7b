"""Task alignment: how the classes of evaluation sets are distributed in a pool, and in what was kept of it."""
