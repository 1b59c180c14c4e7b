"""Read the pages in a dump: MediaWiki's XML, or the JSON lines of Cirrus search dumps.

XML is cut at <page> and </page> and parsed page by page. So only the invalid pages of a dump are lost, memory is
bounded by a page, and a document type, which could define entities, is never parsed.
"""

import bz2
import codecs
import gzip
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, cast
from xml.etree import ElementTree

import fsspec
import orjson

from metadata.wikipedia.forms import MarkupSection, Span
from runtime.redaction import with_secrets

CHUNK = 1 << 20  # bytes read at a time
READ_AHEAD = 4 << 20  # bytes requested from a URL beyond a chunk: more would be wasted at the end of each span
PAGE_BYTES = 32 << 20  # of XML; a page of Wikipedia has at most 2 MiB of wikitext

Decompressor = bz2.BZ2Decompressor | lzma.LZMADecompressor

_BYTE_ORDERS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ENCODING = re.compile(rb"""<\?xml[^>]*\bencoding\s*=\s*["']([\w.:-]+)["']""")
_BEGIN, _END = b"<page>", b"</page>"


@dataclass(frozen=True)
class DumpPage:
    """A page of a dump; a field is None if the dump does not state it."""

    title: str | None
    text: str | None
    namespace: str | None = None
    model: str | None = None
    redirect: bool = False


def drop(tally: Counter, reason: str, pages: int = 1) -> None:
    """Count a number of pages in `tally` as dropped for `reason`."""
    if pages:
        tally["pages"] += pages
        tally[f"dropped.{reason}"] += pages


class CutError(Exception):
    """A dump cannot be read to its end; `reason` is "truncated" or "corrupt"."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def unpacked(path: str, span: Span | None = None) -> Iterator[bytes]:
    """Yield the decompressed content of a file, or of a span of it, converted to UTF-8, in chunks.

    The file's ending decides how to decompress it. CutError at the place where the file is cut or damaged.
    """
    return _as_utf8(pieces(path, span))


def pieces(path: str, span: Span | None = None) -> Iterator[bytes]:
    """Yield the decompressed bytes of a file, or of a span of it, in chunks.

    The file's ending decides how to decompress it. CutError at the place where the file is cut or damaged.
    """
    reader = _READERS.get(path[path.rfind(".") :].lower(), _plain)
    system, inner = fsspec.url_to_fs(with_secrets(path))
    how = {"block_size": READ_AHEAD} if span else {"compression": "infer"} if reader is _plain else {}
    with system.open(inner, "rb", **how) as file:
        try:
            yield from reader(cast(BinaryIO, MarkupSection(file, span)) if span else file)
        except EOFError:
            raise CutError("truncated") from None


def xml_pages(chunks: Iterable[bytes], tally: Counter, last: bool = True) -> Iterator[DumpPage]:
    """Yield the pages of a MediaWiki dump, or of a span of one; count invalid pages in `tally`.

    If `last`, the chunks reach the end of the dump: CutError if they end inside of a page.
    """
    for page in _cut(chunks, tally, last):
        try:
            yield _of_xml(ElementTree.fromstring(page))
        except ElementTree.ParseError:
            drop(tally, "bad_xml")


def cirrus_pages(chunks: Iterable[bytes], tally: Counter) -> Iterator[DumpPage]:
    """Yield the pages of a Cirrus search dump; skip the index line before each page, and count bad JSON in `tally`."""
    for line in _lines(chunks):
        source = _json(line)
        if source is None:
            drop(tally, "bad_json")
        elif "index" not in source or "title" in source:
            yield _of_cirrus(source)


def first_source(chunks: Iterable[bytes]) -> dict | None:
    """Return the JSON object of the first page of a Cirrus search dump, or None if the first ten lines have no page."""
    head = (line for _, line in zip(range(10), _lines(chunks), strict=False))
    return next((source for line in head if (source := _json(line)) and "title" in source and "text" in source), None)


def _plain(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file) as content:
            while chunk := content.read1(CHUNK):  # `read` would lose the bytes right before the damage
                yield chunk
    except (gzip.BadGzipFile, zlib.error):
        raise CutError("corrupt") from None


def _streams(file: BinaryIO, decompressor: Callable[[], Decompressor]) -> Iterator[bytes]:
    """Yield the decompressed content of all streams of a file.

    `bz2.open` would end without an error if the first bytes of a later stream are damaged.
    """
    packed = file.read(CHUNK)
    while packed:
        stream = decompressor()
        while not stream.eof:
            yield _decompressed(stream, packed)
            packed = file.read(CHUNK) if stream.needs_input else b""
            if stream.needs_input and not packed:
                raise EOFError
        packed = stream.unused_data + packed or file.read(CHUNK)


def _decompressed(stream: Decompressor, packed: bytes) -> bytes:
    try:
        return stream.decompress(packed, CHUNK)
    except (OSError, lzma.LZMAError):
        raise CutError("corrupt") from None


_READERS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    ".bz2": partial(_streams, decompressor=bz2.BZ2Decompressor),
    ".gz": _gzip,
    ".xz": partial(_streams, decompressor=lzma.LZMADecompressor),
}


def _as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")
    encoding = "utf-16" if first.startswith(_BYTE_ORDERS) else _declared(first)
    if encoding == "utf-8":
        yield first
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    yield decoder.decode(first).encode()
    for chunk in chunks:
        yield decoder.decode(chunk).encode()


def _declared(head: bytes) -> str:
    found = _ENCODING.search(head[:200])
    try:
        return codecs.lookup(found[1].decode()).name if found else "utf-8"
    except LookupError:
        return "utf-8"  # pages with invalid UTF-8 are dropped and counted


def _cut(chunks: Iterable[bytes], tally: Counter, last: bool) -> Iterator[bytes]:
    """Yield the bytes of each <page>…</page>; drop and count pages that never end or have more than PAGE_BYTES."""
    buffer, too_long = b"", False
    for chunk in chunks:
        buffer += chunk
        position = 0
        while (end := buffer.find(_END, position)) >= 0:
            begin = buffer.rfind(_BEGIN, position, end)
            drop(tally, "bad_xml", buffer.count(_BEGIN, position, max(position, begin)))  # pages that were never closed
            if begin >= 0:
                yield buffer[begin : end + len(_END)]
            else:
                drop(tally, "bad_xml", pages=not too_long)
            position, too_long = end + len(_END), False
        buffer = buffer[position:]
        if len(buffer) > PAGE_BYTES:
            drop(tally, "too_long", pages=not too_long)
            buffer, too_long = buffer[-len(_BEGIN) :], True
    if _BEGIN in buffer and last:
        raise CutError("truncated")
    drop(tally, "bad_xml", buffer.count(_BEGIN))


def _of_xml(page: ElementTree.Element) -> DumpPage:
    revision = ([page, *page.findall("revision")])[-1]  # the latest revision comes last
    text = revision.find("text")
    return DumpPage(
        title=page.findtext("title"),
        text=None if text is None else text.text,
        namespace=page.findtext("ns"),
        model=revision.findtext("model"),
        redirect=page.find("redirect") is not None,
    )


def _of_cirrus(source: dict) -> DumpPage:
    title, text, model = (_string(source.get(name)) for name in ("title", "text", "content_model"))
    namespace = source.get("namespace")
    return DumpPage(title, text, None if namespace is None else str(namespace), model)


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(bytes.strip, lines)
        rest = rest[:PAGE_BYTES]  # no dump has a longer line; cut, the line is counted as bad JSON
    if rest.strip():
        yield rest


def _json(line: bytes) -> dict | None:
    try:
        value = orjson.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
