"""Naive twin of identify: one text at a time, for a fastText model of whole words and a softmax."""

from math import exp


def naive_identify(text, words, labels, meanings):
    """Return language and score; `words` and `labels` map to vectors, `meanings` maps a label to its language."""
    if text is None:
        return None, None
    known = [words[word] for word in text.split() if word in words]
    if not known:
        return "other", 0.0
    mean = [sum(column) / len(known) for column in zip(*known, strict=True)]
    weights = {label: exp(sum(a * b for a, b in zip(mean, row, strict=True))) for label, row in labels.items()}
    best = max(weights, key=weights.get)
    score = weights[best] / sum(weights.values()) + 1e-5  # fastText adds it before it takes a logarithm
    return meanings.get(best, "other"), score
