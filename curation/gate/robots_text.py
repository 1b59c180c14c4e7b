"""Read robots.txt, and ai.txt of the same form: groups of rules for agents, as RFC 9309 defines them.

`host_rules` chooses the groups of agents and matches paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MOST_BYTES = 500 << 10  # that are read: a parser may stop there (RFC 9309, section 2.5)
ALLOW, DISALLOW, CONTENT_SIGNAL, CONTENT_USAGE = "allow", "disallow", "content-signal", "content-usage"
EVERYONE = "*"  # the agent that stands for all that have no group of their own
CUT, BINARY, NOT_UTF8 = "cut", "binary", "not_utf8"  # faults of a file, which is read all the same

_AGENT = "user-agent"
# Fields as they are written, also wrongly: crawlers understand the same misspellings.
_FIELDS = dict.fromkeys((_AGENT, "useragent", "user agent"), _AGENT) | {
    **dict.fromkeys((DISALLOW, "dissallow", "dissalow", "disalow", "diasllow", "disallaw"), DISALLOW),
    **{name: name for name in (ALLOW, CONTENT_SIGNAL, CONTENT_USAGE)},
}
_BOM, _UTF_16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
_TOKEN = re.compile(r"\*$|[^\s/*;,()]+")  # of an agent: `GPTBot/1.0` names GPTBot
_LINE_ENDS = re.compile(r"\r\n?|\n")
_NO_PATH = re.compile(r"[^\x20-\x7e\n]")
_COMMENT, _EMPTY_LINES = re.compile(r" *#[^\n]*"), re.compile(r"\n[\n ]+")


class Rule(NamedTuple):
    """A line of a group: its field and its value, which is not empty."""

    field: str
    value: str


class Group(NamedTuple):
    """Some agents, in lower case, and the rules for them; the rules before any agent have no agents."""

    agents: list[str]
    rules: list[Rule]


def decoded(content: bytes) -> tuple[str, list[str]]:
    """Return the text of a file in ASCII, where other bytes are %-escaped as in URLs, and the faults of the file.

    So a path in any encoding is compared byte by byte, as RFC 9309 demands of UTF-8.

    >>> decoded("Disallow: /é".encode())
    ('Disallow: /%C3%A9', [])
    """
    faults = []
    if len(content) > MOST_BYTES:
        content = content[:MOST_BYTES]
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
    """Return a file without comments and empty lines, which says the same, and the faults of the file.

    >>> condensed(b"# mine\\nUser-agent: *\\r\\n\\r\\nDisallow: /x # why")
    (b'\\nUser-agent: *\\nDisallow: /x', [])
    """
    text, faults = decoded(content)
    return _EMPTY_LINES.sub("\n", _COMMENT.sub("", text)).encode(), faults


def escaped(text: str) -> str:
    """Return a text with what is neither ASCII nor a line end %-escaped, and controls: characters to U+FF are bytes."""
    return _NO_PATH.sub(lambda found: f"%{ord(found[0]):02X}", text)


def groups(text: str) -> Iterator[Group]:
    """Yield the groups of a file; first, with no agent, the rules that come before any group.

    Lines of other fields, such as Sitemap and Crawl-delay, end nothing (section 2.2.4).

    >>> [*groups("User-agent: A\\nCrawl-delay: 1\\nUser-agent: b/2\\nDisallow: /x # why\\nUser-agent: *\\nAllow: /")][1]
    Group(agents=['a', 'b'], rules=[Rule(field='disallow', value='/x')])
    """
    group, has_rules = Group([], []), True
    for line in text.split("\n"):
        field, value = _split(line)
        if field == _AGENT:
            if has_rules:
                yield group
                group, has_rules = Group([], []), False
            found = _TOKEN.match(value.lower())
            if found:
                group.agents.append(found[0])
        elif field:
            has_rules = True
            if value:
                group.rules.append(Rule(field, value))
    yield group


def _split(line: str) -> tuple[str | None, str]:
    """Return the field of a line, None for one that counts for nothing, and its value."""
    line = line.partition("#")[0]
    name, colon, value = line.partition(":")
    if not colon:  # two words are read as field and value
        words = line.split()
        if len(words) != 2:
            return None, ""
        name, value = words
    return _FIELDS.get(name.strip().lower()), value.strip()


def _without_utf_16(content: bytes) -> bytes:
    """Return the content in UTF-8, where it begins as UTF-16 does."""
    begin = content[:2]
    if begin not in _UTF_16 and b"\0" not in begin:
        return content
    encoding = "utf-16" if begin in _UTF_16 else "utf-16-be" if begin[:1] == b"\0" else "utf-16-le"
    return content.decode(encoding, "replace").encode()
