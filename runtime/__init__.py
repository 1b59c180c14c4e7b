"""What curation and metadata run on: Spark, files and URLs, Arrow arrays, chance, errors.

Nothing here knows entries or pairs.
"""
