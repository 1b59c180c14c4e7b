"""Plan the files to fetch for a build, with the URLs at which they are published, and check files against checksums.

All URLs of the project's sources are in this module. No URL has been tried: the URLs follow the layouts that the
publishers describe, and a first real run may find one that has moved. Fetching is in `fetch`.
"""

import bz2
import gzip
import hashlib
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from hashlib import blake2b
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from metadata.languages import LANGUAGES, Language, language
from runtime.errors import InputError, ParameterError
from runtime.packages import table_rows

_DATE = re.compile(r"-\d{8}-")
_KINDS = {32: "md5", 40: "sha1", 64: "sha256"}  # checksums by their number of hex digits
_SUMS_LINE = re.compile(r"\\?([0-9a-f]+) [ *](?:\./)?(\S.*)", re.IGNORECASE)  # of md5sum, sha1sum, sha256sum
_PACKAGE = re.compile(r"<package\s[^>]*>")
_ATTRIBUTE = re.compile(r"([\w-]+)\s*=\s*[\"']([^\"']*)[\"']")
_READERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)
_PIECE = 1 << 20

WIKIMEDIA = "https://dumps.wikimedia.org"  # untried; a mirror has the same folders below its own URL
NLTK = "https://raw.githubusercontent.com/nltk/nltk_data/gh-pages"  # untried

# Below WIKIMEDIA. `wiki` is a Wikipedia's code with underscores and "wiki" behind it, `dump` is "latest" or YYYYMMDD.
DUMP = "{wiki}/{dump}"
DUMP_CHECKSUMS = f"{DUMP}/{{wiki}}-{{dump}}-sha1sums.txt"  # the list of "latest" has names with the date
# The successor of the dumps, published in parts; a dump is complete once it has the file _SUCCESS.
CONTENT_CURRENT = "other/mediawiki_content_current/{wiki}/{day}/xml/bzip2"
CONTENT_CHECKSUMS, CONTENT_MARKER = "SHA256SUMS", "_SUCCESS"
HOURLY = "other/pageviews/{day:%Y}/{day:%Y-%m}/pageviews-{day:%Y%m%d}-{hour:02}0000.gz"  # no checksums published
PAGEVIEW_DAYS = [date(2024, 1, 1) + timedelta(i) for i in range(366)]  # DRAWN_DAYS of these are drawn
DRAWN_DAYS = 26  # one hour of each day is fetched: a file of about 50 MB with all Wikipedias

NLTK_INDEX = "index.xml"  # below NLTK; has checksums as attributes
# The wordnets that --download-wordnets can name: URLs, untried, and the languages of each. Releases of OMW have no
# published checksums; their URLs are from the index of the package wn 1.1.1. English entries are names of synsets,
# which the files of Princeton and the members of synsets in Open English WordNet state. It is not known whether the
# English files of OMW state them.
WORDNETS: dict[str, dict[str, str]] = {}
for _row in table_rows("metadata.download", "wordnets.csv"):
    WORDNETS.setdefault(_row["name"], {})[_row["url"]] = _row["languages"]

Item = TypeVar("Item")

_DUMP_OF = {"be_tarask": "be_x_old"}  # Wikipedias whose dump has another name


@dataclass(frozen=True)
class Published:
    """The location of a file's published checksum: the list at `url`, and the file's `name` in it.

    `form` is "sums" for the output of sha1sum and the like, or "nltk" for NLTK's index.
    """

    url: str
    name: str
    form: str = "sums"


@dataclass(frozen=True)
class Download:
    """One file to fetch; `path` is relative to the folder of downloads.

    Without `published`, only the checksums inside of .gz, .bz2 and .xz files are checked.
    """

    url: str
    path: str
    published: Published | None = None


@dataclass(frozen=True)
class Listing:
    """A dump whose files can be chosen only after its published list of checksums, which names them, is read."""

    sums: str  # URL of the checksums
    folder: str  # URL of the folder of the files
    path: str  # of the dump's folder below the folder of downloads
    choose: Callable[[Iterable[str]], list[str]]  # names with a checksum → names to fetch
    marker: str | None = None  # URL of a file that exists once the dump is complete

    def downloads(self, listed: Iterable[str]) -> list[Download]:
        """Return the files to fetch as downloads; `listed` are the names in the dump's list of checksums."""
        return [
            Download(f"{self.folder}/{name}", f"{self.path}/{name}", Published(self.sums, name))
            for name in self.choose(listed)
        ]


def require_http(url: str) -> str:
    """Return `url` if it is an http or https URL with a host, else raise InputError."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise InputError(f"{url!r} is not a URL to download from; pass one that begins with https:// or http://")
    return url


def redated(name: str, date: str) -> str:
    """Return the name of a dump's file with its date replaced: the list of checksums of "latest" has dated names."""
    return _DATE.sub(f"-{date}-", name, count=1)


def pages_articles(wiki: str, dump: str, listed: Iterable[str]) -> list[str]:
    """Return the names of the numbered parts of pages-articles, or else of the multistream dump with its index.

    `listed` are the published names. Parts are preferred because tasks read parts in parallel. The whole dump is made
    from the parts, so parts are only used if the whole dump is also listed: otherwise some may not be published yet.
    """
    names = {redated(name, dump) for name in listed}
    start = f"{wiki}-{dump}-pages-articles"
    plain = _parts(rf"{start}(\d+)\.xml-p(\d+)p(\d+)\.bz2", names)
    if plain and f"{start}.xml.bz2" in names:
        return plain
    streams = _parts(rf"{start}-multistream(\d+)\.xml-p(\d+)p(\d+)\.bz2", names)
    indexes = _parts(rf"{start}-multistream-index(\d+)\.txt-p(\d+)p(\d+)\.bz2", names)
    whole = f"{start}-multistream.xml.bz2"
    index = f"{start}-multistream-index.txt.bz2"
    if streams and len(streams) == len(indexes) and whole in names:
        return [*chain.from_iterable(zip(streams, indexes, strict=True))]
    return [name for name in (whole, index) if name in names]


def content_current(wiki: str, day: str, listed: Iterable[str]) -> list[str]:
    """Return the names in `listed` of files with pages, of mediawiki_content_current of `day` (such as 2025-11-01)."""
    return list(_by_page(rf"{wiki}-{day}-(p)(\d+)p(\d+)\.xml\.bz2", listed))


def _parts(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names of parts in the order of their pages; empty if a part is missing or parts overlap.

    `pattern` has groups for the number of the part, and for its first and last page.
    """
    match_by_name = _by_page(pattern, names)
    numbers = {int(part[1]) for part in match_by_name.values()}
    pages = [(int(part[2]), int(part[3])) for part in match_by_name.values()]
    follow = all(end < start for (_, end), (start, _) in zip(pages, pages[1:], strict=False))
    return list(match_by_name) if numbers == set(range(1, len(numbers) + 1)) and follow else []


def _by_page(pattern: str, names: Iterable[str]) -> dict[str, re.Match[str]]:
    matches = ((name, re.fullmatch(pattern, name)) for name in names)
    match_by_name = {name: match for name, match in matches if match}
    return dict(sorted(match_by_name.items(), key=lambda item: int(item[1][2])))


@dataclass(frozen=True)
class Snapshot:
    """The dumps to fetch (their day, and whether they are of mediawiki_content_current) and the wordnets to fetch."""

    dump: str = "latest"  # or the day a dump began, YYYYMMDD
    content_current: bool = False  # instead of pages-articles
    wordnets: tuple[str, ...] = ("wordnet", "omw-1.4")  # keys of WORDNETS

    def __post_init__(self) -> None:
        if self.dump != "latest" and not (self.dump.isascii() and self.dump.isdigit() and len(self.dump) == 8):
            raise ParameterError(f"is {self.dump!r}; it must be 'latest' or a day such as 20240101", "dump")
        if self.content_current and self.dump == "latest":
            raise InputError("mediawiki_content_current has no latest dump; pass its day, such as --dump 20251101")


def plan(
    languages: Iterable[str] | None,
    sources: Iterable[str],
    seed: int = 0,
    mirror: str | None = None,
    snapshot: Snapshot | None = None,
) -> list[Download | Listing]:
    """Return the downloads of each of `sources` (keys of SOURCES) for these languages (None: all), in a fixed order.

    A dump is a Listing, whose files `fetch.files_to_fetch` finds. `mirror` is the URL of a copy of dumps.wikimedia.org.
    The drawn days and hours of page views depend only on the seed.
    """
    names = set(sources)
    codes = None if languages is None else {language(code).code for code in languages}
    chosen = [language for language in LANGUAGES if codes is None or language.code in codes]
    base = require_http(mirror or WIKIMEDIA).rstrip("/")
    downloads: list[Download | Listing] = []
    for name, downloads_of in SOURCES.items():
        if name in names:
            downloads += downloads_of(chosen, base, seed, snapshot or Snapshot())
    return downloads


def _wordnets(languages: list[Language], _: str, seed: int, snapshot: Snapshot) -> Iterator[Download]:
    """Yield the download of each archive, of the snapshot's wordnets, that has one of the languages."""
    wordnet_codes = set[str]().union(*(language.wordnet for language in languages))
    for url, codes in chain.from_iterable(WORDNETS[name].items() for name in snapshot.wordnets):
        if wordnet_codes & set(codes.split()):
            name = PurePosixPath(url)
            published = Published(f"{NLTK}/{NLTK_INDEX}", name.stem, form="nltk") if url.startswith(NLTK) else None
            yield Download(url, f"wordnet/{name.name}", published)


def _dumps(languages: list[Language], base: str, seed: int, snapshot: Snapshot) -> Iterator[Listing]:
    """Yield a listing of the dump of each Wikipedia that is merged into one of the languages."""
    wikipedias = chain.from_iterable(chosen.wikipedia for chosen in languages)
    for code in dict.fromkeys(_DUMP_OF.get(code, code) for code in wikipedias):
        wiki = f"{code}wiki"
        if snapshot.content_current:
            day = f"{snapshot.dump[:4]}-{snapshot.dump[4:6]}-{snapshot.dump[6:]}"
            folder = f"{base}/{CONTENT_CURRENT.format(wiki=wiki, day=day)}"
            sums = f"{folder}/{CONTENT_CHECKSUMS}"
            marker = f"{folder}/{CONTENT_MARKER}"
            yield Listing(sums, folder, "wikipedia", partial(content_current, wiki, day), marker)
        else:
            names = {"wiki": wiki, "dump": snapshot.dump}
            folder, sums = (f"{base}/{form.format(**names)}" for form in (DUMP, DUMP_CHECKSUMS))
            yield Listing(sums, folder, "wikipedia", partial(pages_articles, wiki, snapshot.dump))


def _pageviews(languages: list[Language], base: str, seed: int, snapshot: Snapshot) -> Iterator[Download]:
    """Yield a download for each day drawn: the page views of one hour, drawn at random, of all Wikipedias."""
    for day in sorted(_drawn(seed, "day", PAGEVIEW_DAYS, DRAWN_DAYS)):
        [hour] = _drawn(seed, f"hour of {day}", range(24), 1)
        path = HOURLY.format(day=day, hour=hour)
        yield Download(f"{base}/{path}", f"pageviews/{PurePosixPath(path).name}")


def _drawn(seed: int, purpose: str, items: Iterable[Item], count: int) -> list[Item]:
    """Return `count` items drawn from `items`: those with the smallest hashes, keyed by seed and purpose."""
    key = f"{seed}/pageviews/{purpose}".encode()
    return sorted(items, key=lambda item: blake2b(str(item).encode(), digest_size=8, key=key).digest())[:count]


# Plan a source, given languages, the URL of Wikimedia's dumps, the seed that draws days, and the snapshot.
SOURCES: dict[str, Callable[[list[Language], str, int, Snapshot], Iterator[Download | Listing]]] = {
    "wordnet": _wordnets,
    "wikipedia": _dumps,
    "pageviews": _pageviews,
}


def published_digest(published: Published, text: str) -> str | None:
    """Return a file's checksum in hex, read from `text`, the published list; None if the list has none for the file.

    >>> sums = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709  enwiki-20240101-pages.xml.bz2"
    >>> published_digest(Published("https://a.org/sums", "enwiki-latest-pages.xml.bz2"), sums)
    'da39a3ee5e6b4b0d3255bfef95601890afd80709'
    """
    if published.form == "nltk":
        digest = _in_nltk_index(published.name, text)
    else:
        sums = listed_checksums(text)
        digest = ({redated(name, "latest"): sums[name] for name in sums} | sums).get(published.name, "")
    return digest.lower() if re.fullmatch("[0-9a-fA-F]+", digest) and len(digest) in _KINDS else None


def listed_checksums(text: str) -> dict[str, str]:
    """Return the checksums by file name in `text`, the output of md5sum and the like."""
    return {match[2].rstrip(): match[1] for match in map(_SUMS_LINE.fullmatch, text.splitlines()) if match}


def _in_nltk_index(name: str, text: str) -> str:
    """Return a package's SHA-256 in NLTK's index, or else its attribute `checksum`, or else an empty string."""
    for package in _PACKAGE.findall(text):
        attributes = dict(_ATTRIBUTE.findall(package))
        if attributes.get("id") == name:
            return attributes.get("sha256_checksum") or attributes.get("checksum", "")
    return ""


def kind(digest: str) -> str:
    """Return the kind of a checksum (md5, sha1 or sha256), by its number of hex digits."""
    return _KINDS[len(digest)]


def fault(path: Path, digest: str | None, name: str, pause: Callable[[], None]) -> str:
    """Return the reason why a file fails its check, or an empty string if it passes.

    The file must have the checksum `digest`. If `digest` is None, the checksums inside of a compressed file, by the
    ending of `name`, must be right; files of other endings pass. `pause` is called after each piece and may raise.
    """
    if digest is None:
        return _damage(path, Path(name).suffix, pause)
    checksum = hashlib.new(kind(digest), usedforsecurity=False)
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            checksum.update(piece)
            pause()
    actual = checksum.hexdigest()
    return "" if actual == digest else f"its {checksum.name} is {actual}, not {digest} as published"


def _damage(path: Path, ending: str, pause: Callable[[], None]) -> str:
    try:
        if ending in _READERS:
            with _READERS[ending](path) as file:
                while file.read(_PIECE):
                    pause()
            return "" if path.stat().st_size else "it is empty"  # gzip accepts an empty file.
    except _BROKEN as error:
        return f"it is not a complete {ending} file ({error})"
    return ""
