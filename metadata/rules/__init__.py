"""The two rule sets, `unicode` and `meta`, by which texts and entries are normalised before they are compared."""
