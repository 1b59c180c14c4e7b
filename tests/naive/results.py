"""Naive twin of `curation.run.results`. Images are lists of (text, language, entry ids)."""


def naive_probability(ids, rates) -> float:
    miss = 1.0
    for id in ids:
        miss *= 1 - rates[id]
    return 1 - miss


def naive_expected(images, rates) -> dict[str, float]:
    """Return the images that are expected to be kept, by the language of the text that is then theirs."""
    sums = {}
    for texts in images:
        for _, language, ids in texts:
            sums[language] = sums.get(language, 0.0) + naive_probability(ids, rates) / len(texts)
    return sums
