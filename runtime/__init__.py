"""Code that the packages `curation` and `metadata` share: Spark, files and URLs, Arrow arrays, random draws, errors.

Nothing in this package depends on entries or pairs.
"""
