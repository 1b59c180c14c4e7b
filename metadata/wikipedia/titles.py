"""Decode page titles, and drop titles that are not of articles: other namespaces, main pages, invalid titles.

namespaces.csv has the namespace names of each large Wikipedia. Its row `*` holds the canonical English names, which
work in every Wikipedia. A small Wikipedia is listed in the row of the large one whose names it uses, too. The siteinfo
of a dump may add names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metadata.languages import is_wikipedia, rows

_ESCAPE = "%[0-9A-Fa-f]{2}"
# What MediaWiki allows in no title; an escape left after decoding was escaped twice.
_ILLEGAL = rf"^(:|$)|[\x00-\x1f\x7f#<>\[\]{{|}}\x{{fffd}}]|{_ESCAPE}|&#?[A-Za-z0-9]+;"
_LONGEST = 255  # bytes of a title
# A letter and a sign as cp1252 shows the two bytes of one letter: Ã©.
_LIKE_MOJIBAKE = r"[\x{c2}-\x{f4}][\x{80}-\x{bf}ŒœŠšŸŽžƒˆ˜–-›€™]"
# Domains that an address without a scheme has before its first slash: en.wikipedia.org/wiki/Dog, but not St.John/Bahn.
_DOMAINS = "com net org edu gov mil info biz io tv at au br ca ch cn cz de es eu fr it jp kr nl pl ru se uk".split()
_URL = (
    r"(?i)(?:https?|ftp):/|(?:^|[^\p{L}\p{N}.])www\.[\p{L}\p{N}]|"
    rf"[\p{{L}}\p{{N}}-]{{2}}\.(?:{'|'.join(_DOMAINS)})/"
)

_EVERYWHERE = "*"

# Links to sister projects; with the codes of Wikipedias, no title can begin with one and a colon.
_INTERWIKI = frozenset(
    "b c commons d foundation m meta mw n q s species v voy w wikibooks wikidata wikinews wikipedia wikiquote "
    "wikisource wikispecies wikiversity wikivoyage wikt wiktionary wmf".split()
)


def _by_wikipedia(column: str) -> dict[str, frozenset[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for row in rows("wikipedia/namespaces.csv"):
        for code in row["wikipedia"].split():
            names[code].update(_folded(row[column].split("|")))
    return {code: frozenset(named | names[_EVERYWHERE]) for code, named in names.items()}


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(folded(name) for name in names if name)


def folded(name: str) -> str:
    """Return `name` as MediaWiki compares namespaces: case and the kind of space do not count.

    >>> folded("User_Talk")
    'user talk'
    """
    return " ".join(name.replace("_", " ").split()).casefold()


_NAMES = _by_wikipedia("namespaces")
_MAIN_PAGES = _by_wikipedia("main_pages")
MAIN_PAGES = frozenset(
    title for row in rows("wikipedia/namespaces.csv") for title in row["main_pages"].split("|") if title
)


class Namespaces:
    """The namespaces of every Wikipedia: the table's, and those that `more` adds to a code (from a dump's siteinfo).

    >>> Namespaces().hold("de", "Datei"), Namespaces().hold("de", "Star Trek")
    (True, False)
    """

    def __init__(self, more: Mapping[str, Collection[str]] | None = None):
        self._more = {code.replace("-", "_"): _folded(names) for code, names in (more or {}).items()}

    def hold(self, wikipedia: str, prefix: str) -> bool:
        """Return whether a title of `wikipedia` that begins with `prefix` and a colon is no article's."""
        known = (_NAMES.get(wikipedia, _NAMES[_EVERYWHERE]), _INTERWIKI, self._more.get(wikipedia, frozenset()))
        return any(folded(prefix) in names for names in known) or is_wikipedia(prefix.lower())


def _is_main_page_of(wikipedia: str, title: str) -> bool:
    """Return whether `title` is that of the main page of `wikipedia`."""
    return folded(title) in _MAIN_PAGES.get(wikipedia, _MAIN_PAGES[_EVERYWHERE])


def unescaped(titles: pa.Array) -> pa.Array:
    """Return titles (binary) with %C3%A9 and the like as the bytes they encode."""
    escaped = pc.match_substring_regex(titles, _ESCAPE)
    plain = [unquote_to_bytes(each) for each in titles.filter(escaped).to_pylist()]
    return pc.replace_with_mask(titles, escaped, pa.array(plain, pa.binary()))


def decodes(titles: pa.Array) -> pa.Array:
    """Return of each title (binary) whether it is UTF-8."""
    try:
        titles.cast(pa.string())
        return pa.array(np.ones(len(titles), bool))
    except pa.ArrowInvalid:  # Arrow does not say which
        return pa.array([each.decode("utf-8", "replace").encode() == each for each in titles.to_pylist()], pa.bool_())


def spaced(titles: pa.Array) -> pa.Array:
    """Return titles as strings with single spaces instead of underscores."""
    with_spaces = pc.replace_substring(titles.cast(pa.string()), "_", " ")
    return pc.utf8_trim(pc.replace_substring_regex(with_spaces, "  +", " "), " ")


def is_illegal(titles: pa.Array) -> pa.Array:
    """Return of each title whether MediaWiki allows no such one."""
    return pc.or_(pc.match_substring_regex(titles, _ILLEGAL), pc.greater(pc.binary_length(titles), _LONGEST))


def is_mojibake(titles: pa.Array) -> pa.Array:
    """Return of each title whether a word of it is UTF-8 that was read as cp1252 or Latin-1, once or several times."""
    return _where(pc.match_substring_regex(titles, _LIKE_MOJIBAKE), _was_decoded_wrongly, titles)


def has_url(titles: pa.Array) -> pa.Array:
    """Return of each title whether an address is in it."""
    return pc.match_substring_regex(titles, _URL)


def is_main_page(wikipedias: pa.Array, titles: pa.Array) -> pa.Array:
    """Return for each title whether it is the main page of its Wikipedia."""
    candidates = pc.is_in(titles, pa.array(sorted(MAIN_PAGES)))
    return _where(candidates, _is_main_page_of, wikipedias, titles)


def is_in_namespace(wikipedias: pa.Array, titles: pa.Array, known: Namespaces) -> pa.Array:
    """Return of each title whether it begins with the name of a namespace of its Wikipedia, other than articles."""
    prefixes = pc.replace_substring_regex(titles, "(?s):.*", "")
    return _where(pc.match_substring(titles, ":"), known.hold, wikipedias, prefixes)


def _was_decoded_wrongly(title: str) -> bool:
    """Return whether the bytes of a word, as Latin-1 or cp1252 has them, are UTF-8 of another word.

    One step back is enough: what was encoded several times is still UTF-8 after it.

    >>> [_was_decoded_wrongly(title) for title in ("Café Ã©", "CafÃƒÂ©", "ÃƒÂ\\x81rbol", "São Paulo")]
    [True, True, True, False]
    """
    return any(_decoded_again(word) not in (None, word) for word in title.split(" "))


def _decoded_again(word: str) -> str | None:
    try:
        return b"".join(map(_byte, word)).decode("utf-8")
    except UnicodeError:
        return None


def _byte(character: str) -> bytes:
    """Return the byte that browsers show as this character: of cp1252, or where that has none of Latin-1."""
    return character.encode("latin-1" if character <= "\xff" else "cp1252")


def _where(candidates: pa.Array, decide: Callable[..., bool], *columns: pa.Array) -> pa.Array:
    """Return `decide` of the columns' values in the rows that are candidates, and False elsewhere."""
    decided = np.zeros(len(candidates), bool)
    values = zip(*(column.filter(candidates).to_pylist() for column in columns), strict=True)
    answer = lru_cache(maxsize=None)(decide)  # a block has few different prefixes
    decided[np.flatnonzero(candidates.to_numpy(zero_copy_only=False))] = [answer(*each) for each in values]
    return pa.array(decided)
