"""Resolve the links of a web page as `urllib.parse.urljoin` does; absolute URLs stay unchanged."""

import re
from urllib.parse import urljoin, urlsplit

from curation.inputs.cleaning import HTTP_URL

EMPTY, BAD, NOT_HTTP = "dropped.empty_url", "dropped.bad_url", "dropped.not_http"

LONGEST_BASE = 4096  # characters of a page's URL or base, which each of its pairs repeats; servers refuse 8,190

_is_http = re.compile(HTTP_URL).match
_has_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:").match
_has_http_scheme = re.compile(r"(?i)https?:").match

# The URL standard trims C0 controls and spaces, and removes tabs and line ends anywhere.
_TRIMMED = "".join(map(chr, range(0x21)))
_REMOVED = str.maketrans("", "", "\t\n\r")

# A page whose directory, root and scheme can be read off: nothing in it that urljoin would alter. Most are.
_plain_page = re.compile(
    r"(?P<directory>(?P<root>(?P<scheme>https?:)//[A-Za-z0-9.-]+)/(?:(?!\.)[^/?#;\x00-\x20\x7f-\U0010ffff]+/)*)"
    r"[^/?#;\x00-\x20\x7f-\U0010ffff]*(?:\?[!\"$-~]*)?"
).fullmatch

# Dot segments, and parts that urljoin drops where they are empty.
_ALTERED = ("./", ".?", ";", "#")


class Links:
    """The links of one page; a `page` that cannot be parsed, or is too long, is a ValueError."""

    def __init__(self, page: str, base: str | None = None):
        self._base = page if not base and _plain_page(page) else _base_url(page, base)
        if max(len(page), len(self._base)) > LONGEST_BASE:
            raise ValueError(f"the base of links has more than {LONGEST_BASE} characters")
        if plain := _plain_page(self._base):
            self._directory, self._root, self._scheme = plain.groups()
        else:
            self._scheme = urlsplit(self._base).scheme + ":"
            self._root = urljoin(self._base, "/x")[:-2]
            self._directory = urljoin(self._base, "x")[:-1]

    @property
    def prefixes(self) -> tuple[str, str, str] | None:
        """The text before a plain link that is relative to the directory, the root, the scheme; None off the web."""
        return (self._directory, self._root, self._scheme) if _is_http(self._root) else None

    def resolve(self, link: str) -> tuple[str, None] | tuple[None, str]:
        """Return the absolute http(s) URL that `link` means and None, or None and the reason why there is none.

        >>> Links("https://a.org/b/c").resolve("../d.jpg")
        ('https://a.org/d.jpg', None)
        >>> Links("https://a.org/b/c").resolve("data:image/gif;base64,R0lG")
        (None, 'dropped.not_http')
        """
        link = _trim(link)
        if not link:
            return None, EMPTY
        if _is_http(link) and _is_plain_host(link):
            return link, None
        try:
            url = self._join(link)
        except ValueError:
            return None, BAD
        return (url, None) if _is_http(url) else (None, NOT_HTTP)

    def _join(self, link: str) -> str:
        if _is_http(link):
            urlsplit(link)  # refuses hosts that cannot be
            return link
        if ":" in link and _has_scheme(link) and not _has_http_scheme(link):  # http:a.jpg may be relative
            return link
        return self._join_plain(link) or urljoin(self._base, link)

    def _join_plain(self, link: str) -> str | None:
        """Return the URL of a link without anything that urljoin would alter, else None; this is ten times as fast."""
        if link[-1] in "?." or link[0] == "?" or any(map(link.__contains__, _ALTERED)) or "//" in link[1:]:
            return None
        if link[0] != "/":
            return self._directory + link if ":" not in link else None
        if link[1:2] != "/":
            return self._root + link
        return self._scheme + link if link[2:3] not in ("", "/", "?") and _is_plain_host(link) else None


def _base_url(page: str, base: str | None) -> str:
    """Return what links are relative to: `<base href>`, itself relative to the page, unless it is no web address."""
    urlsplit(page)
    if not base:
        return page
    try:
        url = urljoin(page, _trim(base))
    except ValueError:
        return page
    return url if _is_http(url) else page


def _is_plain_host(link: str) -> bool:
    """Say whether urlsplit surely accepts the host in `link`: all that it refuses are IPv6 or not ASCII."""
    return link.isascii() and "[" not in link and "]" not in link


def _trim(link: str) -> str:
    link = link.strip(_TRIMMED)
    return link.translate(_REMOVED) if "\n" in link or "\t" in link or "\r" in link else link
