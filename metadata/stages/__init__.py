"""The Spark stages of a build: count n-grams and titles, and choose the entries among them.

Each stage handles a group of languages together, with the language as a column. Workers get paths and numbers, and open
the files themselves. Spark's shuffle gathers the rows of a language; no task holds all of them.
"""
