"""Look up Wikipedia's namespaces, by which titles that are no articles begin, and its main pages, in namespaces.csv.

The table's row `*` holds the canonical English names, which work in every Wikipedia; small Wikipedias share a row with
the large one whose names theirs fall back on. A dump's siteinfo knows more, so its names can be added.
"""

import csv
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from importlib.resources import files

from metadata.languages import is_wikipedia

_EVERYWHERE = "*"

# Links to sister projects; with the codes of Wikipedias, no title can begin with one and a colon.
_INTERWIKI = frozenset(
    "b c commons d foundation m meta mw n q s species v voy w wikibooks wikidata wikinews wikipedia wikiquote "
    "wikisource wikispecies wikiversity wikivoyage wikt wiktionary wmf".split()
)


def _read() -> list[dict[str, str]]:
    return list(csv.DictReader(files("metadata.wikipedia").joinpath("namespaces.csv").read_text("utf-8").splitlines()))


def _by_wikipedia(column: str) -> dict[str, frozenset[str]]:
    names = defaultdict(set)
    for row in _read():
        for code in row["wikipedia"].split():
            names[code].update(_folded(row[column].split("|")))
    return {code: frozenset(named | names[_EVERYWHERE]) for code, named in names.items()}


def _folded(names: Iterable[str]) -> set[str]:
    return {folded(name) for name in names if name}


def folded(name: str) -> str:
    """Return `name` as MediaWiki compares namespaces: case and the kind of space do not count.

    >>> folded("User_Talk")
    'user talk'
    """
    return " ".join(name.replace("_", " ").split()).casefold()


_NAMES = _by_wikipedia("namespaces")
_MAIN_PAGES = _by_wikipedia("main_pages")
MAIN_PAGES = frozenset(title for row in _read() for title in row["main_pages"].split("|") if title)


class Namespaces:
    """The namespaces of every Wikipedia: the table's, and those that `more` adds to a code (from a dump's siteinfo).

    >>> Namespaces().hold("de", "Datei"), Namespaces().hold("de", "Star Trek")
    (True, False)
    """

    def __init__(self, more: Mapping[str, Collection[str]] | None = None):
        self._more = {code.replace("-", "_"): frozenset(_folded(names)) for code, names in (more or {}).items()}
        self._names = lru_cache(self._names_of)

    def hold(self, wikipedia: str, prefix: str) -> bool:
        """Return whether a title of `wikipedia` that begins with `prefix` and a colon is no article's."""
        return folded(prefix) in self._names(wikipedia) or is_wikipedia(prefix.lower())

    def _names_of(self, wikipedia: str) -> frozenset[str]:
        table = _NAMES.get(wikipedia, _NAMES[_EVERYWHERE])
        return table | _INTERWIKI | self._more.get(wikipedia, frozenset())


def is_main_page(wikipedia: str, title: str) -> bool:
    """Return whether `title` is that of the main page of `wikipedia`."""
    return folded(title) in _MAIN_PAGES.get(wikipedia, _MAIN_PAGES[_EVERYWHERE])
