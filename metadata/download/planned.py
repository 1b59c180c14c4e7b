"""Describe the files to fetch: single files with their checksums, or a dump whose published checksums list its files.

The numbered parts of a dump are preferred to the whole dump, because Spark can read them in parallel tasks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from runtime.errors import InputError

_DATE = re.compile(r"-\d{8}-")


@dataclass(frozen=True)
class Published:
    """The published checksum of a file: at `url`, beside `name`, in the form of sha1sum or of NLTK's index."""

    url: str
    name: str
    form: str = "sums"


@dataclass(frozen=True)
class Download:
    """One file to fetch; `path` is relative to the folder of downloads.

    Without `published`, only the checksums that .gz, .bz2 and .xz carry inside are checked.
    """

    url: str
    path: str
    published: Published | None = None


@dataclass(frozen=True)
class Listing:
    """A dump whose published checksums name its files, so that they must be read before a file can be chosen."""

    sums: str  # URL of the checksums
    folder: str  # URL of the folder of the files
    path: str  # of the folder below that of downloads
    choose: Callable[[Iterable[str]], list[str]]  # names with a checksum → names to fetch
    marker: str | None = None  # URL of a file that exists once the dump is whole

    def downloads(self, listed: Iterable[str]) -> list[Download]:
        """Return the files to fetch of those that are listed."""
        return [
            Download(f"{self.folder}/{name}", f"{self.path}/{name}", Published(self.sums, name))
            for name in self.choose(listed)
        ]


def require_http(url: str) -> str:
    """Return `url` if it is one of http or https, with a host."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise InputError(f"{url!r} is no address to download from; give one that begins with https:// or http://")
    return url


def redated(name: str, date: str) -> str:
    """Return the name of a dump's file with another date: the checksums of "latest" list dated names."""
    return _DATE.sub(f"-{date}-", name, count=1)


def pages_articles(wiki: str, dump: str, listed: Iterable[str]) -> list[str]:
    """Return the numbered parts of pages-articles where there are such, else the multistream dump with its index.

    The whole is made of the parts, so parts without it are perhaps not all published yet.
    """
    names = {redated(name, dump) for name in listed}
    start = f"{wiki}-{dump}-pages-articles"
    plain = _parts(rf"{start}(\d+)\.xml-p(\d+)p(\d+)\.bz2", names)
    if plain and f"{start}.xml.bz2" in names:
        return plain
    streams = _parts(rf"{start}-multistream(\d+)\.xml-p(\d+)p(\d+)\.bz2", names)
    indexes = _parts(rf"{start}-multistream-index(\d+)\.txt-p(\d+)p(\d+)\.bz2", names)
    whole, index = f"{start}-multistream.xml.bz2", f"{start}-multistream-index.txt.bz2"
    if streams and len(streams) == len(indexes) and whole in names:
        return [name for pair in zip(streams, indexes, strict=True) for name in pair]
    return [name for name in (whole, index) if name in names]


def content_current(wiki: str, day: str, listed: Iterable[str]) -> list[str]:
    """Return all files with pages of mediawiki_content_current, of a day such as 2025-11-01."""
    return list(_by_page(rf"{wiki}-{day}-(p)(\d+)p(\d+)\.xml\.bz2", listed))


def _parts(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names of parts in the order of their pages; none if a number is missing or pages are in two parts."""
    found = _by_page(pattern, names)
    numbers = {int(part[1]) for part in found.values()}
    pages = [(int(part[2]), int(part[3])) for part in found.values()]
    follow = all(end < start for (_, end), (start, _) in zip(pages, pages[1:], strict=False))
    return list(found) if numbers == set(range(1, len(numbers) + 1)) and follow else []


def _by_page(pattern: str, names: Iterable[str]) -> dict[str, re.Match[str]]:
    found = {name: match for name in names if (match := re.fullmatch(pattern, name))}
    return dict(sorted(found.items(), key=lambda item: int(item[1][2])))
