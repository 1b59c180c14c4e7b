"""Naive twins of alignment: texts that name a class, and how far counts are from equal."""

from math import log

from tests.naive.matching import naive_matches


def naive_named(text: str, forms: list[list[str]], rules: str = "unicode") -> set[int]:
    """Return the classes that a text names, in any case."""
    return {
        number
        for number, names in enumerate(forms)
        if naive_matches([text.lower()], [name.lower() for name in names], rules)[0]
    }


def naive_divergence(counts: list[int]) -> float | None:
    total, equal = sum(counts), 1 / len(counts) if counts else 0
    return sum(count / total * log(count / total / equal) for count in counts if count) if total else None
