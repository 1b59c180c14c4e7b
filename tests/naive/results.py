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


def naive_overlap(one: dict[str, str], other: dict[str, str]) -> dict[str, list[int]]:
    """Return [only one, both, only other] per language; the arguments map a kept uid to its language."""
    rows = {}
    for uid in one.keys() | other.keys():
        row = rows.setdefault(one.get(uid, other.get(uid)), [0, 0, 0])
        row[1 if uid in one and uid in other else 0 if uid in one else 2] += 1
    return rows
