"""Files to fetch: one by one with their checksums, or as a list on a server that names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from runtime.errors import InputError


@dataclass(frozen=True)
class Published:
    """The published checksum of a file: at `url`, beside `name`, in the form of sha1sum or of NLTK's index."""

    url: str
    name: str
    form: str = "sums"


@dataclass(frozen=True)
class Download:
    """One file to fetch; `path` is relative to the folder of downloads.

    Without `published`, only the checksums that .gz, .bz2, .xz and .zip carry inside are checked.
    """

    url: str
    path: str
    published: Published | None = None

    def __post_init__(self) -> None:
        for url in (self.url, *([self.published.url] if self.published else [])):
            require_http(url)
        path = PurePosixPath(self.path)
        if not path.name or path.is_absolute() or ".." in path.parts:
            raise InputError(f"{self.path!r} must be a path below the folder of downloads; give a relative path")


@dataclass(frozen=True)
class Listing:
    """A dump whose published checksums name its files, so that they must be read before a file can be chosen."""

    sums: str  # URL of the checksums
    folder: str  # URL of the folder of the files
    path: str  # of the folder below that of downloads
    choose: Callable[[Sequence[str]], list[str]]  # names with a checksum → names to fetch
    marker: str | None = None  # URL of a file that exists once the dump is whole

    def downloads(self, listed: Sequence[str]) -> list[Download]:
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
