"""Lists of what must not be in a manifest."""
