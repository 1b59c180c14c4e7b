"""Wordnets as they are distributed: their lemmas."""
