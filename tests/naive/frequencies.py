"""Naive twin of metadata.frequency_lists and of merging: the entries of a list of counts, from the documented rules."""

import math
import unicodedata


def naive_entries(text: str, least: float) -> list[str]:
    """Return the entries that a file of words and counts gives: in normal form, the most frequent first, each once."""
    rows = []
    for line in text.split("\n"):
        fields = line.split("\t")
        if len(fields) > 1 and fields[1].isdecimal() and int(fields[1]) > 0 and fields[0].strip():
            rows.append((fields[0], int(fields[1])))
    total = sum(count for _, count in rows)
    rows = [row for row in rows if math.log10(row[1] / total * 1e9) >= least]
    words = [word for word, _ in sorted(rows, key=lambda row: (-row[1], row[0]))]
    if words == [word.lower() for word in words]:
        words = [form for word in words for form in (word, word[0].title() + word[1:])]
    found: list[str] = []
    for word in words:
        word = unicodedata.normalize("NFKC", word.replace("’", "'").replace("ʼ", "'"))
        entry = " ".join(word.replace("’", "'").replace("ʼ", "'").split())
        if entry and len(entry) <= 256 and not all(unicodedata.category(each)[0] == "P" for each in entry):
            if entry.strip("\u200b\ufeff") and entry not in found:
                found.append(entry)
    return found
