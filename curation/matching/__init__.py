"""Matching: identify the language of texts, and find the entries of that language in them."""
