"""The two rule sets: how a text and an entry are read before they are compared."""
