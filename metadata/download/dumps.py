"""Choose the files of a dump from the names that its published checksums list.

Parts are preferred to the whole, as each of them is a task of its own when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_DATE = re.compile(r"-\d{8}-")


@dataclass(frozen=True)
class PagesArticles:
    """The files of pages-articles: the numbered parts where there are such, else the multistream dump with its index.

    The whole is made of the parts, so parts without it are perhaps not all published yet.
    """

    wiki: str  # such as enwiki
    dump: str  # "latest" or YYYYMMDD

    def __call__(self, listed: Sequence[str]) -> list[str]:
        names = [_DATE.sub(f"-{self.dump}-", name, count=1) for name in listed]  # that of "latest" lists dated names
        start = f"{re.escape(self.wiki)}-{self.dump}-pages-articles"
        plain = _parts(rf"{start}(\d+)\.xml-p(\d+)p(\d+)\.bz2", names)
        if plain and f"{self.wiki}-{self.dump}-pages-articles.xml.bz2" in names:
            return plain
        streams = _parts(rf"{start}-multistream(\d+)\.xml-p(\d+)p(\d+)\.bz2", names)
        indexes = _parts(rf"{start}-multistream-index(\d+)\.txt-p(\d+)p(\d+)\.bz2", names)
        whole = f"{self.wiki}-{self.dump}-pages-articles-multistream"
        if streams and len(streams) == len(indexes) and f"{whole}.xml.bz2" in names:
            return [name for pair in zip(streams, indexes, strict=True) for name in pair]
        return [name for name in (f"{whole}.xml.bz2", f"{whole}-index.txt.bz2") if name in names]


@dataclass(frozen=True)
class ContentCurrent:
    """The files of mediawiki_content_current: all that hold pages."""

    wiki: str
    day: str  # YYYY-MM-DD

    def __call__(self, listed: Sequence[str]) -> list[str]:
        return list(_by_page(rf"{re.escape(self.wiki)}-{self.day}-(p)(\d+)p(\d+)\.xml\.bz2", listed))


def _parts(pattern: str, names: Sequence[str]) -> list[str]:
    """Return the names of parts in the order of their pages; none if a number is missing or pages are in two parts."""
    found = _by_page(pattern, names)
    numbers = {int(part[1]) for part in found.values()}
    pages = [(int(part[2]), int(part[3])) for part in found.values()]
    follow = all(end < start for (_, end), (start, _) in zip(pages, pages[1:], strict=False))
    return list(found) if numbers == set(range(1, len(numbers) + 1)) and follow else []


def _by_page(pattern: str, names: Sequence[str]) -> dict[str, re.Match[str]]:
    found = {name: match for name in names if (match := re.fullmatch(pattern, name))}
    return dict(sorted(found.items(), key=lambda item: int(item[1][2])))
