"""The two rule sets by which a text and an entry are read before they are compared."""
