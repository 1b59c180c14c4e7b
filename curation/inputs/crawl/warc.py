"""Read WARC files: the images of a crawl's pages, from the HTML in their HTTP responses; read the records of WAT files.

Each record is a gzip member. A broken member is counted, and reading goes on. Heads of records of the usual form are
read by a kernel (`kernels.warc_heads`), others by fastwarc.
"""

import io
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import chain, groupby
from typing import BinaryIO, NamedTuple, TypeAlias, cast

import numpy as np
import pyarrow as pa
from deflate import DeflateError, gzip_decompress
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType
from isal import isal_zlib as zlib

from curation.inputs.crawl import html_pages
from curation.inputs.crawl.html_pages import link_of
from curation.inputs.crawl.page_candidates import (
    Image,
    Page,
    candidates_of_file,
    from_rows,
    image_signals,
    page_signals,
    pairs_of_page,
)
from curation.inputs.tables.columns import TableOptions
from curation.kernels.html import OF_LINK
from curation.kernels.warc_heads import BEGIN, HEAD_COLUMNS, KIND, METADATA, RESPONSE, UNUSUAL, read_heads
from curation.licences import links_in
from metadata.languages import of_tag
from runtime.arrow import gather
from runtime.kernels.masks import SLACK, find_bytes
from runtime.tallies import Tally

CHUNK_BYTES = 1 << 18  # bytes read at once
PIECE_BYTES = 1 << 16  # compressed bytes inflated at once; they may become a thousand times as many
MAX_BUFFERED_BYTES = 64 << 20  # A member up to this size is checked to its end before it is passed on.
MAX_SEARCHED_BYTES = 1 << 20  # The end of a member is searched for in so many compressed bytes.
PROBE_BYTES = 1024  # So many compressed bytes always hold the start of a record.
GZIP_MAGIC = b"\x1f\x8b\x08"
_MAGIC_WORD = int.from_bytes(GZIP_MAGIC, "little")
_SIZE_BYTES = 4  # A member ends with so many bytes that state its unpacked size.
_MAX_RATIO = 1032  # Deflate can make so many bytes of one.
_BROKEN: type[Exception] = zlib.error  # type: ignore[assignment]  # isal's stub calls the class an exception

MAX_RECORD_BYTES = 64 << 20  # bytes; larger ones are films and archives
GROUP_BYTES = 2 << 20  # bytes of the records that are read at once; more leave the second cache


def read(
    file: BinaryIO, path: str, _options: TableOptions, tally: Tally, _pieces: range | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of a WARC file, and count in `tally`; unreadable records are skipped and counted."""
    pages = _pages(responses(gzip_members(file, tally), tally), tally)
    rows = (pairs_of_page(page, tally) for page in pages)
    yield from candidates_of_file(from_rows(chain.from_iterable(rows), tally), tally, path)


def _pages(responses: "Iterator[Response]", tally: Tally) -> Iterator[Page]:
    """Yield the pages with images among responses; count unreadable ones."""
    for record, block, offset in responses:
        page = page_of(record, block)
        if isinstance(page, str):
            tally["dropped", page] += 1
        elif page and page.images:
            yield page._replace(offset=offset)


def page_of(record: WarcRecord, block: bytes) -> Page | str | None:
    """Return the page in the block of a response, the reason why it is dropped, or None if it is not HTML."""
    if not block.startswith(b"HTTP/"):
        return "bad_http" if record.is_http else None
    stated, body = html_pages.headers(block)
    fields = dict(reversed(stated))  # The first value of a repeated field is used.
    if not html_pages.is_html(fields):
        return None
    url = record.headers.get("WARC-Target-URI")
    if not url:
        return "bad_record"
    try:
        html = html_pages.unpacked_body(body, fields)
        if len(html) > html_pages.MAX_PAGE_BYTES:
            return "too_large"
        links = links_in(value for name, value in stated if name == "link")
        parsed = html_pages.parse(html, fields, links)
    except ValueError:
        return "bad_encoding"
    signals = page_signals([*stated, *_stated_in(parsed.metas)])
    images = [_image(element, parsed.language) for element in parsed.images]
    return Page(url.strip("<>"), parsed.base, images, signals | parsed.licences)


def _stated_in(metas: Sequence[dict[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the name of each meta, or of the header that it stands for, with its content."""
    for meta in metas:
        for key in ("name", "http-equiv"):
            if key in meta:
                yield meta[key], meta.get("content", "")


def _image(element: html_pages.Element, page_language: str) -> Image:
    attributes = element.attributes
    language = of_tag(attributes.get("lang", page_language))  # An empty `lang` states a language that is not known.
    signals, width, height = image_signals(attributes, element.places)
    return Image(
        link=link_of(attributes),
        attributes=attributes,
        signals=signals,
        width=width,
        height=height,
        surroundings=element.surroundings,
        language=language.code if language else None,
        target=attributes.get(OF_LINK),
    )


def gzip_members(file: BinaryIO, tally: Tally) -> Iterator["Member"]:
    """Yield each gzip member of `file`; count in `tally` broken members, and a file that begins with no member.

    A member larger than MAX_BUFFERED_BYTES, as in a file that was compressed in one go, is yielded as a stream while it
    is read; if it is broken, its stream ends early.
    """
    source = _Source(file)
    if not source.more() or not source.begins_member():
        tally["dropped", "bad_file"] += 1
        return
    while source.more():
        offset = source.offset
        content = source.at_once()
        if content is not None:
            yield Member(content, offset)
            continue
        try:
            for unpacked in _by_pieces(source):
                yield Member(unpacked, offset)
        except (_BROKEN, EOFError) as error:
            has_next = source.skip()
            cut = isinstance(error, EOFError) and not has_next
            tally["dropped", "truncated" if cut else "corrupt_gzip"] += 1


def _by_pieces(source: "_Source") -> Iterator["Unpacked"]:
    """Yield the member at the source's position: its bytes, or a Stream if it is large."""
    pieces = source.pieces()
    start: list[bytes] = []
    size = 0
    for piece in pieces:
        start.append(piece)
        size += len(piece)
        if size > MAX_BUFFERED_BYTES:
            stream = Stream(b"".join(start), pieces)
            yield stream
            stream.drain()
            return
    yield b"".join(start)


class _Source:
    """The compressed bytes of a file: `_data` has been read, and its bytes from index `_at` on are not inflated yet."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._data = b""
        self._at = 0
        self._size = 0
        self._searched = np.frombuffer(bytes(SLACK), np.uint8)

    @property
    def offset(self) -> int:
        """The position in the file at which the next member begins."""
        return self._size - len(self._data) + self._at

    def more(self) -> bool:
        """Go to the next member, past zeros, which are padding; return False at the end of the file."""
        while True:
            if self._data.startswith(b"\0", self._at):
                self._set(self._data[self._at :].lstrip(b"\0"))
            if len(self._data) - self._at >= len(GZIP_MAGIC) or not self._read():
                return self._at < len(self._data)

    def begins_member(self) -> bool:
        """Return whether the next bytes are the first bytes of a gzip member."""
        return self._data.startswith(GZIP_MAGIC, self._at)

    def at_once(self) -> bytearray | None:
        """Return the inflated bytes of the next member, and go behind it; None if it must be read by pieces.

        A member probably ends where the next one seems to begin, and its last bytes state its unpacked size. If so,
        libdeflate inflates and checks it, faster than code that must find the end by inflating.
        """
        end = self._end()
        size_at = end - _SIZE_BYTES
        size = int.from_bytes(self._data[size_at:end], "little")
        if not 0 < size <= min(MAX_BUFFERED_BYTES, _MAX_RATIO * (end - self._at)):
            return None
        if find_bytes(self._searched, self._at, end, size, _SIZE_BYTES) < size_at:
            return None  # The member may end there, and libdeflate would not report the bytes behind it.
        try:
            member = gzip_decompress(memoryview(self._data)[self._at : end], size)
        except DeflateError:
            return None
        self._at = end
        return member

    def _end(self) -> int:
        """Return the index in `_data` where the member after this one seems to begin, or where `_data` ends."""
        while True:
            end = find_bytes(self._searched, self._at + 1, len(self._data), _MAGIC_WORD, len(GZIP_MAGIC))
            if end >= 0:
                return end
            if len(self._data) - self._at >= MAX_SEARCHED_BYTES or not self._read():
                return len(self._data)

    def pieces(self) -> Iterator[bytes]:
        """Yield inflated pieces of the next member; zlib.error where it is broken, EOFError where it is cut off.

        The source stays at the member's beginning until the whole member, or more than MAX_BUFFERED_BYTES unpacked
        bytes of it, are read: if the member is broken before, `skip` searches it from its beginning.
        """
        inflate = zlib.decompressobj(31)
        at = self._at
        size = 0
        while not inflate.eof:
            if at == len(self._data):
                at -= self._at
                if not self._read():
                    raise EOFError
            packed = self._data[at : at + PIECE_BYTES]
            piece = inflate.decompress(packed)
            at += len(packed) - len(inflate.unused_data)
            size += len(piece)
            if size > MAX_BUFFERED_BYTES:
                self._at = at
            yield piece
        self._at = at

    def skip(self) -> bool:
        """Go from a broken member to the next member that holds a record; return False if there is none."""
        self._at += 1
        while True:
            at = self._data.find(GZIP_MAGIC, self._at)
            self._at = at if at >= 0 else max(self._at, len(self._data) - len(GZIP_MAGIC) + 1)
            if len(self._data) - self._at < PROBE_BYTES and self._read():
                continue
            if at < 0:
                self._at = len(self._data)
                return False
            if _begins_record(self._data[at : at + PROBE_BYTES]):
                return True
            self._at += 1

    def _read(self) -> bool:
        """Read more of the file into `_data`; return False at the end of the file."""
        chunk = self._file.read(max(CHUNK_BYTES, (len(self._data) - self._at) // 4))  # The kept bytes are copied.
        if chunk:
            self._size += len(chunk)
            self._set(self._data[self._at :] + chunk)
        return bool(chunk)

    def _set(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._searched = np.frombuffer(data + bytes(SLACK), np.uint8)


def _begins_record(data: bytes) -> bool:
    try:
        return zlib.decompressobj(31).decompress(data).startswith(b"WARC/")
    except _BROKEN:
        return False


class Stream:
    """A member that is inflated while it is read; `drain` raises errors, which fastwarc would hide."""

    def __init__(self, start: bytes, pieces: Iterator[bytes]):
        self._buffer = io.BytesIO(start)
        self._pieces = pieces
        self._position = 0
        self._error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        data = self._buffer.read(size)
        while not data and self._error is None:
            try:
                self._buffer = io.BytesIO(next(self._pieces))
            except StopIteration:
                break
            except (OSError, EOFError, _BROKEN) as error:
                self._error = error
            data = self._buffer.read(size)
        self._position += len(data)
        return data

    def tell(self) -> int:
        return self._position

    def drain(self) -> None:
        """Read to the end of the member; raise the error at which it broke, if it did."""
        while self.read(CHUNK_BYTES):
            pass
        if self._error:
            raise self._error


Unpacked: TypeAlias = bytes | bytearray | Stream  # Large members are streams.


class Member(NamedTuple):
    """The unpacked content of a gzip member, and the position in the file at which the member begins."""

    content: Unpacked
    offset: int


class Response(NamedTuple):
    """A response record, its block (content), and the position in the file at which its member begins."""

    record: WarcRecord
    block: bytes
    offset: int


class MemberBlocks(NamedTuple):
    """The blocks (contents) of several records, as ranges of the same bytes."""

    data: bytes  # A zero byte follows each block, or line ends and then a zero byte; SLACK more end the data.
    begins: np.ndarray  # int64 [block], like the next two
    ends: np.ndarray
    offsets: np.ndarray  # where the member of each block begins in the file


def metadata(members: Iterable[Member], tally: Tally) -> Iterator[MemberBlocks]:
    """Yield the blocks of all metadata records, about GROUP_BYTES bytes at a time."""
    for is_whole, alike in groupby(members, _is_whole):
        if is_whole:
            for group in gather(alike, _size, GROUP_BYTES):
                yield _metadata_of(group, tally)
            continue
        for content, offset in alike:
            blocks = (block for _, block in _parsed(content, WarcRecordType.metadata, tally))
            for some in gather(blocks, len, GROUP_BYTES):
                yield joined_blocks(some, [offset] * len(some))


def responses(members: Iterable[Member], tally: Tally) -> Iterator[Response]:
    """Yield each response record; count all records."""
    for content, offset in members:
        if not isinstance(content, Stream) and _heads(content, [content])[0, KIND] not in (UNUSUAL, RESPONSE):
            tally["records"] += 1
            continue
        for record, block in _parsed(content, WarcRecordType.response, tally):
            yield Response(record, block, offset)


def joined_blocks(blocks: Sequence[bytes], offsets: Sequence[int] | None = None) -> MemberBlocks:
    """Return blocks, one behind the other, as MemberBlocks; `offsets` are 0 if they are not given."""
    sizes, ends = _bounds(blocks)
    return MemberBlocks(
        b"\0".join((*blocks, bytes(SLACK))), ends - sizes, ends, np.array(offsets or [0] * len(blocks), np.int64)
    )


def _metadata_of(members: list[Member], tally: Tally) -> MemberBlocks:
    """Return the blocks of the metadata records in members that are not streams."""
    contents = [cast(bytes, member.content) for member in members]
    offsets = [member.offset for member in members]
    data = b"\0".join((*contents, bytes(SLACK)))
    heads = _heads(data, contents)
    usual = heads[:, KIND] != UNUSUAL
    tally["records"] += int(usual.sum())
    if usual.all():
        is_metadata = heads[:, KIND] == METADATA
        begins, ends = heads[is_metadata, BEGIN:].T
        return MemberBlocks(data, begins, ends, np.array(offsets, np.int64)[is_metadata])
    blocks: list[tuple[bytes, int]] = []
    for content, (kind, begin, end), offset in zip(contents, heads.tolist(), offsets, strict=True):
        if kind == UNUSUAL:
            blocks += [(block, offset) for _, block in _parsed(content, WarcRecordType.metadata, tally)]
        elif kind == METADATA:
            blocks.append((data[begin:end], offset))
    return joined_blocks([block for block, _ in blocks], [offset for _, offset in blocks])


def _heads(data: bytes | bytearray, members: Sequence[bytes | bytearray]) -> np.ndarray:
    """Return KIND, BEGIN and END of each member's block, int64[member, 3]; `data` has a byte between members."""
    heads = np.empty((len(members), HEAD_COLUMNS), np.int64)
    sizes, ends = _bounds(members)
    # The array is made read-only even for a bytearray, because Numba would compile the kernel again for another type.
    read_heads(np.frombuffer(memoryview(data).toreadonly(), np.uint8), ends - sizes, ends, heads)
    return heads


def _bounds(parts: Sequence[Sized]) -> tuple[np.ndarray, np.ndarray]:
    """Return the size of each part, and the position of its end if parts are joined with a byte between each two."""
    sizes = np.array([len(part) for part in parts], np.int64)
    return sizes, np.cumsum(sizes + 1) - 1


def _is_whole(member: Member) -> bool:
    return not isinstance(member.content, Stream)


def _size(member: Member) -> int:
    return len(cast(bytes, member.content))


def _parsed(content: Unpacked, kind: WarcRecordType, tally: Tally) -> Iterator[tuple[WarcRecord, bytes]]:
    """Yield each complete record of the type `kind` in a member, with its block; count all records."""
    # fastwarc uses only `read` and `tell` of a stream.
    stream = cast(BinaryIO, content) if isinstance(content, Stream) else io.BytesIO(content)
    try:
        for record in ArchiveIterator(stream, parse_http=False):
            tally["records"] += 1
            if record.record_type == kind and (block := _block(record, tally)):
                yield record, block
    except OSError:  # fastwarc raises it for anything that is not WARC; the stream itself raises nothing.
        tally["dropped", "bad_record"] += 1


def _block(record: WarcRecord, tally: Tally) -> bytes | None:
    """Return the block of a record, or None if it is too large or cut off, which is counted."""
    if record.content_length > MAX_RECORD_BYTES:
        tally["dropped", "too_large"] += 1
        return None
    block = record.reader.read()
    if not block or len(block) < record.content_length:  # A header without a length reads as length 0.
        tally["dropped", "bad_record"] += 1
        return None
    return block
