"""The language of each text, by fastText models."""
