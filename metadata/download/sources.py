"""Plan the files to fetch for a build, with the URLs at which dumps, page views and wordnets are published.

All URLs of the project's sources are in this module. None of them has been tried: they follow the layouts that the
publishers describe, and a first real run may find one that has moved. Fetching is in `fetch`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import TypeVar

from metadata.download.planned import Download, Listing, Published, content_current, pages_articles, require_http
from metadata.languages import LANGUAGES, Language, language
from runtime.errors import InputError, ParameterError

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
class _Wanted:
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
    wanted = _Wanted(chosen, base, seed, snapshot or Snapshot())
    return [download for name in SOURCES if name in names for download in SOURCES[name](wanted)]


def _wordnets(wanted: _Wanted) -> Iterator[Download]:
    """Yield each archive of the chosen wordnets that has a chosen language."""
    languages = {code for each in wanted.languages for code in each.wordnet}
    for url, codes in [item for name in wanted.snapshot.wordnets for item in WORDNETS[name].items()]:
        if languages & set(codes.split()):
            name = PurePosixPath(url)
            published = Published(f"{NLTK}/{NLTK_INDEX}", name.stem, form="nltk") if url.startswith(NLTK) else None
            yield Download(url, f"wordnet/{name.name}", published)


def _dumps(wanted: _Wanted) -> Iterator[Listing]:
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


def _pageviews(wanted: _Wanted) -> Iterator[Download]:
    """Yield the file of an hour of each drawn day; each holds all Wikipedias."""
    for day in sorted(_drawn(wanted.seed, "day", PAGEVIEW_DAYS, DRAWN_DAYS)):
        [hour] = _drawn(wanted.seed, f"hour of {day}", range(24), 1)
        path = HOURLY.format(day=day, hour=hour)
        yield Download(f"{wanted.base}/{path}", f"pageviews/{PurePosixPath(path).name}")


def _drawn(seed: int, purpose: str, items: Iterable[Item], count: int) -> list[Item]:
    """Return the `count` items whose hashes with the seed are smallest."""
    key = f"{seed}/pageviews/{purpose}".encode()
    return sorted(items, key=lambda item: blake2b(str(item).encode(), digest_size=8, key=key).digest())[:count]


SOURCES: dict[str, Callable[[_Wanted], Iterator[Download | Listing]]] = {
    "wordnet": _wordnets,
    "wikipedia": _dumps,
    "pageviews": _pageviews,
}
