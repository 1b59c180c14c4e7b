"""Command lines of curation, one module each: they parse flags and call the package that does the work."""
