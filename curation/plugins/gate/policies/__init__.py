"""Policies: rules for images and texts, chosen by name."""
