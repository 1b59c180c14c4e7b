"""Read the pages in a dump: MediaWiki's XML, or the JSON lines of Cirrus search dumps.

XML is cut at <page> and </page> and parsed page by page. So only the invalid pages of a dump are lost, memory is
bounded by a page, and a document type, which could define entities, is never parsed.
"""

import bz2
import codecs
import gzip
import logging
import lzma
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast
from xml.etree import ElementTree

import fsspec
import orjson
from fsspec import AbstractFileSystem

from runtime.messages import quoted
from runtime.redaction import with_secrets
from runtime.tallies import Tally

log = logging.getLogger("metadata.wikipedia")

# A form with fewer bytes than this share of the largest form is incomplete: multistream adds only a tenth.
WHOLE_SHARE = 0.8

_NAME = re.compile(r"([a-z_]+wiki-(?:\d{8}|latest))-pages-articles(-multistream)?(\d*)\.xml(?:-p\d+p\d+)?(?:\.\w+)?")
# The first group names a dump (pages-articles, content_current or Cirrus), and the second its Wikipedia. The files of a
# dump hold different articles; two dumps of a Wikipedia hold the same articles.
_DAY = re.compile(
    r"(([a-z_]+wiki)(?:-(?:\d{8}|latest)-pages-articles|-\d{4}-\d\d-\d\d(?=-p\d)|-\d{8}-cirrussearch|_content-\d{8}(?=-\d)))"
)
# The forms of a dump, the best first: the form that gives the most tasks.
_INDEXED, _PARTS, _STREAM_PARTS, _STREAM, _PLAIN = _ORDER = (
    "the multistream dump with its index",
    "its parts",
    "its multistream parts",
    "the multistream dump",
    "the whole dump",
)

SPAN_BYTES = 64 << 20  # A task reads this part of a packed dump in some 20 seconds; 20 GB give 320 tasks.
LONG_TASK = 1 << 30  # A packed dump of more bytes should not be one task.

_DUMP = re.compile(r"(.*-multistream)(\d*)\.xml(-p\d+p\d+)?(\.bz2)")
_INDEX = re.compile(r".*-multistream-index\d*\.txt(-p\d+p\d+)?(\.bz2)?")
_STREAM_START = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")  # a stream's head, then its first block or its end
_STREAM_BYTES = 10


def one_form(files: Mapping[str, int]) -> list[str]:
    """Return the paths in `files` (path → bytes) to read; a dump in several forms is read in the best complete form.

    The log names the forms that are left out, and Wikipedias with several dumps.
    """
    dumps: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in files:
        if match := _NAME.fullmatch(PurePosixPath(path).name):
            dumps[match[1]][_form(path, multi=bool(match[2]), numbered=bool(match[3]))].append(path)
    left_out: set[str] = set()
    for dump, forms in dumps.items():
        if len(forms) > 1:
            left_out.update(_left_out(dump, forms, files))
    kept = [path for path in files if path not in left_out]
    _warn_of_several(kept)
    return kept


def _warn_of_several(paths: list[str]) -> None:
    """Log a warning for each Wikipedia with dumps of several days or kinds: each dump holds all articles."""
    dumps: dict[str, set[str]] = defaultdict(set)
    for match in filter(None, (_DAY.match(PurePosixPath(path).name) for path in paths)):
        dumps[match[2]].add(match[1])
    for wiki, names in sorted(dumps.items()):
        if len(names) > 1:
            log.warning("articles of %s count once for each of its dumps: %s; pass one", wiki, ", ".join(sorted(names)))


def _form(path: str, multi: bool, numbered: bool) -> str:
    if numbered:
        return _STREAM_PARTS if multi else _PARTS
    if not multi:
        return _PLAIN
    return _INDEXED if _index_beside(path) else _STREAM


def _left_out(dump: str, forms: Mapping[str, list[str]], files: Mapping[str, int]) -> list[str]:
    """Return the paths of all forms of a dump except the best complete form; log which form is read."""
    size = {form: sum(map(files.__getitem__, paths)) for form, paths in forms.items()}
    whole = [form for form in _ORDER if form in size and size[form] >= WHOLE_SHARE * max(size.values())]
    others = [form for form in _ORDER if form in size and form != whole[0]]
    verb = "are" if whole[0] in (_PARTS, _STREAM_PARTS) else "is"
    log.info("%s is given more than once: %s %s read, not %s", dump, whole[0], verb, " nor ".join(others))
    return [*chain.from_iterable(map(forms.__getitem__, others))]


@dataclass(frozen=True)
class Span:
    """The compressed bytes from `start` up to `end` (excluded) of a dump, which are complete bz2 streams."""

    start: int
    end: int
    last: bool = False  # whether the span ends the dump


class MarkupSection:
    """A file-like object that reads only the bytes of one span of a dump, compressed as they are.

    Its only method is `read`, which needs a size.
    """

    def __init__(self, file: BinaryIO, span: Span):
        self._file = file
        self._rest = span.end - span.start
        file.seek(span.start)

    def read(self, size: int) -> bytes:
        """Return the next bytes of the span, at most `size`; empty at its end."""
        content = self._file.read(min(size, self._rest))
        self._rest -= len(content)
        return content


class _MisfitError(Exception):
    """The index does not belong to the dump."""


def is_index(path: str) -> bool:
    """Return whether the file name in `path` is the name of the index of a multistream dump."""
    return _INDEX.fullmatch(path.rpartition("/")[2]) is not None


def index_path(dump: str) -> str | None:
    """Return the path at which the index of a dump is published; None for a dump that is not multistream.

    >>> index_path("a/enwiki-20240101-pages-articles-multistream1.xml-p1p41242.bz2")
    'a/enwiki-20240101-pages-articles-multistream-index1.txt-p1p41242.bz2'
    """
    folder, slash, name = dump.rpartition("/")
    match = _DUMP.fullmatch(name)
    return f"{folder}{slash}{match[1]}-index{match[2]}.txt{match[3] or ''}{match[4]}" if match else None


def spans(dump: str) -> list[Span]:
    """Return the spans of a dump, in order; [] if it is small or has no matching index: then one task reads it.

    If a large dump has no usable index, log a warning.
    """
    if not dump.lower().endswith(".bz2"):
        return []
    system, inner = fsspec.url_to_fs(with_secrets(dump))
    size = system.size(inner) or 0
    if size < 2 * SPAN_BYTES:
        return []
    index = _index_beside(dump)
    if index is None:
        if size > LONG_TASK:
            log.warning("%s has %.1f GB and is read by one task; %s", dump, size / 1e9, _advice(dump))
        return []
    try:
        starts = [0, *_starts(index, size)]
        _check_streams(system, inner, starts)
    except (_MisfitError, OSError, EOFError, ValueError) as error:
        fault = "does not fit it" if isinstance(error, _MisfitError) else "cannot be used"
        log.warning("%s is read by one task, as its index %s %s (%s); fetch both again", dump, index, fault, error)
        return []
    return [Span(start, end, last=end == size) for start, end in pairwise([*starts, size])]


def _advice(dump: str) -> str:
    if index_path(dump):
        return "fetch its index (…-multistream-index.txt.bz2) into the same folder, by which it is cut into many tasks"
    return "fetch the dump in its numbered parts, or the multistream dump with its index, which make many tasks"


def _index_beside(dump: str) -> str | None:
    """Return the path of the existing index of a dump, compressed or not; None if there is none."""
    packed = index_path(dump)
    names = [packed, packed.removesuffix(".bz2")] if packed else []
    candidates = ((name, *fsspec.url_to_fs(with_secrets(name))) for name in names)
    return next((name for name, system, inner in candidates if system.exists(inner)), None)


def _starts(index: str, size: int) -> list[int]:
    """Return the offsets at which spans begin, except the first span, which begins at 0.

    A span begins at the first stream at least SPAN_BYTES after the begin of the span before. `size` is the number of
    bytes of the dump. _MisfitError if offsets in the index do not ascend, or are not below `size`.
    """
    starts: list[int] = []
    last = 0
    for offset in _offsets(index):
        if offset <= last or offset >= size:
            raise _MisfitError(f"offset {offset:,} after {last:,}, and the dump has {size:,} bytes")
        if offset >= (starts[-1] if starts else 0) + SPAN_BYTES:
            starts.append(offset)
        last = offset
    return starts


def _offsets(index: str) -> Iterator[int]:
    """Yield each distinct offset of an index file, in order; lines with the same offset follow one another."""
    before = b""
    with fsspec.open(with_secrets(index), "rb", compression="infer") as lines:
        for line in lines:
            if before and line.startswith(before):
                continue
            offset, colon, _ = line.partition(b":")
            if not (colon and offset.isdigit()):
                raise _MisfitError(f"the line {quoted(line)!r} has no offset")
            yield int(offset)
            before = offset + colon


def _check_streams(system: AbstractFileSystem, inner: str, starts: list[int]) -> None:
    with system.open(inner, "rb", block_size=1 << 12) as file:
        for start in starts:
            file.seek(start)
            if not _STREAM_START.fullmatch(file.read(_STREAM_BYTES)):
                raise _MisfitError(f"no bz2 stream starts at byte {start:,}")


CHUNK_BYTES = 1 << 20  # bytes read at a time
READ_AHEAD = 4 << 20  # bytes requested from a URL beyond a chunk: more would be wasted at the end of each span
PAGE_BYTES = 32 << 20  # bytes of a page as XML; a page of Wikipedia has at most 2 MiB of wikitext

Decompressor = bz2.BZ2Decompressor | lzma.LZMADecompressor

_BYTE_ORDERS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ENCODING = re.compile(rb"""<\?xml[^>]*\bencoding\s*=\s*["']([\w.:-]+)["']""")
_BEGIN = b"<page>"
_END = b"</page>"


@dataclass(frozen=True)
class DumpPage:
    """A page of a dump; a field is None if the dump does not state it."""

    title: str | None
    text: str | None
    namespace: str | None = None
    model: str | None = None
    redirect: bool = False


def drop(tally: Tally, reason: str, pages: int = 1) -> None:
    """Count a number of pages in `tally` as dropped for `reason`."""
    if pages:
        tally["pages"] += pages
        tally["dropped", reason] += pages


class CutError(Exception):
    """A dump cannot be read to its end; `reason` is "truncated" or "corrupt"."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def unpacked(path: str, span: Span | None = None) -> Iterator[bytes]:
    """Yield the decompressed content of a file, or of a span of it, converted to UTF-8, in chunks.

    The file's ending decides how to decompress it. CutError where the file is cut or damaged.
    """
    return _as_utf8(pieces(path, span))


def pieces(path: str, span: Span | None = None) -> Iterator[bytes]:
    """Yield the decompressed bytes of a file, or of a span of it, in chunks.

    The file's ending decides how to decompress it. CutError where the file is cut or damaged.
    """
    reader = _READERS.get(path[path.rfind(".") :].lower(), _plain)
    system, inner = fsspec.url_to_fs(with_secrets(path))
    how: dict[str, Any] = {"compression": "infer"} if reader is _plain else {}
    if span:
        how = {"block_size": READ_AHEAD}
    with system.open(inner, "rb", **how) as file:
        try:
            yield from reader(cast(BinaryIO, MarkupSection(file, span)) if span else file)
        except EOFError:
            raise CutError("truncated") from None


def xml_pages(chunks: Iterable[bytes], tally: Tally, last: bool = True) -> Iterator[DumpPage]:
    """Yield the pages of a MediaWiki dump, or of a span of a dump; count invalid pages in `tally`.

    With `last`, the chunks must reach the end of the dump: CutError if they end inside of a page.
    """
    for page in _cut(chunks, tally, last):
        try:
            yield _of_xml(ElementTree.fromstring(page))
        except ElementTree.ParseError:
            drop(tally, "bad_xml")


def cirrus_pages(chunks: Iterable[bytes], tally: Tally) -> Iterator[DumpPage]:
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
    sources = filter(None, map(_json, head))
    return next((source for source in sources if "title" in source and "text" in source), None)


def _plain(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file) as content:
            while chunk := content.read1(CHUNK_BYTES):  # `read` would lose the bytes right before the damage.
                yield chunk
    except (gzip.BadGzipFile, zlib.error):
        raise CutError("corrupt") from None


def _streams(file: BinaryIO, decompressor: Callable[[], Decompressor]) -> Iterator[bytes]:
    """Yield the decompressed content of all streams of a file.

    `bz2.open` would end without an error if the first bytes of a later stream are damaged.
    """
    packed = file.read(CHUNK_BYTES)
    while packed:
        stream = decompressor()
        while not stream.eof:
            yield _decompressed(stream, packed)
            packed = file.read(CHUNK_BYTES) if stream.needs_input else b""
            if stream.needs_input and not packed:
                raise EOFError
        packed = stream.unused_data + packed or file.read(CHUNK_BYTES)


def _decompressed(stream: Decompressor, packed: bytes) -> bytes:
    try:
        return stream.decompress(packed, CHUNK_BYTES)
    except (OSError, lzma.LZMAError):
        raise CutError("corrupt") from None


_READERS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    ".bz2": lambda file: _streams(file, bz2.BZ2Decompressor),
    ".gz": _gzip,
    ".xz": lambda file: _streams(file, lzma.LZMADecompressor),
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
    match = _ENCODING.search(head[:200])
    try:
        return codecs.lookup(match[1].decode()).name if match else "utf-8"
    except LookupError:
        return "utf-8"  # Pages with invalid UTF-8 are dropped and counted.


def _cut(chunks: Iterable[bytes], tally: Tally, last: bool) -> Iterator[bytes]:
    """Yield the bytes of each <page>…</page>; drop and count pages that never end or have more than PAGE_BYTES.

    CutError if the chunks end inside of a page and `last` is True.
    """
    buffer = b""
    too_long = False
    for chunk in chunks:
        buffer += chunk
        position = 0
        while (end := buffer.find(_END, position)) >= 0:
            begin = buffer.rfind(_BEGIN, position, end)
            # The pages before the last <page> were never closed.
            drop(tally, "bad_xml", buffer.count(_BEGIN, position, max(position, begin)))
            if begin >= 0:
                yield buffer[begin : end + len(_END)]
            else:
                drop(tally, "bad_xml", pages=not too_long)
            position = end + len(_END)
            too_long = False
        buffer = buffer[position:]
        if len(buffer) > PAGE_BYTES:
            drop(tally, "too_long", pages=not too_long)
            buffer = buffer[-len(_BEGIN) :]
            too_long = True
    if _BEGIN in buffer and last:
        raise CutError("truncated")
    drop(tally, "bad_xml", buffer.count(_BEGIN))


def _of_xml(page: ElementTree.Element) -> DumpPage:
    revision = ([page, *page.findall("revision")])[-1]  # The latest revision comes last.
    text = revision.find("text")
    return DumpPage(
        title=page.findtext("title"),
        text=None if text is None else text.text,
        namespace=page.findtext("ns"),
        model=revision.findtext("model"),
        redirect=page.find("redirect") is not None,
    )


def _of_cirrus(source: dict) -> DumpPage:
    namespace = source.get("namespace")
    return DumpPage(
        title=_string(source, "title"),
        text=_string(source, "text"),
        namespace=None if namespace is None else str(namespace),
        model=_string(source, "content_model"),
    )


def _string(source: dict, name: str) -> str | None:
    """Return the member `name` of a JSON object, or None if it is not a string."""
    value = source.get(name)
    return value if isinstance(value, str) else None


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(bytes.strip, lines)
        rest = rest[:PAGE_BYTES]  # No dump has a longer line. A line that is cut is counted as bad JSON.
    if rest.strip():
        yield rest


def _json(line: bytes) -> dict | None:
    try:
        value = orjson.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
