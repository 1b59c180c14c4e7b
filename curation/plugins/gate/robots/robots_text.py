"""Read a host's robots.txt, ai.txt (in the same format), tdmrep.json and rsl.xml, and find the signals of its paths.

Paths are matched with patterns as RFC 9309 defines it. Rules are in groups for agents; robots_agents.txt or a user
names the agents that count. If several rules have a pattern that fits a path, the rule with the longest pattern, in
octets, decides; if these are equally long, a rule that allows decides (section 2.2). In tdmrep.json, the first rule
whose pattern fits decides. Patterns without a wildcard are sorted, and each is linked to the longest other pattern that
it begins with. So bisection and links find the longest pattern that a path begins with.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from curation.licences import LICENCES, RSL
from curation.preferences import refuses_training
from curation.schemas import CONTENT_USAGE, HOST_SIGNALS, SIGNALS, TDM_RESERVATION
from runtime.errors import InputError

_NAME = re.compile(r"\*|[A-Za-z0-9_.-]+")

# The most wildcards that are read in all patterns of a list, because each costs a search in the path.
MAX_WILDCARDS = 2048
_RULE_BYTES = 400  # an estimate of the memory that a rule takes besides its pattern
_OCTET = re.compile(r"%[0-9A-Fa-f]{2}|[^!-~]")
_RESERVED = re.compile(r"[^A-Za-z0-9._~/%-]")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_ALL = {"/", "/*", "*"}  # the patterns that fit all paths

Rank = tuple[int, bool]  # the length of a rule (or minus its position), and whether it allows; the greatest decides
_NONE: Rank = (-(1 << 62), True)

MAX_HOST_FILE_BYTES = 500 << 10  # No more of a file is read; a parser may stop there (RFC 9309, section 2.5).
ALLOW, DISALLOW, CONTENT_SIGNAL = "allow", "disallow", "content-signal"
EVERYONE = "*"  # the name that stands for all agents without their own group
CUT, BINARY, NOT_UTF8 = "cut", "binary", "not_utf8"  # Files with these faults are read nevertheless.

_AGENT = "user-agent"
# The field by its spelling; common misspellings that crawlers understand are included.
_FIELDS = dict.fromkeys((_AGENT, "useragent", "user agent"), _AGENT) | {
    **dict.fromkeys((DISALLOW, "dissallow", "dissalow", "disalow", "diasllow", "disallaw"), DISALLOW),
    **{name: name for name in (ALLOW, CONTENT_SIGNAL, CONTENT_USAGE)},
}
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_TOKEN = re.compile(r"\*$|[^\s/*;,()]+")  # This finds the name of an agent: GPTBot in `GPTBot/1.0`.
_LINE_ENDS = re.compile(r"\r\n?|\n")
_NO_PATH = re.compile(r"[^\x20-\x7e\n]")
_COMMENT = re.compile(r" *#[^\n]*")
_EMPTY_LINES = re.compile(r"\n[\n ]+")


NO_JSON = "no_json"  # the fault of a tdmrep.json that is not JSON, and is ignored
NO_RSL = "no_rsl"  # the fault of an rsl.xml that is not XML or not RSL, and is ignored
WILDCARDS = "wildcards"  # the fault of a file with so many wildcards that some patterns are cut at their first one
_TRAINING_SIGNAL = "ai-train"
_SIGNAL_REFUSES = {"no": True, "yes": False}
Patterns = list[tuple[bool, str]]  # Each pair is whether the pattern refuses paths, and the pattern.

ROBOTS_TXT, TDMREP, AI_TXT, RSL_XML = "/robots.txt", "/.well-known/tdmrep.json", "/ai.txt", "/rsl.xml"
PATHS = (ROBOTS_TXT, TDMREP, AI_TXT, RSL_XML)
LINES_OF_RULES = (ROBOTS_TXT, AI_TXT)  # the files that are read line by line
# The names and bits of all signals that these files state.
BITS = HOST_SIGNALS | {name: SIGNALS[name] for name in (TDM_RESERVATION, CONTENT_USAGE)} | {RSL: LICENCES[RSL]}
_RSL_NAMESPACE = "{https://rslstandard.org/rsl}"
_license_line = re.compile(r"^ *license *: *[^ #\n]", re.I | re.M | re.A).search
_origin = re.compile(r"https?://[^/?#]*", re.I).match


class PathRule(NamedTuple):
    """A line of a group: its field, and its value, which is not empty."""

    field: str
    value: str


class Group(NamedTuple):
    """Some agents, in lower case, and the rules for them; rules before any agent form a group without agents."""

    agents: list[str]
    rules: list[PathRule]


def ascii_text(content: bytes) -> tuple[str, list[str]]:
    """Return the text of a file in ASCII, with all other bytes %-escaped as in URLs, and the faults of the file.

    So a path in any encoding is compared byte by byte, as RFC 9309 demands for UTF-8. Ends of lines become line feeds,
    tabs become spaces, and a file of more than MAX_HOST_FILE_BYTES bytes is cut, if possible at the end of a line.

    >>> ascii_text("Disallow: /é".encode())
    ('Disallow: /%C3%A9', [])
    """
    faults = []
    if len(content) > MAX_HOST_FILE_BYTES:
        content = content[:MAX_HOST_FILE_BYTES]
        content = content[: max(content.rfind(b"\n"), content.rfind(b"\r")) + 1] or content
        faults.append(CUT)
    content = _without_utf_16(content).removeprefix(_BOM)
    if b"\0" in content:
        faults.append(BINARY)
    try:
        content.decode()
    except UnicodeDecodeError:
        faults.append(NOT_UTF8)
    return escaped(_LINE_ENDS.sub("\n", content.decode("latin-1")).replace("\t", " ")), faults


def condensed(content: bytes) -> tuple[bytes, list[str]]:
    """Return a file without comments and empty lines, which has the same rules, and the faults of the file.

    >>> condensed(b"# mine\\nUser-agent: *\\r\\n\\r\\nDisallow: /x # why")
    (b'\\nUser-agent: *\\nDisallow: /x', [])
    """
    text, faults = ascii_text(content)
    return _EMPTY_LINES.sub("\n", _COMMENT.sub("", text)).encode(), faults


def escaped(text: str) -> str:
    """Return a text with all characters but printable ASCII and line feeds %-escaped, each as one byte.

    The text must have no character above U+FF.
    """
    return _NO_PATH.sub(lambda match: f"%{ord(match[0]):02X}", text)


def rule_groups(text: str) -> Iterator[Group]:
    """Yield the groups of a file; the first has no agents, and the rules before any group.

    Lines of other fields, such as Sitemap and Crawl-delay, do not end a group (section 2.2.4).

    >>> lines = "User-agent: A\\nCrawl-delay: 1\\nUser-agent: b/2\\nDisallow: /x # why\\nUser-agent: *\\nAllow: /"
    >>> [*rule_groups(lines)][1]
    Group(agents=['a', 'b'], rules=[PathRule(field='disallow', value='/x')])
    """
    group = Group([], [])
    has_rules = True
    for line in text.split("\n"):
        field, value = _split(line)
        if field == _AGENT:
            if has_rules:
                yield group
                group = Group([], [])
                has_rules = False
            token = _TOKEN.match(value.lower())
            if token:
                group.agents.append(token[0])
        elif field:
            has_rules = True
            if value:
                group.rules.append(PathRule(field, value))
    yield group


def _split(line: str) -> tuple[str | None, str]:
    """Return the field of a line and its value; the field is None if the line has no known one."""
    line = line.partition("#")[0]
    name, colon, value = line.partition(":")
    if not colon:  # Without a colon, two words are read as field and value.
        words = line.split()
        if len(words) != 2:
            return None, ""
        name, value = words
    return _FIELDS.get(name.strip().lower()), value.strip()


def _without_utf_16(content: bytes) -> bytes:
    """Return the content in UTF-8 if it begins as UTF-16 does, otherwise unchanged."""
    begin = content[:2]
    if begin not in _UTF_16 and b"\0" not in begin:
        return content
    encoding = "utf-16" if begin in _UTF_16 else "utf-16-be" if begin[:1] == b"\0" else "utf-16-le"
    return content.decode(encoding, "replace").encode()


def robots_agents(names_or_files: Sequence[str] = ()) -> tuple[str, ...]:
    """Return distinct agents given by name or in files, one a line; by default those in robots_agents.txt.

    InputError for a name with characters that no agent's name has, or for a file that is unreadable or names no agent.

    >>> robots_agents(["GPTBot"]), robots_agents()[:2]
    (('GPTBot',), ('CCBot', 'GPTBot'))
    """
    if not names_or_files:
        return tuple(_names(files("curation.plugins.gate.robots").joinpath("robots_agents.txt").read_text("utf-8")))
    names = [*chain.from_iterable(map(_names_in, names_or_files))]
    for name in names:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} is neither the name of an agent nor a file; expected a name of letters, digits, dots, - and "
                "_, such as GPTBot, or a file with one name a line"
            )
    return tuple(dict.fromkeys(names))


def _names_in(name_or_file: str) -> list[str]:
    path = Path(name_or_file)
    if not path.is_file():
        return [name_or_file]
    try:
        names = _names(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the agents in {name_or_file} cannot be read ({error}); expected text in UTF-8") from None
    if not names:
        raise InputError(f"{name_or_file} names no agent; expected one name a line")
    return names


def _names(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def spelled_path(text: str) -> str:
    """Return a path with one spelling per octet: not %-escaped if unreserved, %-escaped outside printable ASCII.

    >>> spelled_path("/é%7eu%2f%e9%zz")
    '/%C3%A9~u%2F%E9%zz'
    """
    octets = text if text.isascii() else text.encode("utf-8", "replace").decode("latin-1")
    return _OCTET.sub(_spelled, octets)


def _spelled(match: re.Match) -> str:
    octet = match[0] if len(match[0]) == 1 else chr(int(match[0][1:], 16))
    return octet if _UNRESERVED.fullmatch(octet) else f"%{ord(octet):02X}"


def comparable_path(spelled: str) -> str:
    """Return a path from `spelled_path` in the form for comparisons: reserved octets except / are also %-escaped.

    >>> comparable_path("/a?b=$*")
    '/a%3Fb%3D%24%2A'
    """
    return _RESERVED.sub(lambda match: f"%{ord(match[0]):02X}", spelled)


class _Wild(NamedTuple):
    """A pattern with wildcards: its rank among patterns, its parts, and whether the last part must end the path."""

    rank: Rank
    parts: list[str]
    ends: bool

    def fits(self, path: str) -> bool:
        """Return whether the pattern fits a path.

        Each part is matched at the first position where it fits, which leaves most of the path to the next parts.
        """
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
    """Patterns of paths; each refuses or allows the paths that it fits.

    patterns: pairs of whether the pattern refuses, and the pattern.
    in_order: whether the first pattern that fits decides, instead of the longest.
    """

    def __init__(self, patterns: Iterable[tuple[bool, str]], in_order: bool = False):
        distinct = [*dict.fromkeys(patterns)]
        self.refuse_all = all(refuses for refuses, _ in distinct) and any(pattern in _ALL for _, pattern in distinct)
        self.size = sum(_RULE_BYTES + 4 * len(pattern) for _, pattern in distinct)
        self.are_cut = False
        self._whole: dict[str, Rank] = {}  # the rank of each pattern without wildcards that ends in $
        self._wild: list[_Wild] = []
        beginnings: dict[str, Rank] = {}
        left = MAX_WILDCARDS
        for place, (refuses, pattern) in enumerate(distinct):
            pattern = spelled_path(pattern)
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
            ranks = self._whole if ends else beginnings
            ranks[parts[0]] = max(rank, ranks.get(parts[0], _NONE))
        self._wild.sort(key=lambda wild: wild.rank, reverse=True)
        self._beginnings = sorted(beginnings)
        self._shorter, self._ranks = _nested(self._beginnings, beginnings)

    def refuse(self, path: str) -> bool:
        """Return whether the rules refuse a path with its query, which must be in the form of `comparable_path`."""
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
    """Return the parts of a pattern between its wildcards, in the form of `comparable_path`, and whether it ends in $.

    >>> _parts("/a**b$c*$"), _parts("/a?$")
    ((['/a', 'b%24c', ''], True), (['/a%3F'], True))
    """
    ends = pattern.endswith("$")
    first, *others = (pattern[:-1] if ends else pattern).split("*")
    wild = [*filter(None, others[:-1]), *others[-1:]]  # Several wildcards in a row count as one.
    return [comparable_path(part) for part in (first, *wild)], ends


def _nested(ordered: list[str], ranks: dict[str, Rank]) -> tuple[list[int], list[Rank]]:
    """Return, for each of the sorted beginnings of paths, `ordered`, its parent and its best rank.

    The parent is the index of the longest other beginning with which this one begins, or -1. The best rank is the
    greatest of `ranks` for the beginning, its parent, the parent of that, and so on.
    """
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


class HostRules:
    """The rules that the files of one host state for its paths, and `faults`, the faults of these files.

    size: approximate memory in bytes.
    agents: names in lower case; a path has a signal if it is refused to any of the agents.
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
        """Return the signals of a path with its query, as bits of BITS."""
        signals = self._always
        path = comparable_path(spelled_path(path))
        for bit, rules in self._sometimes:
            if not signals & bit and rules.refuse(path):
                signals |= bit
        return signals

    def _refused(self, files: Mapping[str, bytes], agents: Sequence[str]) -> Iterator[tuple[int, PathRules]]:
        """Yield pairs: the bit of a signal, and rules; the paths that the rules refuse have the signal.

        Several pairs may have the same bit.
        """
        for name, signal in ((ROBOTS_TXT, "robots"), (AI_TXT, "ai.txt")):
            if name not in files:
                continue
            text, faults = ascii_text(files[name])
            self.faults += faults
            file_groups = [*rule_groups(text)]
            yield from self._rules(HOST_SIGNALS[signal], _fetching(file_groups, agents))
            if name == ROBOTS_TXT:
                for field in (CONTENT_SIGNAL, CONTENT_USAGE):
                    yield from self._rules(BITS[field], _stated(file_groups, field, agents))
                if _license_line(text):
                    yield BITS[RSL], PathRules([(True, "/")])
        if RSL_XML in files:
            yield from self._rules(BITS[RSL], [self._licensed(files[RSL_XML])])
        if TDMREP in files:
            yield from self._rules(SIGNALS[TDM_RESERVATION], [self._reserved(files[TDMREP])], in_order=True)

    def _reserved(self, content: bytes) -> Patterns:
        """Return the patterns of tdmrep.json in its order, each with whether it reserves its paths."""
        if len(content) > MAX_HOST_FILE_BYTES:
            self.faults.append(CUT)
            return []
        try:
            rows = json.loads(content)
        except (ValueError, RecursionError):
            self.faults.append(NO_JSON)
            return []
        patterns = []
        for row in rows if isinstance(rows, list) else [rows]:
            location = row.get("location") if isinstance(row, dict) else None
            if isinstance(location, str) and location.strip():
                patterns.append((str(row.get(TDM_RESERVATION)) == "1", location.strip()))
        return patterns

    def _licensed(self, content: bytes) -> Patterns:
        """Return the patterns that refuse the paths which rsl.xml names."""
        if len(content) > MAX_HOST_FILE_BYTES:
            self.faults.append(CUT)
            return []
        try:
            root = ElementTree.fromstring(content)
        except (ElementTree.ParseError, ValueError, LookupError):  # An unknown encoding raises LookupError.
            root = None
        if root is None or root.tag != f"{_RSL_NAMESPACE}rsl":
            self.faults.append(NO_RSL)
            return []
        urls = [element.get("url", "").strip() for element in root.iter(f"{_RSL_NAMESPACE}content")]
        return [(True, _path_of(url)) for url in urls]

    def _rules(self, bit: int, lists: Iterable[Patterns], in_order: bool = False) -> Iterator[tuple[int, PathRules]]:
        """Yield `bit` with the rules made of each list in which a pattern refuses; equal lists count once."""
        for patterns in dict.fromkeys(map(tuple, lists)):
            if any(refuses for refuses, _ in patterns):
                rules = PathRules(patterns, in_order)
                if rules.are_cut and WILDCARDS not in self.faults:
                    self.faults.append(WILDCARDS)
                yield bit, rules


def _fetching(groups: Sequence[Group], agents: Sequence[str]) -> Iterator[Patterns]:
    """Yield the patterns for each agent: which paths it may not fetch, and which it may."""
    for agent in _asked(groups, agents):
        rules = _rules_of(groups, agent)
        yield [(rule.field == DISALLOW, rule.value) for rule in rules if rule.field in (ALLOW, DISALLOW)]


def _asked(groups: Sequence[Group], agents: Sequence[str]) -> list[str]:
    """Return the `agents` that groups name, and EVERYONE if an agent is not named: EVERYONE's rules apply to it."""
    named = {*chain.from_iterable(group.agents for group in groups)}
    asked = [agent for agent in agents if agent in named]
    return asked if len(asked) == len(agents) else [*asked, EVERYONE]


def _rules_of(groups: Sequence[Group], agent: str) -> list[PathRule]:
    """Return the rules of all groups that name an agent; if none does, the rules of the groups for EVERYONE."""
    of_agent = [group for group in groups if agent in group.agents]
    named = of_agent or [group for group in groups if EVERYONE in group.agents]
    return [*chain.from_iterable(group.rules for group in named)]


def _stated(groups: Sequence[Group], field: str, agents: Sequence[str]) -> Iterator[Patterns]:
    """Yield the patterns that a field states: before all groups, in the groups for EVERYONE, and for each agent.

    A group for EVERYONE counts even if all agents have their own groups, because it is about uses, not about crawlers.
    """
    before = groups[0].rules if groups else []
    of_agents = [_rules_of(groups, agent) for agent in {EVERYONE, *_asked(groups, agents)}]
    for rules in (before, *of_agents):
        preferences: list[tuple[bool, str]] = []
        for rule in rules:
            if rule.field == field:
                preferences += _preferences(rule)
        yield _firm(preferences)


def _path_of(url: str) -> str:
    """Return the pattern of paths in the pattern of URLs of rsl.xml; all paths if it names none.

    >>> [_path_of(url) for url in ("https://a.example/x/*", "/y$", "*", "https://a.example", "")]
    ['/x/*', '/y$', '*', '/', '/']
    """
    origin = _origin(url)
    return (url[origin.end() :] if origin else url) or "/"


def _preferences(line: PathRule) -> Iterator[tuple[bool, str]]:
    """Yield the patterns of a line about training: `ai-train=no` holds for all paths, `/a ai-train=no` for /a."""
    path, space, stated = line.value.partition(" ")
    if not (space and path.startswith("/")):
        path = "/"
        stated = line.value
    refusals = [refuses_training(stated)] if line.field == CONTENT_USAGE else _refusals_in(stated)
    for refuses in refusals:
        if refuses is not None:
            yield refuses, path


def _refusals_in(content_signal: str) -> Iterator[bool | None]:
    """Yield whether each signal of the value of a `Content-Signal` refuses training; None if it says nothing of it."""
    for signal in content_signal.split(","):
        name, _, value = signal.partition(";")[0].partition("=")
        if name.strip().lower() == _TRAINING_SIGNAL:
            yield _SIGNAL_REFUSES.get(value.strip().lower())


def _firm(patterns: Iterable[tuple[bool, str]]) -> Patterns:
    """Return distinct patterns with whether they refuse; a pattern that is both refused and permitted is refused."""
    distinct = [*dict.fromkeys(patterns)]
    refused = {pattern for refuses, pattern in distinct if refuses}
    return [(refuses, pattern) for refuses, pattern in distinct if refuses or pattern not in refused]
