"""The naive twin of a mix: the part of each sample, from exact shares."""

from fractions import Fraction


def naive_turns(weights: dict[str, Fraction], number: int) -> list[str]:
    """Return the parts of the first samples: each time the one that is furthest behind its share."""
    taken, total = dict.fromkeys(sorted(weights), 0), sum(weights.values())
    found = []
    for n in range(1, number + 1):
        chosen = max(taken, key=lambda name: weights[name] / total * n - taken[name])
        taken[chosen] += 1
        found.append(chosen)
    return found
