"""Read the lemmas of published wordnets."""
