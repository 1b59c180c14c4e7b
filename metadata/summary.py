"""Lines for a person: what came of the downloads, and the entries by language and source."""

from __future__ import annotations

from collections.abc import Iterable

from metadata.download.transfer import Result
from metadata.languages import language
from runtime.redaction import redacted

SOURCES = ("list", "numbers", "wordnet", "unigrams", "bigrams", "titles")
_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


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


def listing(results: Iterable[Result]) -> list[str]:
    """Return a line per download, and one of their sum."""
    results = list(results)
    lines = [
        f"{readable(each.size):>9}  {each.outcome:7}  "
        + (each.reason or f"{each.download.path}  {redacted(each.download.url)}")
        for each in results
    ]
    known = sum(each.size or 0 for each in results)
    unknown = sum(each.size is None for each in results)
    more = f", {unknown} of unknown size" if unknown else ""
    return [*lines, f"{readable(known):>9}  in {len(results)} files{more}"]


def readable(size: int | None) -> str:
    """Return a number of bytes for people, in decimal units as disks are sold.

    >>> readable(0), readable(1_500), readable(22_500_000_000), readable(None)
    ('0 B', '1.5 kB', '22.5 GB', '?')
    """
    if size is None:
        return "?"
    number, unit = next(((number, unit) for number, unit in _UNITS if size >= 0.99995 * number), (1, ""))
    return f"{size / number:.1f} {unit}" if unit else f"{size} B"
