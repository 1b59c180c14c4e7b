"""The metadata entries in each text."""
