"""The plumbing of curation and metadata: Spark, files and URLs, Arrow arrays, chance, errors.

Nothing here knows entries or pairs.
"""
