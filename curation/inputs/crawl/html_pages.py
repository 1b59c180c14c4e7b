"""Unpack HTTP responses, decode their HTML, find its images, and choose the link of each image.

The first of these that is present decides the encoding, as in the HTML standard: the byte order mark, the HTTP header,
a `<meta>`, an XML declaration, valid UTF-8, and last a guess from the bytes of the text. Labels are those of the
Encoding Standard, by webencodings. The kernels in `kernels.html` read pages as UTF-8, or as any encoding that writes
ASCII characters as ASCII bytes. An image's link is its src or, if its src shows nothing until a script has run, the
value of another attribute.
"""

import codecs
import io
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from fastwarc.stream_io import BrotliReader
from webencodings import lookup

from curation.inputs.candidates import attribute_value
from curation.kernels import html, surroundings
from curation.licences import Link, is_rsl, licences_of
from runtime.arrow import gather

GUESSED_BYTES = 16 << 10  # The encoding is guessed from so many bytes of text; more bytes hardly ever change the guess.
GUESSED_ENCODINGS = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("iso8859-2", "koi8-r", "koi8-u", "cp932", "euc-jp", "gb18030", "big5hkscs", "cp949"),
)
# The standard has other labels for these codecs.
_LABEL_OF_CODEC = {"cp932": "shift_jis", "cp949": "euc-kr", "cp874": "windows-874", "big5hkscs": "big5"}
DEFAULT_ENCODING = "windows-1252"  # the default of browsers in most languages

_PIECE = re.compile(rb"[^<>=\"'\r\n]+")  # a piece of text, with as little markup as possible

UTF_8 = "utf-8"
USER_DEFINED = "x-user-defined"
REPLACEMENT = "replacement"
_BOMS = {b"\xef\xbb\xbf": UTF_8, b"\xff\xfe": "utf-16le", b"\xfe\xff": "utf-16be"}
_XML_UTF_16 = {b"<\0?\0x\0": "utf-16le", b"\0<\0?\0x": "utf-16be"}
_XML = re.compile(rb"<\?xml[^>]*?[\s'\"]encoding\s*=\s*[\"']([^\"'>]*)[\"']")
_CHARSET = re.compile(r"charset\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"';]+))", re.I)

# Where the link of an image may be, in this order. A set holds links of one picture in several sizes.
_LAZY = ("data-src", "data-lazy-src", "data-original")
_SETS = (*html.SETS, html.OF_SOURCE)
_INSTEAD = (*_LAZY, *_SETS, html.OF_NOSCRIPT, html.OF_OTHER)
LINKS = ("src", *_INSTEAD)

# These words are in the names of attributes whose link is shown instead of the image, and of GTranslate's flags.
_of_another = re.compile("placeholder|fallback|error|hover|poster|alt|gt-", re.I | re.A).search

# Such links are empty, lead to a part of the page, are IE's //:0, or have a scheme that is not of the web, as data.
_shows_nothing = re.compile(r"[\0-\x20]*(?:\Z|#|//:0|(?!https?:)[a-z][a-z0-9+.-]*:)", re.I | re.A).match
_is_placeholder = re.compile(
    "placeholder|lazyload|(?<![a-z])(?:1x1|blank|clear|default|dummy|empty|fallback|gr[ae]y|lazy|loader|loading|pixel"
    "|preload|preloader|spacer|transparent)(?![a-z])",
    re.I | re.A,
).search

# A link, which ends at white space or at the commas before it. Unless commas end it, descriptors follow, up to a comma
# that is not in parentheses.
_CANDIDATE = re.compile(r"([^ \t\n\f\r,][^ \t\n\f\r]*(?<!,))(?:,+(?=[ \t\n\f\r]|\Z)|((?:[^,(]+|\([^)]*\)?)*))")
_TO_SPACES = str.maketrans("\t\n\f\r", "    ")
_DESCRIPTOR = re.compile(r"(?P<number>-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)x|(?P<size>[0-9]+)[wh]")

MAX_HEAD_BYTES = 256 << 10  # size of the head of a response, as in browsers
MAX_CODINGS = 5  # codings of a body, one around the other, as in curl
MAX_PAGE_BYTES = 8 << 20  # size of an unpacked page; Common Crawl cuts pages at 1 or 5 MB
_ELEMENTS_AT_ONCE = 1000  # The spans of so many elements are converted to lists at once.

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"(?:\r\n)?([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_IMAGE = re.compile(rb"<im", re.I)  # <image> is read as <img>
_STATING = {*html.KINDS[len(html.WANTED) :]}
_ALL_SPANS = [(name, html.VALUES + 2 * k) for k, name in enumerate(html.SPANS)]
_SPANS = _ALL_SPANS[: len(html.WANTED_SPANS)]
_OF_LICENCES = [span for span in _ALL_SPANS if span[0] in html.OF_LICENCES]


def headers(response: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Return the (lower-case name, value) of each header field of an HTTP response, and its body as it was sent."""
    end = _HEAD_END.search(response, 0, MAX_HEAD_BYTES)
    head, body = (response[: end.start()], response[end.end() :]) if end else (response[:MAX_HEAD_BYTES], b"")
    lines = head.decode("latin-1").split("\n")[1:]
    fields = (line.partition(":") for line in lines)
    return [(name.strip().lower(), value.strip()) for name, _, value in fields], body


def is_html(fields: dict[str, str]) -> bool:
    """Say whether the header of a response, `fields`, calls it HTML."""
    kind = fields.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml")


def unpacked_body(body: bytes, fields: dict[str, str]) -> bytes:
    """Undo the transfer and content encodings of a body; ValueError if that fails. Stop soon after MAX_PAGE_BYTES.

    Many crawlers store an unpacked body with the header of the packed one: such a body is returned unchanged.
    """
    if "chunked" in fields.get("transfer-encoding", "").lower():
        body = _join_chunks(body)
    codings = fields.get("content-encoding", "").lower().split(",")
    if len(codings) > MAX_CODINGS:
        raise ValueError(f"{len(codings)} content encodings")
    for coding in reversed(codings):
        if coding.strip() in _UNPACKERS and body and not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            body = _UNPACKERS[coding.strip()](body)
    return body


def _join_chunks(body: bytes) -> bytes:
    joined = bytearray()
    at = 0
    while (chunk := _CHUNK.match(body, at)) and len(joined) <= MAX_PAGE_BYTES:
        at = chunk.end() + int(chunk[1], 16)
        if at == chunk.end():
            break
        joined += body[chunk.end() : at]
    return bytes(joined) if at else body


def _inflate(body: bytes) -> bytes:
    for bits in (47, -15):  # 47 reads gzip or zlib, as the head says; -15 reads "deflate" without a head.
        try:
            return zlib.decompressobj(bits).decompress(body, MAX_PAGE_BYTES + 1)
        except zlib.error as error:
            failure = error
    raise ValueError(f"not deflate: {failure}")


def _unpack_brotli(body: bytes) -> bytes:
    try:
        return BrotliReader(io.BytesIO(body)).read(MAX_PAGE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"not brotli: {error}") from error


_UNPACKERS = {"gzip": _inflate, "x-gzip": _inflate, "deflate": _inflate, "br": _unpack_brotli}


class Element(NamedTuple):
    """An HTML element of KINDS with its relevant attributes; a script's attribute `content` is its text."""

    tag: str
    attributes: dict[str, str]
    places: int  # the bits of IMAGE_PLACES of an image, except for the bits of its link
    surroundings: int  # of an image, as `kernels.surroundings` describes them; -1 for other elements


class Html(NamedTuple):
    """A page's base, language and licences, each image with an attribute of LINKS, and each `<meta>`'s attributes."""

    base: str | None  # href of its `<base>`
    language: str  # lang of its `<html>`; empty if it has none
    images: list[Element]
    metas: list[dict[str, str]]
    licences: int  # the bits of the licences that the page states


def parse(page: bytes, fields: dict[str, str], header_links: Sequence[Link] = ()) -> Html:
    """Return a page's images and metas, base, language and licences; ValueError if its encoding cannot be decoded.

    `header_links` are the links in its HTTP headers.
    """
    elements = _elements(page, fields.get("content-type", ""))
    base = next((element.attributes["href"] for element in elements if element.tag == "base"), None)
    lang = next((element.attributes["lang"] for element in elements if element.tag == "html"), "")
    images = [element for element in elements if element.tag in ("img", "image")]  # Both tags mean the same.
    images = [image for image in images if not image.attributes.keys().isdisjoint(LINKS)]
    metas = [element.attributes for element in elements if element.tag == "meta"]
    stating = [element for element in elements if element.tag in _STATING]
    licences = _licences(stating, header_links) if stating or header_links else 0
    return Html(base, lang, images, metas, licences)


def _licences(stating: Sequence[Element], header_links: Sequence[Link]) -> int:
    """Return the bits of the licences that elements and headers state."""
    links = [*header_links]
    metas = []
    scripts = []
    for tag, attributes, *_ in stating:
        media_type = attributes.get("type", "")
        if tag == "script license":
            if is_rsl(media_type):
                links.append(Link("license", "", media_type))
            elif media_type.strip().lower() == "application/ld+json":
                scripts.append(attributes["content"])
        elif tag == "meta license":
            named = filter(None, map(attributes.get, ("name", "property", "itemprop")))
            metas += [(name, attributes.get("content", "")) for name in named]
        elif "href" in attributes:
            tokens = f"{attributes.get('rel', '')} {attributes.get('itemprop', '')}"
            links.append(Link(tokens, attributes["href"], media_type))
    return licences_of(links, metas, scripts)


def _elements(page: bytes, content_type: str) -> list[Element]:
    encoding = stated_outside(page, content_type)
    if encoding is None:
        if not _IMAGE.search(page):
            return []
        parsed = elements(page)  # Bytes can be parsed: in all encodings that are left, ASCII bytes mean ASCII.
        metas = [element.attributes for element in parsed if element.tag == "meta"]
        encoding = stated_inside(page, metas) or guessed(page)
        if encoding == UTF_8:
            return parsed
    return elements(page if encoding == UTF_8 else page_text(page, encoding).encode())


def elements(page: bytes) -> list[Element]:
    """Return the elements of KINDS in a page, in its order, without the elements in a `<template>`."""
    frames = np.empty(len(page) // 4 + 2, np.int32)  # Memory that is not used costs nothing.
    opened = np.empty((len(page) // 4 + 2, html.CONTAINER_COLUMNS), np.int32)
    rows = np.empty((len(page) // 9 + 2, html.ELEMENT_COLUMNS), np.int32)
    data = np.frombuffer(page, np.uint8)
    count, stating, h1 = html.find_elements(data, len(page), frames, opened, rows)
    facts = np.empty((count, surroundings.FACTS), np.int32)
    table = np.empty(16 * count + 16, np.int32)
    words = np.empty((len(surroundings.FIELDS), surroundings.MOST_WORDS), np.int64)
    numbers = np.empty(len(words), np.int64)
    surroundings.describe(data, len(page), rows, count, h1, facts, table, words, numbers)
    parsed = []
    for begin in range(0, count, _ELEMENTS_AT_ONCE):  # For a page full of images, all rows at once would take 200 MB.
        some = rows[begin : min(begin + _ELEMENTS_AT_ONCE, count), : html.WANTED_COLUMNS].tolist()
        parsed += [
            Element(html.KINDS[row[html.KIND]], _attributes(page, row), row[html.PLACES], row[html.SURROUNDINGS])
            for row in some
        ]
    for number in np.flatnonzero(rows[:count, html.KIND] >= len(html.WANTED)).tolist() if stating else ():
        row = rows[number].tolist()
        tag, attributes, *_ = parsed[number]
        attributes |= {name: _value(page[row[k] : row[k + 1]]) for name, k in _OF_LICENCES if row[k] >= 0}
        if tag == "script license":  # The text of a script has no references.
            attributes["content"] = page[row[html.CONTENT] : row[html.CONTENT + 1]].decode("utf-8", "replace")
    return parsed


def _attributes(page: bytes, row: list[int]) -> dict[str, str]:
    return {name: _value(page[row[k] : row[k + 1]]) for name, k in _SPANS if row[k] >= 0}


def _value(raw: bytes) -> str:
    value = raw.decode("utf-8", "replace")
    if "\r" in value or "\0" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return attribute_value(value) if "&" in value else value


def stated_outside(page: bytes, content_type: str) -> str | None:
    """Return the name of the encoding that the page's first bytes or the HTTP header state, or None."""
    return _begun(page, _BOMS) or _charset(content_type) or _begun(page, _XML_UTF_16)


def stated_inside(page: bytes, metas: Iterable[dict[str, str]]) -> str | None:
    """Return the name of the encoding that a page's metas (attributes) or else XML declaration state, or None."""
    name = next(filter(None, map(_of_meta, metas)), None) or _of_xml(page)
    if name in _BOMS.values():  # The name was read as ASCII, so the page is not UTF-16.
        return UTF_8
    return DEFAULT_ENCODING if name == USER_DEFINED else name


def guessed(page: bytes) -> str:
    """Return the name of the encoding of a page that states none."""
    return UTF_8 if is_mostly_utf8(page) else _codec(looks_like(page)) or DEFAULT_ENCODING


def page_text(page: bytes, name: str) -> str:
    """Return the page as text; ValueError for encodings that the standard forbids to decode."""
    encoding = lookup(name)
    if encoding is None or name == REPLACEMENT:
        raise ValueError(f"{name} is not decoded")
    codec = codecs.lookup("gb18030") if name == "gbk" else encoding.codec_info  # The standard has one decoder for both.
    return codec.decode(page, "replace")[0]


def is_mostly_utf8(page: bytes) -> bool:
    """Return whether a page, perhaps cut, is UTF-8, or has more valid than invalid characters besides ASCII."""
    text = page.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    return wrong == 0 or len(text) - len(text.encode("ascii", "ignore")) > 2 * wrong


def _begun(page: bytes, names: dict[bytes, str]) -> str | None:
    return next((name for begin, name in names.items() if page.startswith(begin)), None)


def _of_meta(attributes: dict[str, str]) -> str | None:
    if "charset" in attributes:
        return _codec(attributes["charset"])
    is_stated = attributes.get("http-equiv", "").lower() == "content-type"
    return _charset(attributes.get("content", "")) if is_stated else None


def _of_xml(page: bytes) -> str | None:
    stated = _XML.match(page)
    return _codec(stated[1].decode("latin-1")) if stated else None


def _charset(text: str) -> str | None:
    stated = _CHARSET.search(text)
    return _codec(stated[1] or stated[2] or stated[3] or "") if stated else None


def _codec(label: str) -> str | None:
    encoding = lookup(label)
    return encoding.name if encoding else None


def looks_like(page: bytes) -> str:
    """Return a label of a page's most likely encoding, guessed from the pieces of its text that are not ASCII."""
    odd = (piece[0] for piece in _PIECE.finditer(page) if not piece[0].isascii())
    pieces = next(gather(odd, len, GUESSED_BYTES), [])
    texts = b"\n".join(pieces)[: GUESSED_BYTES + len(pieces) - 1]
    import chardet  # This slow import is here because few pages need it.

    guess = chardet.detect(texts, include_encodings=GUESSED_ENCODINGS, no_match_encoding=DEFAULT_ENCODING)
    name = (guess["encoding"] or DEFAULT_ENCODING).lower()
    return _LABEL_OF_CODEC.get(name, name)


def link_of(attributes: dict[str, str]) -> str | None:
    """Return an image's link by its attributes in LINKS; None without a src or another link that may show a picture.

    >>> link_of({"src": "a.jpg", "srcset": "b.jpg 2x"}), link_of({"src": "spacer.gif", "srcset": "a.jpg, b.jpg 2x"})
    ('a.jpg', 'b.jpg')
    """
    src = attributes.get("src")
    if attributes.keys().isdisjoint(_INSTEAD):  # Most images have only a src.
        return src
    if src is None or _shows_nothing(src) or _is_placeholder(_name(src)):
        for name in _INSTEAD:
            value = attributes.get(name)
            if value and (link := _read(value, name)) and _may_show(link):
                return link
    return src


def _read(value: str, name: str) -> str | None:
    """Return the link in `value`, the value of the attribute `name` (one of LINKS), or None if it has none."""
    if name == html.OF_OTHER:
        attribute, _, link = value.partition("=")
        return None if _of_another(attribute) else link.strip(" \t\n\f\r\"'")
    return largest_link(value) if name in _SETS else value


def largest_link(value: str) -> str | None:
    """Return the largest link of a srcset that may show a picture: by width, if one states its width, else by density.

    >>> largest_link("a.jpg 320w, data:image/gif;base64,R0lG 2000w, w_640,h_480/b.jpg 640w, c.jpg 9x")
    'w_640,h_480/b.jpg'
    """
    shown = ((size, link) for link, size in _candidates(value) if _may_show(link))
    return max(shown, key=lambda candidate: candidate[0], default=(None, None))[
        1
    ]  # Of equal links, `max` returns the first.


def _may_show(link: str) -> bool:
    """Return whether a link may show a picture; a link with a brace is JSON, or a template that a script fills in."""
    return not (_shows_nothing(link) or "{" in link or _is_placeholder(_name(link)))


def _name(link: str) -> str:
    """Return the last part of a link's path."""
    return link.partition("?")[0].partition("#")[0].rpartition("/")[2]


def _candidates(value: str) -> Iterator[tuple[str, tuple[bool, float]]]:
    """Yield each link of a srcset, parsed as in HTML, with its size: (True, width), or (False, density)."""
    for candidate in _CANDIDATE.finditer(value):
        link, descriptors = candidate.groups()
        if (size := _size(descriptors or "")) is not None:
            yield link, size


def _size(descriptors: str) -> tuple[bool, float] | None:
    """Return (True, width) or (False, density), as descriptors in a srcset state; None if HTML does not allow these."""
    stated: dict[str, float] = {}
    for descriptor in descriptors.translate(_TO_SPACES).split(" "):
        if not descriptor:
            continue
        match = _DESCRIPTOR.fullmatch(descriptor)
        kind = descriptor[-1]
        if not match or kind in stated or (stated and "x" in (kind, *stated)):
            return None
        stated[kind] = float(match["number"] or match["size"])
        if stated[kind] < 0 or (kind != "x" and stated[kind] == 0) or (kind == "x" and math.isinf(stated[kind])):
            return None
    if "h" in stated and "w" not in stated:
        return None
    return ("w" in stated, stated.get("w", stated.get("x", 1.0)))
