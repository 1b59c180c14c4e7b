"""Naive twin of tools.evaluate_languages: one language after the other, by counting."""

from collections import Counter


def naive_evaluation(gold: list[str], given: list[str], scores: list[float]) -> list[dict]:
    """Return for each language its texts, and what they got; the one with the most texts first."""
    rows = []
    for code in {*gold, *given}:
        own = [i for i, each in enumerate(gold) if each == code]
        found = given.count(code)
        right = sum(given[i] == code for i in own)
        wrong = Counter(given[i] for i in own if given[i] != code)
        most = min(wrong, key=lambda each: (-wrong[each], each)) if wrong else None
        rows.append(
            {
                "language": code,
                "texts": len(own),
                "found": found,
                "right": right,
                "recall": right / len(own) if own else None,
                "precision": right / found if found else None,
                "share": len(own) / len(gold),
                "found_share": found / len(gold),
                "mistaken_for": most,
                "mean_score": sum(scores[i] for i in own) / len(own) if own else None,
            }
        )
    return sorted(rows, key=lambda row: (-row["texts"], row["language"]))
