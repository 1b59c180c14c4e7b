"""Conditions of --keep: SQL over the columns of joined tables."""
