"""Naive twins of batches by entries: the sum that is maximised, and greedy choice from all samples at each step."""

from fractions import Fraction
from itertools import combinations


def naive_sum(samples: list[list[int]], targets: list[Fraction]) -> Fraction:
    """The sum over entries of t * m / (t + m), where each sample gives its entries a mass of 1 in equal shares."""
    masses = [Fraction(0)] * len(targets)
    for entries in samples:
        for entry in entries:
            masses[entry] += Fraction(1, len(entries))
    return sum((t * m / (t + m) for t, m in zip(targets, masses, strict=True) if t), Fraction(0))


def naive_greedy(samples: list[list[int]], targets: list[Fraction], size: int) -> list[int]:
    """The samples of a batch: at each step the one with which the sum is largest, the first of equal ones."""
    chosen: list[int] = []
    for _ in range(size):
        rest = [i for i in range(len(samples)) if i not in chosen]
        chosen.append(max(rest, key=lambda i: naive_sum([samples[j] for j in (*chosen, i)], targets)))
    return chosen


def naive_best(samples: list[list[int]], targets: list[Fraction], size: int) -> Fraction:
    """The largest sum that any batch has."""
    return max(naive_sum([samples[i] for i in batch], targets) for batch in combinations(range(len(samples)), size))


def naive_most(samples: list[list[int]], size: int) -> list[int]:
    """The samples with most entries, the first of equal ones."""
    return sorted(range(len(samples)), key=lambda i: (-len(samples[i]), i))[:size]
