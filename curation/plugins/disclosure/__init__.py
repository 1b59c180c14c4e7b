"""The papers of a data set that laws ask for: the summary of training content of the AI Act, Article 53(1)(d)."""
