"""Naive twins of the ablations: which list a text is matched against, and the rate of each entry."""

from tests.naive.matching import naive_unicode_matches
from tests.naive.sampling import naive_rate


def naive_found(text, language, lists, metadata_of=None, merge_languages=False) -> set[str]:
    """Return the entries in a text, as strings."""
    if merge_languages:
        entries = list({entry for of_language in lists.values() for entry in of_language})
    else:
        entries = lists.get(metadata_of or language, [])
    return {entries[position] for position in naive_unicode_matches([text], entries)[0]}


def naive_rates_at(counts, t, balance=True) -> dict[str, list[float]]:
    """Return the rates of each language at one t for all, or of 1; `counts` maps a language to its counts."""
    return {code: [naive_rate(count, t) if balance else 1.0 for count in each] for code, each in counts.items()}
