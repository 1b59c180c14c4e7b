"""Decide what a host says of its paths: robots.txt with content signals, tdmrep.json and ai.txt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from protego import Protego

from curation.gate.host_files import AI_TXT, ROBOTS_TXT, TDMREP
from curation.gate.robots_text import (
    ALLOW,
    CONTENT_SIGNAL,
    CONTENT_USAGE,
    CUT,
    DISALLOW,
    EVERYONE,
    MOST_BYTES,
    Group,
    Rule,
    decoded,
    escaped,
    groups,
)
from curation.inputs.crawl.page_signals import HOST_SIGNALS, SIGNALS, TDM_RESERVATION

NO_JSON = "no_json"  # a fault of tdmrep.json, which then says nothing
# What counts as a refusal of training, and what as a permission, in the words of each field.
_STATED = {
    CONTENT_SIGNAL: ({"ai-train"}, {"no": True, "yes": False}),
    CONTENT_USAGE: ({"train-ai", "train-genai"}, {"n": True, "y": False}),
}
_ALL = {"/", "/*", "*"}  # patterns of all paths
_ORIGIN = "http://h"  # a URL is asked for, and only its path counts
Patterns = list[tuple[bool, str]]  # whether it refuses the paths, and a pattern of them


class Paths:
    """The paths of a host that patterns refuse, as RFC 9309 matches them: the longest pattern that fits decides."""

    def __init__(self, patterns: Iterable[tuple[bool, str]]):
        given = set(patterns)
        self.are_all = all(refuses for refuses, _ in given) and any(pattern in _ALL for _, pattern in given)
        lines = (f"{'Disallow' if refuses else 'Allow'}: {pattern}\n" for refuses, pattern in sorted(given))
        self._parsed = None if self.are_all else Protego.parse("User-agent: *\n" + "".join(lines))

    def has(self, path: str) -> bool:
        """Return whether a path with its query is refused."""
        return self._parsed is None or not self._parsed.can_fetch(_ORIGIN + path, EVERYONE)


class HostRules:
    """What one host says of its paths, of which `signals` are the bits; `faults` are those of its files.

    agents: names in lower case; what any of them is refused counts.
    """

    def __init__(self, files: Mapping[str, bytes], agents: Sequence[str]):
        self.faults: list[str] = []
        refused = [*self._refused(files, agents)]
        self._always = sum({bit for bit, paths in refused if paths.are_all})
        self._sometimes = [(bit, paths) for bit, paths in refused if not bit & self._always]

    @property
    def is_silent(self) -> bool:
        """Whether no path has a signal."""
        return not self._always and not self._sometimes

    def signals(self, path: str) -> int:
        """Return the signals of a path with its query, as bits."""
        found = self._always
        for bit, paths in self._sometimes:
            if not found & bit and paths.has(path):
                found |= bit
        return found

    def _refused(self, files: Mapping[str, bytes], agents: Sequence[str]) -> Iterator[tuple[int, Paths]]:
        """Yield the bit of each signal that some paths have, with these paths; a signal may come several times."""
        for name, signal in ((ROBOTS_TXT, "robots"), (AI_TXT, "ai.txt")):
            if name not in files:
                continue
            text, faults = decoded(files[name])
            self.faults += faults
            found = [*groups(text)]
            yield from _paths(HOST_SIGNALS[signal], _fetching(found, agents))
            if name == ROBOTS_TXT:
                for field in _STATED:
                    yield from _paths(HOST_SIGNALS[field], _stated(found, field, agents))
        if TDMREP in files:
            yield from _paths(SIGNALS[TDM_RESERVATION], [self._reserved(files[TDMREP])])

    def _reserved(self, content: bytes) -> Patterns:
        """Return the patterns of paths that tdmrep.json reserves, and of those that it does not."""
        if len(content) > MOST_BYTES:
            self.faults.append(CUT)
            return []
        try:
            rows = json.loads(content)
        except (ValueError, RecursionError):
            self.faults.append(NO_JSON)
            return []
        rows = [row for row in (rows if isinstance(rows, list) else [rows]) if isinstance(row, dict)]
        stated = ((str(row.get(TDM_RESERVATION)), row.get("location")) for row in rows)
        return _firm((value == "1", _pattern(at)) for value, at in stated if value in ("0", "1") and _is_path(at))


def _paths(bit: int, lists: Iterable[Patterns]) -> Iterator[tuple[int, Paths]]:
    """Yield the bit with the paths of each list that refuses any; equal lists once."""
    for patterns in dict.fromkeys(map(tuple, lists)):
        if any(refuses for refuses, _ in patterns):
            yield bit, Paths(patterns)


def _fetching(found: Sequence[Group], agents: Sequence[str]) -> Iterator[Patterns]:
    """Yield what each agent may not fetch, and what it may."""
    for agent in _asked(found, agents):
        rules = _rules_of(found, agent)
        yield [(rule.field == DISALLOW, rule.value) for rule in rules if rule.field in (ALLOW, DISALLOW)]


def _asked(found: Sequence[Group], agents: Sequence[str]) -> list[str]:
    """Return the agents that groups name, and EVERYONE for all others, which have the same rules."""
    named = {agent for group in found for agent in group.agents}
    own = [agent for agent in agents if agent in named]
    return own if len(own) == len(agents) else [*own, EVERYONE]


def _rules_of(found: Sequence[Group], agent: str) -> list[Rule]:
    """Return the rules of all groups that name an agent, or else of those for everyone."""
    own = [group for group in found if agent in group.agents]
    named = own or [group for group in found if EVERYONE in group.agents]
    return [rule for group in named for rule in group.rules]


def _stated(found: Sequence[Group], field: str, agents: Sequence[str]) -> Iterator[Patterns]:
    """Yield the paths of which everyone, each agent, and a line outside of all groups say that they may not train.

    A group for everyone counts also where all agents have groups of their own: it is about uses, not about crawlers.
    """
    before = [rule for group in found[:1] for rule in group.rules]
    for rules in (before, *(_rules_of(found, agent) for agent in {EVERYONE, *_asked(found, agents)})):
        yield _firm(each for rule in rules if rule.field == field for each in _preferences(*rule))


def _preferences(field: str, value: str) -> Iterator[tuple[bool, str]]:
    """Yield what a line says of training: `ai-train=no` of all paths, or behind a path of those below it."""
    names, words = _STATED[field]
    path, space, rest = value.partition(" ")
    path, stated = (path, rest) if space and path.startswith("/") else ("/", value)
    for each in stated.split(","):
        name, _, word = (part.strip().lower() for part in each.partition("="))
        if name in names and word in words:
            yield words[word], path


def _firm(patterns: Iterable[tuple[bool, str]]) -> Patterns:
    """Return patterns without those that permit what an equal one refuses."""
    given = [*dict.fromkeys(patterns)]
    refused = {pattern for refuses, pattern in given if refuses}
    return [(refuses, pattern) for refuses, pattern in given if refuses or pattern not in refused]


def _is_path(location: object) -> bool:
    return isinstance(location, str) and bool(location.strip())


def _pattern(location: str) -> str:
    """Return a location of JSON in the form of a line of robots.txt."""
    return escaped(location.strip().encode("utf-8", "replace").decode("latin-1")).replace("#", "%23")
