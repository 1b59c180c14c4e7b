"""Unpack HTTP responses, and find the images in their HTML.

The kernels in `kernels.html` read pages as UTF-8, or as any encoding that writes ASCII characters as ASCII bytes.
"""

import io
import re
import zlib
from typing import NamedTuple

import numpy as np
from fastwarc.stream_io import BrotliReader

from curation.inputs.character_references import unescape
from curation.inputs.crawl import encodings
from curation.inputs.crawl.image_links import LINKS
from curation.kernels.html.elements import find_elements
from curation.kernels.html.names import COLUMNS, KIND, SPANS, VALUES, WANTED

MAX_HEAD = 256 << 10  # bytes of the head of a response, as in browsers
MAX_CODINGS = 5  # of a body, one around the other, as in curl
MAX_BYTES = 8 << 20  # of an unpacked page; Common Crawl cuts pages at 1 or 5 MB

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"(?:\r\n)?([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_IMAGE = re.compile(rb"<im", re.I)  # <image> is read as <img>
_SPANS = [(name, VALUES + 2 * k) for k, name in enumerate(SPANS)]


def headers(response: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Return name, in lower case, and value of each header field of an HTTP response, and its body as it was sent."""
    end = _HEAD_END.search(response, 0, MAX_HEAD)
    head, body = (response[: end.start()], response[end.end() :]) if end else (response[:MAX_HEAD], b"")
    lines = head.decode("latin-1").split("\n")[1:]
    fields = (line.partition(":") for line in lines)
    return [(name.strip().lower(), value.strip()) for name, _, value in fields], body


def is_html(fields: dict[str, str]) -> bool:
    """Say whether the response calls itself HTML."""
    kind = fields.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml")


def unpack(body: bytes, fields: dict[str, str]) -> bytes:
    """Undo the transfer and content encodings; ValueError if it cannot be done. Beyond MAX_BYTES it stops soon.

    Many crawlers store what they have unpacked under the header that said it was packed: then the body stays as it is.
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
    joined, at = bytearray(), 0
    while (chunk := _CHUNK.match(body, at)) and len(joined) <= MAX_BYTES:
        at = chunk.end() + int(chunk[1], 16)
        if at == chunk.end():
            break
        joined += body[chunk.end() : at]
    return bytes(joined) if at else body


def _inflate(body: bytes) -> bytes:
    for bits in (47, -15):  # gzip or zlib by what its head says; "deflate" without any head
        try:
            return zlib.decompressobj(bits).decompress(body, MAX_BYTES + 1)
        except zlib.error as error:
            failure = error
    raise ValueError(f"not deflate: {failure}")


def _unpack_brotli(body: bytes) -> bytes:
    try:
        return BrotliReader(io.BytesIO(body)).read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"not brotli: {error}") from error


_UNPACKERS = {"gzip": _inflate, "x-gzip": _inflate, "deflate": _inflate, "br": _unpack_brotli}


class Element(NamedTuple):
    """An element `img`, `image`, `base`, `meta` or `html`, with the values of its relevant attributes."""

    tag: str
    attributes: dict[str, str]


class Html(NamedTuple):
    """The relevant parts of a page: the attributes of each `<img>` with a link, and of each `<meta>`."""

    base: str | None  # href of its `<base>`
    language: str  # lang of its `<html>`; empty if it has none
    images: list[dict[str, str]]
    metas: list[dict[str, str]]


def parse(page: bytes, fields: dict[str, str]) -> Html:
    """Return what counts of a page; ValueError if it is in an encoding that cannot be decoded."""
    found = _elements(page, fields.get("content-type", ""))
    base = next((element.attributes["href"] for element in found if element.tag == "base"), None)
    lang = next((element.attributes["lang"] for element in found if element.tag == "html"), "")
    images = [element.attributes for element in found if element.tag in ("img", "image")]  # which are the same
    images = [attributes for attributes in images if not attributes.keys().isdisjoint(LINKS)]
    return Html(base, lang, images, [element.attributes for element in found if element.tag == "meta"])


def _elements(page: bytes, content_type: str) -> list[Element]:
    encoding = encodings.stated_outside(page, content_type)
    if encoding is None:
        if not _IMAGE.search(page):
            return []
        found = elements(page)  # of bytes: in all encodings that are left, those of ASCII mean ASCII
        metas = [element.attributes for element in found if element.tag == "meta"]
        encoding = encodings.stated_inside(page, metas) or encodings.guessed(page)
        if encoding == encodings.UTF_8:
            return found
    return elements(page if encoding == encodings.UTF_8 else encodings.decode(page, encoding).encode())


def elements(page: bytes) -> list[Element]:
    """Return the elements of a page, in their order, those in templates left out."""
    frames = np.empty(len(page) // 4 + 2, np.int32)  # memory that is not used costs nothing
    rows = np.empty((len(page) // 9 + 2, COLUMNS), np.int32)
    count = find_elements(np.frombuffer(page, np.uint8), len(page), frames, rows)
    return [Element(WANTED[row[KIND]], _attributes(page, row)) for row in rows[:count].tolist()]


def _attributes(page: bytes, row: list[int]) -> dict[str, str]:
    return {name: _value(page[row[k] : row[k + 1]]) for name, k in _SPANS if row[k] >= 0}


def _value(raw: bytes) -> str:
    value = raw.decode("utf-8", "replace")
    if "\r" in value or "\0" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return unescape(value) if "&" in value else value
