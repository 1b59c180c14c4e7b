"""Plan the files to fetch for a build, with the URLs at which they are published, and check files against checksums.

All URLs of the project's sources are in this module. None of them has been tried: they follow the layouts that the
publishers describe, and a first real run may find one that has moved. Fetching is in `fetch`.
"""

from __future__ import annotations

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
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from metadata.languages import LANGUAGES, Language, language
from runtime.errors import InputError, ParameterError

_DATE = re.compile(r"-\d{8}-")

_KINDS = {32: "md5", 40: "sha1", 64: "sha256"}  # by the number of hex digits
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
DUMP_CHECKSUMS = f"{DUMP}/{{wiki}}-{{dump}}-sha1sums.txt"  # that of "latest" lists the names with the date
# The successor of the dumps, published in parts; a dump is whole once it has the file _SUCCESS.
CONTENT_CURRENT = "other/mediawiki_content_current/{wiki}/{day}/xml/bzip2"
CONTENT_CHECKSUMS, CONTENT_MARKER = "SHA256SUMS", "_SUCCESS"
HOURLY = "other/pageviews/{day:%Y}/{day:%Y-%m}/pageviews-{day:%Y%m%d}-{hour:02}0000.gz"  # no checksums published
PAGEVIEW_DAYS = [date(2024, 1, 1) + timedelta(i) for i in range(366)]  # from which DRAWN_DAYS are drawn
DRAWN_DAYS = 26  # an hour of each, of all Wikipedias: about 50 MB

NLTK_INDEX = "index.xml"  # below NLTK; checksums are attributes in it
# Releases without published checksums, as the index of the package wn 1.1.1 lists them; untried, too.
OMW = "https://github.com/omwn/omw-data/releases/download/v2.0"
OMW_LEXICONS = (  # name of a lexicon, and its language where the name is no ISO 639-3
    "arb bg:bul ca:cat cmn da:dan el:ell en:eng es:spa eu:eus fi:fin fr:fra gl:glg he:heb hr:hrv id:ind is:isl it:ita"
    " iwn:ita ja:jpn lt:lit nb:nob nl:nld nn:nno pl:pol pt:por ro:ron sk:slk sl:slv sq:als sv:swe th:tha zsm"
)

# What --download-wordnets names: URLs, and the languages of each. English entries are names of synsets, which the
# files of Princeton and the members of synsets in Open English WordNet give; of English in OMW it is not known.
WORDNETS = {
    "wordnet": {f"{NLTK}/packages/corpora/wordnet.zip": "eng"},
    "omw-1.4": {
        f"{NLTK}/packages/corpora/omw-1.4.zip": "als arb bul cat cmn dan ell eus fin fra glg heb hrv ind isl ita jpn"
        " lit nld nno nob pol por ron slk slv spa swe tha zsm"
    },
    "omw-2.0": {
        f"{OMW}/omw-{name}-2.0.tar.xz": code or name
        for name, _, code in (lexicon.partition(":") for lexicon in OMW_LEXICONS.split())
    },
    "oewn-2025": {"https://en-word.net/static/english-wordnet-2025.xml.gz": "eng"},
    "odenet-1.4": {"https://github.com/hdaSprachtechnologie/odenet/releases/download/v1.4/odenet-1.4.tar.xz": "deu"},
}

Item = TypeVar("Item")

_DUMP_OF = {"be_tarask": "be_x_old"}  # Wikipedias whose dump has a name of its own


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

    Parts are preferred because tasks read them in parallel. The whole is made of the parts, so parts without it are
    perhaps not all published yet.
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


@dataclass(frozen=True)
class Snapshot:
    """The dumps and wordnets to take."""

    dump: str = "latest"  # or the day a dump began, YYYYMMDD
    content_current: bool = False  # instead of pages-articles
    wordnets: tuple[str, ...] = ("wordnet", "omw-1.4")  # keys of WORDNETS

    def __post_init__(self) -> None:
        if self.dump != "latest" and not (self.dump.isascii() and self.dump.isdigit() and len(self.dump) == 8):
            raise ParameterError(f"is {self.dump!r}; it must be 'latest' or a day such as 20240101", "dump")
        if self.content_current and self.dump == "latest":
            raise InputError("mediawiki_content_current has no latest dump; give --dump with its day, such as 20251101")


@dataclass(frozen=True)
class _WantedFiles:
    """The languages whose files are planned, where they are, and the seed that draws the days."""

    languages: list[Language]
    base: str  # URL of Wikimedia's dumps
    seed: int
    snapshot: Snapshot


def plan(
    languages: Iterable[str] | None,
    sources: Iterable[str],
    seed: int = 0,
    mirror: str | None = None,
    snapshot: Snapshot | None = None,
) -> list[Download | Listing]:
    """Return the files of each of `sources` for these languages (None: all), in a fixed order.

    A dump is a listing, whose files `fetch.look_up` finds. `mirror` is the URL of a copy of dumps.wikimedia.org. The
    days and hours that are drawn depend on the seed alone.
    """
    names = set(sources)
    codes = None if languages is None else {language(code).code for code in languages}
    chosen = [each for each in LANGUAGES if codes is None or each.code in codes]
    base = require_http(mirror or WIKIMEDIA).rstrip("/")
    wanted = _WantedFiles(chosen, base, seed, snapshot or Snapshot())
    return [download for name in SOURCES if name in names for download in SOURCES[name](wanted)]


def _wordnets(wanted: _WantedFiles) -> Iterator[Download]:
    """Yield each archive of the chosen wordnets that has a chosen language."""
    languages = {code for each in wanted.languages for code in each.wordnet}
    for url, codes in [item for name in wanted.snapshot.wordnets for item in WORDNETS[name].items()]:
        if languages & set(codes.split()):
            name = PurePosixPath(url)
            published = Published(f"{NLTK}/{NLTK_INDEX}", name.stem, form="nltk") if url.startswith(NLTK) else None
            yield Download(url, f"wordnet/{name.name}", published)


def _dumps(wanted: _WantedFiles) -> Iterator[Listing]:
    """Yield the dump of each Wikipedia that is merged into a chosen language."""
    snapshot = wanted.snapshot
    for code in dict.fromkeys(_DUMP_OF.get(code, code) for each in wanted.languages for code in each.wikipedia):
        wiki = f"{code}wiki"
        if snapshot.content_current:
            day = f"{snapshot.dump[:4]}-{snapshot.dump[4:6]}-{snapshot.dump[6:]}"
            folder = f"{wanted.base}/{CONTENT_CURRENT.format(wiki=wiki, day=day)}"
            sums, marker = f"{folder}/{CONTENT_CHECKSUMS}", f"{folder}/{CONTENT_MARKER}"
            yield Listing(sums, folder, "wikipedia", partial(content_current, wiki, day), marker)
        else:
            names = {"wiki": wiki, "dump": snapshot.dump}
            folder, sums = (f"{wanted.base}/{form.format(**names)}" for form in (DUMP, DUMP_CHECKSUMS))
            yield Listing(sums, folder, "wikipedia", partial(pages_articles, wiki, snapshot.dump))


def _pageviews(wanted: _WantedFiles) -> Iterator[Download]:
    """Yield the file of an hour of each drawn day; each holds all Wikipedias."""
    for day in sorted(_drawn(wanted.seed, "day", PAGEVIEW_DAYS, DRAWN_DAYS)):
        [hour] = _drawn(wanted.seed, f"hour of {day}", range(24), 1)
        path = HOURLY.format(day=day, hour=hour)
        yield Download(f"{wanted.base}/{path}", f"pageviews/{PurePosixPath(path).name}")


def _drawn(seed: int, purpose: str, items: Iterable[Item], count: int) -> list[Item]:
    """Return the `count` items whose hashes with the seed are smallest."""
    key = f"{seed}/pageviews/{purpose}".encode()
    return sorted(items, key=lambda item: blake2b(str(item).encode(), digest_size=8, key=key).digest())[:count]


SOURCES: dict[str, Callable[[_WantedFiles], Iterator[Download | Listing]]] = {
    "wordnet": _wordnets,
    "wikipedia": _dumps,
    "pageviews": _pageviews,
}


def published_digest(published: Published, text: str) -> str | None:
    """Return the checksum in hex that the published `text` gives for a file, or None if it gives none.

    >>> sums = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709  enwiki-20240101-pages.xml.bz2"
    >>> published_digest(Published("https://a.org/sums", "enwiki-latest-pages.xml.bz2"), sums)
    'da39a3ee5e6b4b0d3255bfef95601890afd80709'
    """
    if published.form == "nltk":
        digest = _in_nltk_index(published.name, text)
    else:
        sums = listed(text)
        digest = ({redated(name, "latest"): sums[name] for name in sums} | sums).get(published.name, "")
    return digest.lower() if re.fullmatch("[0-9a-fA-F]+", digest) and len(digest) in _KINDS else None


def listed(text: str) -> dict[str, str]:
    """Return the checksum of each file that the output of md5sum and the like lists, by its name."""
    return {match[2].rstrip(): match[1] for match in map(_SUMS_LINE.fullmatch, text.splitlines()) if match}


def _in_nltk_index(name: str, text: str) -> str:
    """Return the better of the two checksums of a package."""
    for package in _PACKAGE.findall(text):
        attributes = dict(_ATTRIBUTE.findall(package))
        if attributes.get("id") == name:
            return attributes.get("sha256_checksum") or attributes.get("checksum", "")
    return ""


def kind(digest: str) -> str:
    """Return the name of the checksum that has as many digits as `digest`."""
    return _KINDS[len(digest)]


def fault(path: Path, digest: str | None, name: str, pause: Callable[[], None]) -> str:
    """Return why a file is not the one with this checksum, or an empty string.

    Without one, those inside a compressed file called `name` decide; a file of another ending has none and passes.
    `pause` is called after each piece and may raise.
    """
    if digest is None:
        return _damage(path, Path(name).suffix, pause)
    found = hashlib.new(kind(digest), usedforsecurity=False)
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
            pause()
    return "" if found.hexdigest() == digest else f"its {found.name} is {found.hexdigest()}, not {digest} as published"


def _damage(path: Path, ending: str, pause: Callable[[], None]) -> str:
    try:
        if ending in _READERS:
            with _READERS[ending](path) as file:
                while file.read(_PIECE):
                    pause()
            return "" if path.stat().st_size else "it is empty"  # gzip takes a file of no bytes for a whole one
    except _BROKEN as error:
        return f"it is no whole {ending} file ({error})"
    return ""
