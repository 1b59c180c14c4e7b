"""The stages of a build that Spark runs: n-grams and titles are counted, and entries chosen among them.

Each stage takes the languages of a round together, with the language as a column. Workers get paths and numbers, and
open the files themselves. Rows of a language meet in Spark's shuffle; no task holds all of them.
"""
