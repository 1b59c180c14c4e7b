"""Kernels that read texts as symbols and find entries in a trie."""
