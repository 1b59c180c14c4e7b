"""Make the candidates of a web page: resolve links, pair images with their texts, and read usage signals.

Links are resolved as `urllib.parse.urljoin` does; absolute URLs stay unchanged. Signals, such as `noai`, are in
headers, metas and attributes. They remove nothing here: the policy rules in `gate.policies` act on them. Images that
give no pair are counted.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import pyarrow as pa

from curation.inputs.candidates import BATCH_BYTES, BATCH_ROWS, HTTP_URL, Row, candidates, clean, columns_of
from curation.preferences import refuses_training
from curation.schemas import (
    CANDIDATES,
    CONTENT_USAGE,
    DATA_NOAI,
    IMAGE_PLACES,
    PAGE_KINDS,
    RECORD,
    SIGNALS,
    STATED,
    TDM_RESERVATION,
)
from runtime.arrow import gather_rows
from runtime.tallies import Tally

EMPTY_URL = "empty_url"
BAD_URL = "bad_url"
NOT_HTTP = "not_http"

LONGEST_BASE = 4096  # characters of a page's URL or base, which each of its pairs repeats; servers refuse 8,190

_is_http = re.compile(HTTP_URL).match
_has_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:").match
_has_http_scheme = re.compile(r"(?i)https?:").match

# The URL standard trims C0 controls and spaces, and removes tabs and line ends anywhere.
_TRIMMED = "".join(map(chr, range(0x21)))
_REMOVED = str.maketrans("", "", "\t\n\r")

# The directory, root and scheme of most pages can be read off, because urljoin would not alter any part of their URLs.
_plain_page = re.compile(
    r"(?P<directory>(?P<root>(?P<scheme>https?:)//[A-Za-z0-9.-]+)/(?:(?!\.)[^/?#;\x00-\x20\x7f-\U0010ffff]+/)*)"
    r"[^/?#;\x00-\x20\x7f-\U0010ffff]*(?:\?[!\"$-~]*)?"
).fullmatch

# urljoin resolves dot segments, and drops parts that are empty.
_ALTERED = ("./", ".?", ";", "#")

# Matches a link that names a host or begins at the root. Groups: host (without user and port), path, and query.
_TARGET = re.compile(
    r"(?:(?:https?:)?//(?:[^/?#@]*@)?([^/?#:@]+)(?::[0-9]*)?(?=[/?#]|\Z)|(?=/))([^?#]*)(\?[^#]*)?", re.I
)
_plain_host = re.compile(r"https?://([A-Za-z0-9.-]+)/").match
_is_picture = re.compile(r"\.(?:jpe?g|png|gif|webp|avif)\Z", re.I | re.A).search

_NUMBER = re.compile(r"\s*\+?([0-9]{1,6})(?:\.[0-9]*)?\s*(?:px)?\s*", re.I | re.A)

_NAMES = ("url", "text", "kind", "page_url", *(field.name for field in STATED), "page_language")
PAGE_PAIRS = pa.schema([*(CANDIDATES.field(name) for name in _NAMES), RECORD.field("offset")])
_file_of_crawl = re.compile(r"(?:crawl-data/)?CC-MAIN-\d{4}-\d{2}(?:-\d{2})?/[^?#]+|[^/?#]+(?=[?#]|\Z)", re.A).search


class Links:
    """Resolves the links of one page; ValueError if its URL `page` cannot be parsed, or its URL or base is too long."""

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
        """The prefixes of links such as a.jpg, /a.jpg and //b.org/a.jpg; None if the base is not http(s)."""
        return (self._directory, self._root, self._scheme) if _is_http(self._root) else None

    def resolve(self, link: str) -> tuple[str, None] | tuple[None, str]:
        """Return the absolute http(s) URL that `link` means and None, or None and the reason why there is none.

        >>> Links("https://a.org/b/c").resolve("../d.jpg")
        ('https://a.org/d.jpg', None)
        >>> Links("https://a.org/b/c").resolve("data:image/gif;base64,R0lG")
        (None, 'not_http')
        """
        link = _trim(link)
        if not link:
            return None, EMPTY_URL
        if _is_http(link) and _is_plain_host(link):
            return link, None
        try:
            url = self._join(link)
        except ValueError:
            return None, BAD_URL
        return (url, None) if _is_http(url) else (None, NOT_HTTP)

    def _join(self, link: str) -> str:
        if _is_http(link):
            urlsplit(link)  # This refuses impossible hosts.
            return link
        if (
            ":" in link and _has_scheme(link) and not _has_http_scheme(link)
        ):  # A link such as http:a.jpg may be relative.
            return link
        return self._join_plain(link) or urljoin(self._base, link)

    def _join_plain(self, link: str) -> str | None:
        """Return the URL of `link`, ten times as fast as urljoin; None if urljoin might alter a part of it."""
        if link[-1] in "?." or link[0] == "?" or any(map(link.__contains__, _ALTERED)) or "//" in link[1:]:
            return None
        if link[0] != "/":
            return self._directory + link if ":" not in link else None
        if link[1:2] != "/":
            return self._root + link
        return self._scheme + link if link[2:3] not in ("", "/", "?") and _is_plain_host(link) else None


def _base_url(page: str, base: str | None) -> str:
    """Return the URL that links are relative to: the `<base href>` if it is a web address, else the page's URL."""
    urlsplit(page)
    if not base:
        return page
    try:
        url = urljoin(page, _trim(base))
    except ValueError:
        return page
    return url if _is_http(url) else page


def _is_plain_host(link: str) -> bool:
    """Say whether urlsplit surely accepts the host in `link`: it refuses only hosts that are IPv6 or not ASCII."""
    return link.isascii() and "[" not in link and "]" not in link


def _trim(link: str) -> str:
    link = link.strip(_TRIMMED)
    return link.translate(_REMOVED) if "\n" in link or "\t" in link or "\r" in link else link


_HOME = IMAGE_PLACES["in home link"]
_AWAY = IMAGE_PLACES["in link away"]
_ROBOTS = {name: SIGNALS[name] for name in ("noai", "noimageai", "noindex", "noimageindex", "noml")}
_ROBOTS["none"] = SIGNALS["noindex"]  # short for noindex and nofollow
_RESERVED = {"1": SIGNALS[TDM_RESERVATION]}
# A meta for one robot has its name, such as `googlebot` or `googlebot-news`. A directive for one robot counts for all.
_speaks_to_robots = re.compile(r"robots|x-robots-tag|[\w-]*bot(?:-[\w-]*)?", re.A).fullmatch


def page_signals(stated: Iterable[tuple[str, str]]) -> int:
    """Return a page's signals as bits.

    `stated` has name and value of each header field, and name (or http-equiv) and content of each meta.

    >>> page_signals([("X-Robots-Tag", "otherbot: NOAI"), ("robots", "none, noimageai"), ("tdm-reservation", "0")])
    7
    """
    signals = 0
    usages = []
    for name, value in stated:
        name = name.strip().lower()
        if name == CONTENT_USAGE:
            usages.append(value)
            continue
        bits = _bits_of(name)
        for token in value.split(",") if bits else ():
            signals |= bits.get(token.rpartition(":")[2].strip().lower(), 0)
    # The values of a repeated field are one dictionary (RFC 9651, section 4.2).
    if usages and refuses_training(", ".join(usages)):
        signals |= SIGNALS[CONTENT_USAGE]
    return signals


def states_signals(name: str) -> bool:
    """Return whether a header field or a meta of this name states signals."""
    name = name.strip().lower()
    return name == CONTENT_USAGE or bool(_bits_of(name))


def _bits_of(name: str) -> dict[str, int]:
    """Return the bit of each token that a header field or a meta of this name, in lower case, may state."""
    if name == TDM_RESERVATION:
        return _RESERVED
    return _ROBOTS if _speaks_to_robots(name) else {}


def image_signals(attributes: dict[str, str], places: int) -> tuple[int, int | None, int | None]:
    """Return an image's signals with `places` as bits, and its width and height; None for a size not in pixels."""
    signals = places | (SIGNALS[DATA_NOAI] if DATA_NOAI in attributes else 0)
    return signals, _pixels(attributes.get("width")), _pixels(attributes.get("height"))


def _pixels(value: str | None) -> int | None:
    number = _NUMBER.fullmatch(value) if value else None
    return int(number[1]) if number else None


def places_of_link(link: str, host: str) -> int:
    """Return the bits of IMAGE_PLACES for an image in a link, given the host of its page in lower case.

    A site is the last two labels of a host, or the last three if the second last has at most three letters and the last
    has two. A link to a picture shows the image itself, so it does not count as a link to another site.

    >>> links = "/", "//a.org#x", "http://img.Shop.co.uk/b", "//a.co.uk/b.JPG"
    >>> [places_of_link(link, "www.shop.co.uk") for link in links]
    [2048, 6144, 0, 0]
    >>> places_of_link("https://a.co.uk/?b", "www.shop.co.uk")
    4096
    """
    target = _TARGET.match(_trim(link))
    if not target:
        return 0
    other, path, query = target.groups()
    bits = _HOME if path in ("", "/") and not query and (other is not None or path) else 0
    if other is None or _site(other.lower()) == _site(host) or _is_picture(path):
        return bits
    return bits | _AWAY


def host_of(url: str) -> str:
    """Return the host of a URL, or "" where it has none, in lower case."""
    if plain := _plain_host(url):  # Most URLs have a plain host.
        return plain[1].lower()
    target = _TARGET.match(url)
    return (target[1] or "").lower() if target else ""


def _site(host: str) -> str:
    labels = host.split(".")
    is_long = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3 if is_long else -2 :])


class Image(NamedTuple):
    """An image's link and attributes, its stated signals, size, surroundings and language, and the link around it."""

    link: Any
    attributes: dict[str, Any]
    signals: int = 0
    width: int | None = None
    height: int | None = None
    surroundings: int | None = None
    language: str | None = None
    target: str | None = None


class Page(NamedTuple):
    """A page, its images, its signals as bits, and its record's offset in the file; links and texts are unchecked."""

    url: str
    base: str | None
    images: list[Image]
    signals: int = 0
    offset: int = 0


def pairs_of_page(page: Page, tally: Tally) -> Iterator[Row]:
    """Yield the pairs on a page as rows with the columns of PAGE_PAIRS; count dropped pairs."""
    try:
        resolve = Links(page.url, page.base).resolve
    except ValueError:
        tally["dropped", "bad_page_url"] += 1
        return
    tally["pages"] += 1
    tally["image_links"] += len(page.images)
    host = host_of(page.url)
    for image in page.images:
        texts = _texts(image.attributes, tally)
        if not texts:
            continue
        link = image.link
        url, reason = resolve(link) if type(link) is str else (None, EMPTY_URL if link is None else BAD_URL)
        if reason is not None:
            tally["dropped", reason] += len(texts)
            continue
        signals = page.signals | image.signals | (places_of_link(image.target, host) if image.target else 0)
        for kind, text in texts:
            stated = (signals, image.width, image.height, image.surroundings, image.language)
            yield url, text, kind, page.url, *stated, page.offset


def _texts(attributes: dict[str, Any], tally: Tally) -> list[tuple[str, str]]:
    """Return (kind, text) of each usable text of an image; count other texts, and an image that states none."""
    stated = [(kind, attributes[kind]) for kind in PAGE_KINDS if kind in attributes]
    if not stated:
        tally["dropped", "no_text"] += 1
    texts = []
    for kind, text in stated:
        if type(text) is str and (text := clean(text)):
            texts.append((kind, text))
        else:
            tally["dropped", "empty_text" if text in (None, "") else "bad_text"] += 1
    return texts


def name_of_file(path: str) -> str:
    """Return the part of a path from the crawl's name (or `crawl-data/`) on, or the file's name if it has no crawl.

    >>> name_of_file("https://a.org/crawl-data/CC-MAIN-2024-10/segments/1/wat/b.wat.gz?key=1"), name_of_file("/c/b.gz")
    ('crawl-data/CC-MAIN-2024-10/segments/1/wat/b.wat.gz', 'b.gz')
    """
    match = _file_of_crawl(path)
    return match[0] if match else path


def page_pairs(*columns: pa.Array, offsets: pa.Array | None = None) -> pa.RecordBatch:
    """Return a batch of PAGE_PAIRS: first `columns`, last `offsets`, if given; all other columns are null."""
    last = [] if offsets is None else [offsets]
    fields = list(PAGE_PAIRS)[len(columns) : len(PAGE_PAIRS) - len(last)]
    nulls = [pa.nulls(len(columns[0]), field.type) for field in fields]
    return pa.RecordBatch.from_arrays([*columns, *nulls, *last], schema=PAGE_PAIRS)


def from_rows(rows: Iterable[Row], tally: Tally) -> Iterator[pa.RecordBatch]:
    """Yield batches of rows with the schema PAGE_PAIRS; rows that UTF-8 cannot hold are left out and counted."""
    for columns in columns_of(rows, tally, PAGE_PAIRS.types):
        yield page_pairs(*columns)


def candidates_of_file(pairs: Iterable[pa.RecordBatch], tally: Tally, path: str = "") -> Iterator[pa.RecordBatch]:
    """Yield the pairs of a file, given with the schema PAGE_PAIRS, as CANDIDATES, and count them.

    A file without records is counted as `bad_file`, unless it was counted as `truncated` or `corrupt_gzip`.
    """
    file = name_of_file(path)
    for batch in gather_rows(pairs, BATCH_ROWS, BATCH_BYTES, exact=True):
        tally["pairs"] += batch.num_rows
        records = pa.StructArray.from_arrays([pa.repeat(file, batch.num_rows), batch["offset"]], fields=list(RECORD))
        yield candidates({name: batch[name] for name in _NAMES} | {"record": records})
    if not tally["records"] and not tally["dropped", "truncated"] and not tally["dropped", "corrupt_gzip"]:
        tally.clear()
        tally["dropped", "bad_file"] += 1
    tally["files"] += 1
