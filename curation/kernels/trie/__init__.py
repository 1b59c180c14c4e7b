"""Read texts as symbols, and find entries in a trie: kernels."""
