"""The stages of a build that workers run: count n-grams and titles, and choose the entries among them.

Each stage handles a group of languages together, with the language as a column. Workers get paths and numbers, and open
the files themselves. The engine's exchange groups rows by key; no task holds all rows of a language.
"""
