"""Which files a build can be made from, and where they are published: dumps, page views, wordnets.

Every URL of the project's sources is in this module. None of them could be tried from where it was written: the layouts
are those that the publishers describe, and a first real run may find one that has moved. Fetching is in `download`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from metadata.languages import LANGUAGES, language
from runtime.errors import InputError

WIKIMEDIA = "https://dumps.wikimedia.org"  # untried; a mirror has the same folders below its own URL
NLTK = "https://raw.githubusercontent.com/nltk/nltk_data/gh-pages"  # untried

# Below WIKIMEDIA. `wiki` is a Wikipedia's code with underscores and "wiki" behind it, `dump` is "latest" or YYYYMMDD.
DUMP = "{wiki}/{dump}/{wiki}-{dump}-pages-articles-multistream.xml.bz2"
DUMP_CHECKSUMS = "{wiki}/{dump}/{wiki}-{dump}-sha1sums.txt"  # that of "latest" lists the names with the date
HOURLY = "other/pageviews/{day:%Y}/{day:%Y-%m}/pageviews-{day:%Y%m%d}-{hour:02}0000.gz"  # no checksums published
DAILY = "other/pageview_complete/{day:%Y}/{day:%Y-%m}/pageviews-{day:%Y%m%d}-user.bz2"  # likewise
FIRST_PAGEVIEWS = date(2015, 5, 1)

# Below NLTK; checksums are attributes in its index. Open English WordNet (en-word.net) is left out: names of synsets,
# which SPEC asks for, are only in Princeton's files. So are archives of tar (OMW 2, OdeNet): `wordnet` reads none.
NLTK_INDEX = "index.xml"
WORDNETS = {
    "packages/corpora/wordnet.zip": "eng",
    "packages/corpora/omw-1.4.zip": "als arb bul cat cmn dan ell eus fin fra glg heb hrv ind isl ita jpn lit nld nno"
    " nob pol por ron slk slv spa swe tha zsm",
}

_DUMP_OF = {"be_tarask": "be_x_old"}  # Wikipedias whose dump has a name of its own


@dataclass(frozen=True)
class Published:
    """Where a file's checksum is published: at `url`, beside `name`; `form` is that of sha1sum or NLTK's index."""

    url: str
    name: str
    form: str = "sums"


@dataclass(frozen=True)
class Download:
    """One file to fetch; `path` is its place below the folder of downloads.

    Without `published`, the checksums that .gz, .bz2, .xz and .zip carry inside are all there is to check.
    """

    url: str
    path: str
    published: Published | None = None

    def __post_init__(self):
        for url in (self.url, *([self.published.url] if self.published else [])):
            require_http(url)
        path = PurePosixPath(self.path)
        if not path.name or path.is_absolute() or ".." in path.parts:
            raise InputError(f"{self.path!r} is to be a place below the folder of downloads; give a relative path")


@dataclass(frozen=True)
class Snapshot:
    """Which dumps, and from which days and hours page views are drawn; the defaults are this project's choice.

    An hour of all Wikipedias is about 50 MB, a whole day about 500 MB; both serve every language.
    """

    dump: str = "latest"  # or the day a dump began, YYYYMMDD
    first_day: date = date(2024, 1, 1)
    last_day: date = date(2024, 12, 31)
    days: int = 26
    hours: int = 1  # of each day; 24 takes the daily file instead, which holds desktop and mobile views of readers

    def __post_init__(self):
        if self.dump != "latest" and not (self.dump.isascii() and self.dump.isdigit() and len(self.dump) == 8):
            raise InputError(f"dump is {self.dump!r}; it must be 'latest' or a day such as 20240101")
        if not FIRST_PAGEVIEWS <= self.first_day <= self.last_day:
            raise InputError(
                f"page views from {self.first_day} to {self.last_day}; give a first day that is not"
                f" before {FIRST_PAGEVIEWS} nor after the last"
            )
        available = (self.last_day - self.first_day).days + 1
        if not 1 <= self.days <= available:
            raise InputError(f"days is {self.days}; it must be 1 to {available}, as many as the span has")
        if not 1 <= self.hours <= 24:
            raise InputError(f"hours is {self.hours}; it must be 1 to 24")


def plan(
    languages: Iterable[str] | None,
    what: Iterable[str],
    seed: int = 0,
    mirror: str | None = None,
    snapshot: Snapshot | None = None,
) -> list[Download]:
    """Return the files of each source in `what` for these languages (None: all), in a fixed order.

    `mirror` is the URL of a copy of dumps.wikimedia.org. Which days and hours are drawn depends on the seed alone.
    """
    names = list(what)
    unknown = [name for name in names if name not in SOURCES]
    if unknown or isinstance(what, str):
        raise InputError(f"cannot download {unknown or what!r}; choose from {', '.join(SOURCES)}")
    codes = None if languages is None else {language(code).code for code in languages}
    chosen = [each for each in LANGUAGES if codes is None or each.code in codes]
    base = require_http(mirror or WIKIMEDIA).rstrip("/")
    arguments = (chosen, base, seed, snapshot or Snapshot())
    return [download for name in SOURCES if name in names for download in SOURCES[name](*arguments)]


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


def _wordnets(chosen, base, seed, snapshot) -> Iterator[Download]:
    """Yield each archive that has a wordnet of a chosen language."""
    wanted = {code for each in chosen for code in each.wordnet}
    for path, codes in WORDNETS.items():
        if wanted & set(codes.split()):
            name = PurePosixPath(path)
            published = Published(f"{NLTK}/{NLTK_INDEX}", name.stem, form="nltk")
            yield Download(f"{NLTK}/{path}", f"wordnet/{name.name}", published)


def _dumps(chosen, base, seed, snapshot) -> Iterator[Download]:
    """Yield the dump of each Wikipedia that is merged into a chosen language."""
    for code in dict.fromkeys(_DUMP_OF.get(code, code) for each in chosen for code in each.wikipedia):
        names = {"wiki": f"{code}wiki", "dump": snapshot.dump}
        name = PurePosixPath(DUMP.format(**names)).name
        published = Published(f"{base}/{DUMP_CHECKSUMS.format(**names)}", name)
        yield Download(f"{base}/{DUMP.format(**names)}", f"wikipedia/{name}", published)


def _pageviews(chosen, base, seed, snapshot) -> Iterator[Download]:
    """Yield the files of the drawn days and hours; each holds all Wikipedias."""
    span = (snapshot.last_day - snapshot.first_day).days + 1
    days = [snapshot.first_day + timedelta(i) for i in range(span)]
    for day in _drawn(seed, "day", days, snapshot.days):
        for hour in _hours(seed, day, snapshot.hours):
            path = (DAILY if hour is None else HOURLY).format(day=day, hour=hour)
            yield Download(f"{base}/{path}", f"pageviews/{PurePosixPath(path).name}")


def _hours(seed: int, day: date, count: int) -> list[int | None]:
    return [None] if count == 24 else _drawn(seed, f"hour of {day}", range(24), count)


def _drawn(seed: int, purpose: str, items: Iterable, count: int) -> list:
    """Return the `count` items with the smallest draws, in their own order; a larger count adds to a smaller one's."""
    return sorted(sorted(items, key=lambda item: _draw(seed, purpose, item))[:count])


def _draw(seed: int, purpose: str, item) -> bytes:
    return blake2b(str(item).encode(), digest_size=8, key=f"{seed}/pageviews/{purpose}".encode()).digest()


SOURCES = {"wordnet": _wordnets, "wikipedia": _dumps, "pageviews": _pageviews}
