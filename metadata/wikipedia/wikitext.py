"""Wikitext → plain text: `templates` drops what is no running text, regular expressions read the rest line by line.

Templates are dropped, not expanded: that would take the wiki's template pages and its Lua.
"""

import html
import re
from collections.abc import Iterable

from metadata.languages import is_wikipedia
from metadata.wikipedia.templates import without_blocks

# The names that every Wikipedia knows for these, beside those of its own language.
FILES_AND_CATEGORIES = ("File", "Image", "Media", "Category")

_MARKUP = re.compile(r"[\[\]<>&]|://|^(?:=|----)")
_MARKERS = re.compile(r"^[*#:;\s]+", re.MULTILINE)  # of lists and indented lines
_WORD = re.compile(r"\w")
_QUOTES = re.compile(r"'{2,}")
_SWITCH = re.compile(r"__(?:[^\W_a-z]|_(?!_))+__")  # __NOTOC__, also in other languages
_FOOTER = re.compile(r"(?:\s*\[\[\s*[^\[\]|:]+:\S[^\[\]]*\]\])+\s*")  # categories and interlanguage links stand alone
_HEADING = re.compile(r"(={1,6})(.+)\1\s*")
_RULE = re.compile(r"^-{4,}")
_LINK = re.compile(r"\[\[([^\[\]|]*)(?:\|((?:[^\[\]]|\[(?!\[)|\](?!\](?!\])))*))?\]\]")
# A whole address or none: where the search may shorten it, one without an end takes time by the square of its length.
_URL = r"[^\s\[\]<>]*(?![^\s\[\]<>])"
_ADDRESS_WITH_TEXT = re.compile(
    rf"\[(?:(?:[a-z]+:)?//|(?:mailto|news|tel|urn):){_URL}((?:[^\[\]]|\[[^\[\]]*\])*)\]", re.IGNORECASE
)
# A full stop after an address belongs to the sentence, and so does a closing bracket that the address did not open.
_ADDRESS = re.compile(r"\[?(?:\b[a-z]+:|(?<=\[))//(?:[^\s\[\]<>()]|\([^\s\[\]<>()]*\))*(?<![,.;:!?])", re.IGNORECASE)
_ENTITY = re.compile(r"&#?\w+;")
_BREAKS = "blockquote br center dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p poem td th tr ul".split()
_BREAK = re.compile(rf"</?(?:{'|'.join(_BREAKS)})\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
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
    heading = _HEADING.fullmatch(line)
    line = _RULE.sub("", heading[2] if heading else line)
    line = _ADDRESS_WITH_TEXT.sub(lambda address: address[1].lstrip(), _LINK.sub(_shown, line))
    return _swept(_ENTITY.sub(lambda entity: html.unescape(entity[0]), line))


def _shown(link: re.Match) -> str:
    """Return what a reader sees of a link: its text or its target; nothing where it leads to another language."""
    target, text = link.groups()
    if text is not None:
        return text
    prefix, colon, _ = target.strip().partition(":")
    return "" if colon and is_wikipedia(prefix) else target.strip().removeprefix(":")


def _swept(line: str) -> str:
    """Return `line` without tags, bare addresses, and the remains of markup that nothing closes."""
    line = _TAG.sub("", _BREAK.sub("\n", line))
    return _REMAINS.sub("", _TARGET.sub("", _ADDRESS.sub("", line)))
