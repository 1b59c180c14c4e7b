"""Choose the link of an image: its src, or what takes the place of a src that shows nothing until a script has run."""

import math
import re
from collections.abc import Iterator

from curation.kernels.html.names import OF_NOSCRIPT, OF_SOURCE, SETS

# Where the link of an image may be, in this order. A set holds links of one picture in several sizes.
_LAZY = ("data-src", "data-lazy-src", "data-original")
_SETS = (*SETS, OF_SOURCE)
_INSTEAD = (*_LAZY, *_SETS, OF_NOSCRIPT)
LINKS = ("src", *_INSTEAD)

# Nothing, a part of the page, IE's //:0, and what is not of the web, such as data.
_shows_nothing = re.compile(r"[\0-\x20]*(?:\Z|#|//:0|(?!https?:)[a-z][a-z0-9+.-]*:)", re.I | re.A).match
_is_placeholder = re.compile(
    "placeholder|lazyload|(?<![a-z])(?:1x1|blank|clear|default|dummy|empty|fallback|gr[ae]y|lazy|loader|loading|pixel"
    "|preload|preloader|spacer|transparent)(?![a-z])",
    re.I | re.A,
).search

# A link, which ends at white space or at commas before it, else descriptors up to a comma that is not in parentheses.
_CANDIDATE = re.compile(r"([^ \t\n\f\r,][^ \t\n\f\r]*(?<!,))(?:,+(?=[ \t\n\f\r]|\Z)|((?:[^,(]+|\([^)]*\)?)*))")
_TO_SPACES = str.maketrans("\t\n\f\r", "    ")
_DESCRIPTOR = re.compile(r"(?P<number>-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)x|(?P<size>[0-9]+)[wh]")


def link_of(attributes: dict[str, str]) -> str | None:
    """Return the link of an image with these of LINKS; None if there is no src, and no other that may show a picture.

    >>> link_of({"src": "a.jpg", "srcset": "b.jpg 2x"}), link_of({"src": "spacer.gif", "srcset": "a.jpg, b.jpg 2x"})
    ('a.jpg', 'b.jpg')
    """
    src = attributes.get("src")
    if attributes.keys().isdisjoint(_INSTEAD):  # as of most
        return src
    if src is None or _shows_nothing(src) or _is_placeholder(_name(src)):
        for name in _INSTEAD:
            value = attributes.get(name)
            if value and (link := largest(value) if name in _SETS else value) and _may_show(link):
                return link
    return src


def largest(value: str) -> str | None:
    """Return the largest link of a srcset that may show a picture: by width, if one states its width, else by density.

    >>> largest("a.jpg 320w, data:image/gif;base64,R0lG 2000w, w_640,h_480/b.jpg 640w, c.jpg 9x")
    'w_640,h_480/b.jpg'
    """
    shown = ((size, link) for link, size in _candidates(value) if _may_show(link))
    return max(shown, key=lambda each: each[0], default=(None, None))[1]  # of equal ones, the first


def _may_show(link: str) -> bool:
    """Return whether a link may be of a picture; one with a brace is JSON, or a template that a script fills in."""
    return not (_shows_nothing(link) or "{" in link or _is_placeholder(_name(link)))


def _name(link: str) -> str:
    """Return the last part of a link's path."""
    return link.partition("?")[0].partition("#")[0].rpartition("/")[2]


def _candidates(value: str) -> Iterator[tuple[str, tuple[bool, float]]]:
    """Yield links of a srcset, and whether each has a width, and it, else its density: as HTML parses the attribute."""
    for found in _CANDIDATE.finditer(value):
        link, descriptors = found.groups()
        if (size := _size(descriptors or "")) is not None:
            yield link, size


def _size(descriptors: str) -> tuple[bool, float] | None:
    """Return whether a width is stated, and it, else the density; None if they are none that HTML knows."""
    stated: dict[str, float] = {}
    for each in descriptors.translate(_TO_SPACES).split(" "):
        if not each:
            continue
        found, kind = _DESCRIPTOR.fullmatch(each), each[-1]
        if not found or kind in stated or (stated and "x" in (kind, *stated)):
            return None
        stated[kind] = float(found["number"] or found["size"])
        if stated[kind] < 0 or (kind != "x" and stated[kind] == 0) or (kind == "x" and math.isinf(stated[kind])):
            return None
    if "h" in stated and "w" not in stated:
        return None
    return ("w" in stated, stated.get("w", stated.get("x", 1.0)))
