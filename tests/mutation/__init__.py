"""Change the core a little at a time, and see which tests notice."""
