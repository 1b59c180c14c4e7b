"""Wikitext → plain text: `blocks` drops what is no running text, mwparserfromhell reads the rest line by line.

Templates are dropped, not expanded: that would take the wiki's template pages and its Lua.
"""

import html
import re
from collections.abc import Iterable

import mwparserfromhell
from mwparserfromhell.nodes import ExternalLink, Heading, HTMLEntity, Tag, Text, Wikilink

from metadata.languages import is_wikipedia
from metadata.wikipedia.templates import SILENT_TAGS, without_blocks

# The names that every Wikipedia knows for these, beside those of its own language.
FILES_AND_CATEGORIES = ("File", "Image", "Media", "Category")
# A line beyond these, or one whose brackets do not balance, is swept instead of parsed: there the parser's time grows
# with the square of the length or worse (20,000 characters of unclosed templates take 8 s).
PARSED_CHARACTERS = 5_000
PARSED_TAGS = 20

_MARKUP = re.compile(r"[\[\]<>&]|://|^(?:=|----)")
_MARKERS = re.compile(r"^[*#:;\s]+", re.MULTILINE)  # of lists and indented lines
_WORD = re.compile(r"\w")
_BRACKETS = ("[]", "<>")
_QUOTES = re.compile(r"'{2,}")
_SWITCH = re.compile(r"__(?:[^\W_a-z]|_(?!_))+__")  # __NOTOC__, also in other languages
_FOOTER = re.compile(r"(?:\s*\[\[\s*[^\[\]|:]+:\S[^\[\]]*\]\])+\s*")  # categories and interlanguage links stand alone
_BREAKS = frozenset("blockquote br center dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p poem td th tr ul".split())
_BREAK = re.compile(rf"</?(?:{'|'.join(sorted(_BREAKS))})\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
_ADDRESS = re.compile(r"\[?(?:https?:|ftp:|(?<=\[))//[^\s\[\]<>|]+")
_TARGET = re.compile(r"\[\[[^\[\]|]*\|")
_REMAINS = re.compile(r"\[\[|\]\]|\{\{|\}\}|\{\||\|\}|<!--|-->")
_INVISIBLE = re.compile("[\u00ad\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")  # typesetting, no part of a word
_EMPTY = re.compile(r"[(（][\s,;:،、·/–-]*[)）]")


def plain_text(wikitext: str, namespaces: Iterable[str] = FILES_AND_CATEGORIES) -> str:
    """Return the running text, with headings, list items and paragraphs on lines of their own.

    `namespaces` are those whose links show nothing where they stand: files and categories.

    >>> plain_text("== Dogs ==\\n* '''[[Dog|Dogs]]''' bark&nbsp;at {{cats}}night.<ref>Often.</ref>\\n[[de:Hund]]")
    'Dogs\\nDogs bark at night.'
    """
    text = without_blocks(wikitext, namespaces)
    for mark in (_SWITCH, _QUOTES, _MARKERS):
        text = mark.sub("", text)
    return tidy("\n".join(map(_line, text.split("\n"))))


def tidy(text: str) -> str:
    """Return `text` without invisible characters, empty brackets and lines without a word, and with single spaces."""
    text = _EMPTY.sub("", _INVISIBLE.sub("", text))
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(filter(_WORD.search, lines))


def _line(line: str) -> str:
    if not _MARKUP.search(line):
        return _REMAINS.sub("", line)
    if _FOOTER.fullmatch(line):
        return ""
    return _swept(_parsed(line) if _is_safe(line) else html.unescape(line))


def _is_safe(line: str) -> bool:
    short = len(line) <= PARSED_CHARACTERS and line.count("<") <= PARSED_TAGS and "{{" not in line
    return short and all(line.count(left) == line.count(right) for left, right in _BRACKETS)


def _parsed(line: str) -> str:
    return "".join(_shown(mwparserfromhell.parse(line, skip_style_tags=True)))


def _shown(code) -> Iterable[str]:
    """Yield what a reader sees of parsed wikitext."""
    for node in code.nodes:
        yield from _SHOWN.get(type(node), _nothing)(node)


def _nothing(node) -> Iterable[str]:
    return ()


def _text_of_link(link: Wikilink) -> Iterable[str]:
    if link.text is not None:
        return _shown(link.text)
    target = html.unescape(str(link.title)).strip()
    prefix, colon, _ = target.partition(":")
    return () if colon and is_wikipedia(prefix) else (target.removeprefix(":"),)


def _text_of_tag(tag: Tag) -> Iterable[str]:
    name = str(tag.tag).strip().lower()
    if name not in _BREAKS:
        return () if tag.contents is None or name in SILENT_TAGS else _shown(tag.contents)
    return ("\n", *(() if tag.contents is None else _shown(tag.contents)), "\n")


_SHOWN = {
    Text: lambda text: (text.value,),
    HTMLEntity: lambda entity: (html.unescape(str(entity)),),
    Wikilink: _text_of_link,
    ExternalLink: lambda link: () if link.title is None else _shown(link.title),
    Heading: lambda heading: ("\n", *_shown(heading.title), "\n"),
    Tag: _text_of_tag,
}


def _swept(line: str) -> str:
    """Return `line` without what looks like markup, be it what the parser took for text or what it was not given."""
    line = _TAG.sub("", _BREAK.sub("\n", line))
    return _REMAINS.sub("", _TARGET.sub("", _ADDRESS.sub("", line)))
