"""Shared plumbing of curation and metadata: Spark, files and URLs, Arrow arrays, random draws, errors.

Nothing in this package depends on entries or pairs.
"""
