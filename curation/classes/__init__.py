"""Classes of evaluation sets: their names, the texts that name them, and how these are distributed."""
