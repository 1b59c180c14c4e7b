"""Decide what a host says of its paths: robots.txt with content signals, tdmrep.json and ai.txt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from curation.gate.host_files import AI_TXT, ROBOTS_TXT, TDMREP
from curation.gate.path_rules import PathRules, compared, spelled
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
    groups,
)
from curation.inputs.crawl.page_signals import HOST_SIGNALS, SIGNALS, TDM_RESERVATION

NO_JSON = "no_json"  # a fault of tdmrep.json, which then says nothing
WILDCARDS = "wildcards"  # a fault: so many that some patterns are read up to their first one only
# What counts as a refusal of training, and what as a permission, in the words of each field.
_STATED = {
    CONTENT_SIGNAL: ({"ai-train"}, {"no": True, "yes": False}),
    CONTENT_USAGE: ({"train-ai", "train-genai"}, {"n": True, "y": False}),
}
Patterns = list[tuple[bool, str]]  # whether it refuses the paths, and a pattern of them


class HostRules:
    """What one host says of its paths, of which `signals` are the bits; `faults` are those of its files.

    size: the bytes that it takes, about.
    agents: names in lower case; what any of them is refused counts.
    """

    def __init__(self, files: Mapping[str, bytes], agents: Sequence[str]):
        self.faults: list[str] = []
        refused = [*self._refused(files, agents)]
        self._always = sum({bit for bit, rules in refused if rules.refuse_all})
        self._sometimes = [(bit, rules) for bit, rules in refused if not bit & self._always]
        self.size = sum(rules.size for _, rules in self._sometimes)

    @property
    def is_silent(self) -> bool:
        """Whether no path has a signal."""
        return not self._always and not self._sometimes

    def signals(self, path: str) -> int:
        """Return the signals of a path with its query, as bits."""
        found, path = self._always, compared(spelled(path))
        for bit, rules in self._sometimes:
            if not found & bit and rules.refuse(path):
                found |= bit
        return found

    def _refused(self, files: Mapping[str, bytes], agents: Sequence[str]) -> Iterator[tuple[int, PathRules]]:
        """Yield the bit of each signal that some paths have, with rules of paths; a signal may come several times."""
        for name, signal in ((ROBOTS_TXT, "robots"), (AI_TXT, "ai.txt")):
            if name not in files:
                continue
            text, faults = decoded(files[name])
            self.faults += faults
            found = [*groups(text)]
            yield from self._rules(HOST_SIGNALS[signal], _fetching(found, agents))
            if name == ROBOTS_TXT:
                for field in _STATED:
                    yield from self._rules(HOST_SIGNALS[field], _stated(found, field, agents))
        if TDMREP in files:
            in_order = partial(PathRules, in_order=True)
            yield from self._rules(SIGNALS[TDM_RESERVATION], [self._reserved(files[TDMREP])], in_order)

    def _reserved(self, content: bytes) -> Patterns:
        """Return the patterns in tdmrep.json, in its order, with whether it reserves their paths."""
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
        return [(value == "1", at.strip()) for value, at in stated if isinstance(at, str) and at.strip()]

    def _rules(
        self, bit: int, lists: Iterable[Patterns], made: Callable[[Patterns], PathRules] = PathRules
    ) -> Iterator[tuple[int, PathRules]]:
        """Yield the bit with the rules of each list that refuses any path; equal lists once."""
        for patterns in dict.fromkeys(map(tuple, lists)):
            if any(refuses for refuses, _ in patterns):
                rules = made([*patterns])
                if rules.are_cut and WILDCARDS not in self.faults:
                    self.faults.append(WILDCARDS)
                yield bit, rules


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
