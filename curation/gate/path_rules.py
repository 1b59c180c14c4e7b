"""Match the paths of a host with the patterns of its rules, as RFC 9309 does (section 2.2), in a few bounded steps.

The rule with the most octets decides; of equally long ones, one that allows. In tdmrep.json the first one decides.
Patterns without a wildcard are sorted, and each knows the next shorter one that it begins with. So the longest that a
path begins with is found by bisection, and all others are its ancestors.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

# Of all patterns of a list, the wildcards that are looked at: each costs a search in the path.
MOST_WILDCARDS = 2048
_RULE_BYTES = 400  # of a rule, besides its pattern
_OCTET = re.compile(r"%[0-9A-Fa-f]{2}|[^!-~]")
_RESERVED = re.compile(r"[^A-Za-z0-9._~/%-]")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_ALL = {"/", "/*", "*"}  # patterns of all paths

Rank = tuple[int, bool]  # a greater one decides; whether it allows
_NONE: Rank = (-(1 << 62), True)


def spelled(text: str) -> str:
    """Return a path with each octet in one spelling: %-escaped outside ASCII, and not where it is unreserved.

    >>> spelled("/é%7eu%2f%e9%zz")
    '/%C3%A9~u%2F%E9%zz'
    """
    octets = text if text.isascii() else text.encode("utf-8", "replace").decode("latin-1")
    return _OCTET.sub(_spelled, octets)


def _spelled(found: re.Match) -> str:
    octet = found[0] if len(found[0]) == 1 else chr(int(found[0][1:], 16))
    return octet if _UNRESERVED.fullmatch(octet) else f"%{ord(octet):02X}"


def compared(spelled: str) -> str:
    """Return a spelled path as it is compared: also reserved octets are %-escaped, but for the / between its parts.

    >>> compared("/a?b=$*")
    '/a%3Fb%3D%24%2A'
    """
    return _RESERVED.sub(lambda found: f"%{ord(found[0]):02X}", spelled)


class _Wild(NamedTuple):
    """A pattern with a wildcard: its parts between wildcards, and whether the last is the end of a path."""

    rank: Rank
    parts: list[str]
    ends: bool

    def fits(self, path: str) -> bool:
        """Return whether it fits a path; the first place of each part is the best one."""
        first, *middle, last = self.parts
        if not path.startswith(first):
            return False
        at = len(first)
        for part in middle:
            at = path.find(part, at)
            if at < 0:
                return False
            at += len(part)
        return at <= len(path) - len(last) and path.endswith(last) if self.ends else path.find(last, at) >= 0


class PathRules:
    """Patterns of paths, each of which refuses what it fits or allows it.

    in_order: the first that fits decides, instead of the longest.
    """

    def __init__(self, patterns: Iterable[tuple[bool, str]], in_order: bool = False):
        given = [*dict.fromkeys(patterns)]
        self.refuse_all = all(refuses for refuses, _ in given) and any(pattern in _ALL for _, pattern in given)
        self.size = sum(_RULE_BYTES + 4 * len(pattern) for _, pattern in given)
        self.are_cut = False
        self._whole: dict[str, Rank] = {}  # patterns that a $ ends
        self._wild: list[_Wild] = []
        beginnings: dict[str, Rank] = {}
        left = MOST_WILDCARDS
        for place, (refuses, pattern) in enumerate(given):
            pattern = spelled(pattern)
            rank = (-place if in_order else len(pattern), not refuses)
            parts, ends = _parts(pattern)
            left -= len(parts) - 1
            if len(parts) > 1 and left >= 0:
                self._wild.append(_Wild(rank, parts, ends))
                continue
            if len(parts) > 1:
                self.are_cut, ends = True, False
                if not refuses:
                    continue
            known = self._whole if ends else beginnings
            known[parts[0]] = max(rank, known.get(parts[0], _NONE))
        self._wild.sort(key=lambda wild: wild.rank, reverse=True)
        self._beginnings = sorted(beginnings)
        self._shorter, self._ranks = _nested(self._beginnings, beginnings)

    def refuse(self, path: str) -> bool:
        """Return whether the rules refuse a path with its query, as `compared` returns it."""
        best = max(self._rank_of_beginning(path), self._whole.get(path, _NONE))
        for wild in self._wild:
            if wild.rank <= best:
                break
            if wild.fits(path):
                best = wild.rank
                break
        return not best[1]

    def _rank_of_beginning(self, path: str) -> Rank:
        number = bisect_right(self._beginnings, path) - 1
        while number >= 0 and not path.startswith(self._beginnings[number]):
            number = self._shorter[number]
        return self._ranks[number] if number >= 0 else _NONE


def _parts(pattern: str) -> tuple[list[str], bool]:
    """Return the parts of a pattern between its wildcards, as they are compared, and whether it ends in $.

    >>> _parts("/a**b$c*$"), _parts("/a?$")
    ((['/a', 'b%24c', ''], True), (['/a%3F'], True))
    """
    ends = pattern.endswith("$")
    first, *others = (pattern[:-1] if ends else pattern).split("*")
    wild = [*filter(None, others[:-1]), *others[-1:]]  # of several wildcards in a row, one counts
    return [compared(part) for part in (first, *wild)], ends


def _nested(ordered: list[str], ranks: dict[str, Rank]) -> tuple[list[int], list[Rank]]:
    """Return for each beginning the number of the longest other one that it begins with, or -1, and the best rank of
    it and of all that it begins with."""
    shorter: list[int] = []
    best: list[Rank] = []
    open_ones: list[int] = []
    for number, beginning in enumerate(ordered):
        while open_ones and not beginning.startswith(ordered[open_ones[-1]]):
            open_ones.pop()
        above = open_ones[-1] if open_ones else -1
        shorter.append(above)
        best.append(max(ranks[beginning], best[above] if above >= 0 else _NONE))
        open_ones.append(number)
    return shorter, best
