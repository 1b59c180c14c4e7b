"""Describe the results of downloads in lines for a person."""

from __future__ import annotations

from collections.abc import Iterable

from metadata.download.transfer import Result
from runtime.redaction import redacted

_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def listing(results: Iterable[Result]) -> list[str]:
    """Return a line per file, and one of their sum, for a person."""
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
