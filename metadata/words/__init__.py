"""Texts to words, words to counts, counts to the words and pairs that become entries."""
