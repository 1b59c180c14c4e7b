"""A table of the entries by language and source, for a person."""

from __future__ import annotations

from metadata.languages import language

SOURCES = ("list", "numbers", "wordnet", "unigrams", "bigrams", "titles")


def table(facts: dict) -> str:
    """Return the entries of each language by source as lines, given the content of metadata.json."""
    counts: dict[str, dict[str, int]] = facts["sources"]
    names = [name for name in SOURCES if any(name in own for own in counts.values())]
    total = {code: sum(own.values()) for code, own in counts.items()}
    rows = [["language", "entries", *names]]
    for code in sorted(total, key=lambda code: (-total[code], code)):
        own = [counts[code].get(name, 0) for name in names]
        rows.append([f"{language(code).name} ({code})", *(f"{count:,}" for count in (total[code], *own))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    missing = [f"no source has entries of {language(code).name} ({code})" for code in facts["missing"]]
    return "\n".join(["  ".join(line) for line in lines] + missing)
