"""Unpack HTTP responses, decode their HTML, and find the images in it."""

import io
import re
import zlib

from fastwarc.stream_io import BrotliReader
from selectolax.lexbor import LexborHTMLParser

MAX_BYTES = 8 << 20  # of an unpacked page, whose tree takes fifty times as many; Common Crawl cuts pages at 1 or 5 MB

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"(?:\r\n)?([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';]+)", re.I)
_META_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([^\s\"'/>;]+)", re.I)
_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}

# Labels that browsers read in a wider sense than Python does (the Encoding Standard).
_CODECS = {
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "latin1", "ascii", "us-ascii", "ansi"), "cp1252"),
    **dict.fromkeys(("iso-8859-9", "iso8859-9", "latin5"), "cp1254"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "ksc5601", "windows-949"), "cp949"),
    **dict.fromkeys(("gb2312", "gbk", "x-gbk", "gb_2312-80"), "gb18030"),
    **dict.fromkeys(("tis-620", "iso-8859-11", "windows-874"), "cp874"),
    **dict.fromkeys(("big5", "big5-hkscs", "x-x-big5"), "big5hkscs"),
}


def headers(response: bytes) -> tuple[dict[str, str], bytes]:
    """Return the header fields of an HTTP response, names in lower case, and its body as it was sent."""
    end = _HEAD_END.search(response)
    head, body = (response[: end.start()], response[end.end() :]) if end else (response, b"")
    lines = head.decode("latin-1").split("\n")[1:]
    fields = (line.partition(":") for line in reversed(lines))  # of a repeated field, the first counts
    return {name.strip().lower(): value.strip() for name, _, value in fields}, body


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
    for coding in reversed(fields.get("content-encoding", "").lower().split(",")):
        if coding.strip() in _UNPACKERS and body and not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            body = _UNPACKERS[coding.strip()](body)
    return body


def _join_chunks(body: bytes) -> bytes:
    parts, at = [], 0
    while chunk := _CHUNK.match(body, at):
        at = chunk.end() + int(chunk[1], 16)
        parts.append(body[chunk.end() : at])
        if not parts[-1]:
            break
    return b"".join(parts) if parts else body


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


def decode(page: bytes, fields: dict[str, str]) -> str:
    """Return the page as text: by its byte order mark, else the header's charset, else its own `<meta>`, else UTF-8."""
    codec = next((codec for bom, codec in _BOMS.items() if page.startswith(bom)), None)
    label = codec or _label(page, fields)
    try:
        return page.decode(_CODECS.get(label, label), "replace")
    except (LookupError, ValueError):  # no such charset
        return page.decode("utf-8", "replace")


def _label(page: bytes, fields: dict[str, str]) -> str:
    if named := _CHARSET.search(fields.get("content-type", "")):
        return named[1].lower()
    meta = _META_CHARSET.search(page, 0, 1024)  # where browsers look for it
    label = meta[1].decode("latin-1").lower() if meta else "utf-8"
    return "utf-8" if label.startswith("utf-16") else label  # it was read as ASCII, so it is not UTF-16


def images(html: str) -> tuple[str | None, list[dict[str, str | None]]]:
    """Return the href of the page's `<base>`, and the attributes of each `<img>` that has a src."""
    if not re.search("<im", html, re.I):  # <image> is read as <img>
        return None, []
    tree = LexborHTMLParser(html)
    found = tree.css("base[href], img[src]")  # in one walk over the tree, which is a quarter of the parser's time
    base = next((element.attributes["href"] for element in found if element.tag == "base"), None)
    return base, [element.attributes for element in found if element.tag != "base"]
