"""Identify the language of each text with a fastText model."""
