"""Read WAT files: the images of a crawl's pages, as the JSON of metadata records states them.

Kernels read about two megabytes of records at a time. They leave unusual records to a JSON parser (`page_of`) and
unusual links to `page_candidates`; this slower code defines the correct result.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import orjson
import pyarrow as pa

from curation.inputs.candidates import BATCH_ROWS, clean
from curation.inputs.crawl import warc
from curation.inputs.crawl.page_candidates import (
    EMPTY_URL,
    LONGEST_BASE,
    NOT_HTTP,
    Image,
    Links,
    Page,
    candidates_of_file,
    from_rows,
    host_of,
    page_pairs,
    page_signals,
    pairs_of_page,
    places_of_link,
    states_signals,
)
from curation.inputs.crawl.warc import MemberBlocks, gzip_members
from curation.inputs.tables.columns import TableOptions
from curation.kernels.markup import find_statement
from curation.kernels.wat import pages as kernels
from curation.kernels.wat import tokens
from curation.kernels.wat.pages import read_pages
from curation.kernels.wat.surrounding_links import ODD, find_places
from curation.kernels.wat.wat_images import MAX_DEPTH, scan_records
from curation.licences import Link, licences_of, links_in
from curation.schemas import PAGE_KINDS
from runtime.arrow import string_buffers
from runtime.kernels.masks import SLACK
from runtime.tallies import Tally

# A record's tree takes thirty times as many bytes as the record. Hardly any record of a real page has 1 MB.
MAX_RECORD_BYTES = 16 << 20

MIN_IMAGE_BYTES = len('{"path":"IMG@/src","alt":""}')  # the least bytes of an image with a text
REASONS = ("empty_text", EMPTY_URL, NOT_HTTP)  # why pairs are dropped, in the order that `kernels.wat.pages` counts

_LINKING = ("A@/href", "AREA@/href", "LINK@/href")  # paths of links that may state licences
_KINDS = pa.array(PAGE_KINDS)
_DECODER = json.JSONDecoder()
_FIRST_PARSED_BYTES = 1 << 9  # An object is first searched for in so many bytes.


def page_of(block: bytes, tally: Tally) -> Page | None:
    """Return the page that a record is about, or None if it has no image; parts that cannot be read are counted."""
    if rb"IMG@\/src" not in block and b"IMG@/src" not in block:
        return None
    try:
        tree = json_of(block)
    except (ValueError, RecursionError):
        tally["dropped", "bad_json"] += 1
        return None
    response = _at(tree, "Envelope", "Payload-Metadata", "HTTP-Response-Metadata")
    html = _at(response, "HTML-Metadata")
    url = _at(tree, "Envelope", "WARC-Header-Metadata", "WARC-Target-URI")
    base = _at(html, "Head", "Base")
    links = _at(html, "Links")
    if type(url) is not str or type(links) is not list:
        tally["dropped", "bad_record"] += 1
        return None
    objects = [link for link in links if type(link) is dict]
    tally["dropped", "bad_link"] += len(links) - len(objects)
    images = [
        Image(link.get("url"), link, target=url_of_link(behind))
        for link, behind in pairwise([*objects, {}])
        if link.get("path") == "IMG@/src"
    ]
    signals = signals_of(_at(response, "Headers"), _at(html, "Head", "Metas")) | licences_in(response)
    return Page(url.strip("<>"), base if type(base) is str else None, images, signals)


def url_of_link(link: dict[str, Any]) -> str | None:
    """Return the URL of `link` if it is around the image before it; None if it has a text, and may just follow it."""
    url = link.get("url") if link.get("path") == "A@/href" and "text" not in link else None
    return url if type(url) is str else None


def signals_of(headers: Any, metas: Any) -> int:
    """Return a page's signals as bits, given the headers and metas in its record; malformed values are ignored."""
    stated: list[tuple[Any, Any]] = [*_fields(headers)]
    for meta in metas if type(metas) is list else ():
        if type(meta) is dict:
            stated.append((meta.get("name"), meta.get("content")))
            stated.append((meta.get("http-equiv"), meta.get("content")))
    strings = [(name, value) for name, value in stated if type(name) is str and type(value) is str]
    return page_signals((name, value) for name, value in strings if states_signals(name))


def _fields(headers: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of each header field, given a record's `Headers`, which have a list for a repeated field."""
    for name, value in headers.items() if type(headers) is dict else ():
        for each in value if type(value) is list else [value]:
            yield name, each


def licences_in(response: Any) -> int:
    """Return the licences of a page as bits, given the value of HTTP-Response-Metadata in its record."""
    html = _at(response, "HTML-Metadata")
    objects = []
    for items in _at(html, "Links"), _at(html, "Head", "Link"), _at(html, "Head", "Metas"):
        objects += items if type(items) is list else []
    return licences_of_objects(_at(response, "Headers"), (item for item in objects if type(item) is dict))


def licences_of_objects(headers: Any, objects: Iterable[dict[str, Any]]) -> int:
    """Return the licences that headers, links and metas of a record state, as bits; malformed values are ignored."""
    fields = [value for name, value in _fields(headers) if name.strip().lower() == "link" and type(value) is str]
    links = links_in(fields)
    metas = []
    for item in objects:
        rel = item.get("rel", "")
        url = item.get("url")
        content = item.get("content")
        if item.get("path") in _LINKING and type(rel) is str and type(url) is str:
            media_type = item.get("type")
            links.append(Link(rel, url, media_type if type(media_type) is str else ""))
        elif type(content) is str:
            metas += [(name, content) for name in (item.get("name"), item.get("property")) if type(name) is str]
    return licences_of(links, metas)


def json_of(block: bytes) -> Any:
    """Return the value of JSON bytes as a Python object; ValueError if the bytes are not JSON."""
    try:
        return orjson.loads(block)
    except ValueError:  # orjson refuses a whole page for one lone surrogate; json loses only the text that holds it.
        return json.loads(block.decode("utf-8", "surrogateescape"))


def _at(tree: Any, *keys: str) -> Any:
    """Return the value at the path `keys` of nested objects, or None if a key is missing."""
    for key in keys:
        tree = tree.get(key) if type(tree) is dict else None
    return tree


def read(
    file: BinaryIO, path: str, _options: TableOptions, tally: Tally, _pieces: range | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of a WAT file, and count in `tally`; unreadable records are skipped and counted."""
    blocks = warc.metadata(gzip_members(file, tally), tally)
    yield from candidates_of_file(pairs_in_blocks(blocks, tally), tally, path)


def pairs_in_blocks(groups: Iterable[MemberBlocks], tally: Tally) -> Iterator[pa.RecordBatch]:
    """Yield the pairs in metadata records, in order, as PAGE_PAIRS batches of any size; count too large records."""
    for blocks in groups:
        small = blocks.ends - blocks.begins <= MAX_RECORD_BYTES
        tally["dropped", "too_large"] += int(np.count_nonzero(~small))
        if small.any():
            yield from _Group(MemberBlocks(blocks.data, *(column[small] for column in blocks[1:])), tally).batches()


class _Group:
    """Reads the pairs of a group of metadata records, most of them by kernels."""

    def __init__(self, blocks: MemberBlocks, tally: Tally):
        self._joined, self._begins, self._ends, self._offsets = blocks
        self._tally = tally
        self._data = np.frombuffer(self._joined, np.uint8)
        self._pages, self._images = self._scan()
        self._set_slow()
        self._modes = np.full(len(self._begins), kernels.LEFT_OUT, np.uint8)
        self._bounds = np.zeros((len(self._begins), kernels.PREFIXES), np.int32)
        self._links: dict[int, Links] = {}  # record → its Links, where they are needed
        self._urls, self._prefixes = self._read_pages()
        self._signals = self._read_signals()
        self._hosts = pa.array([host_of(url or "") for url in self._urls.to_pylist()], pa.string())

    def _scan(self) -> tuple[np.ndarray, np.ndarray]:
        """Return pages, int32[record, PAGE_COLUMNS], and images, int32[image, IMAGE_COLUMNS], that a kernel finds."""
        sizes = self._ends - self._begins
        pages = np.empty((len(sizes), tokens.PAGE_COLUMNS), np.int32)
        images = np.empty((sizes.sum() // MIN_IMAGE_BYTES + 1, tokens.IMAGE_COLUMNS), np.int32)
        stack = np.empty(MAX_DEPTH, np.int64)
        stops = np.empty(sizes.max() + SLACK, np.int32)
        count = scan_records(self._data, self._begins, self._ends, stack, stops, pages, images)
        return pages, images[:count]

    def _block(self, record: int) -> np.ndarray:
        return self._data[self._begins[record] : self._ends[record]]

    def _set_slow(self) -> None:
        """Mark for the parser each record that is not UTF-8, or whose URL or base is longer than LONGEST_BASE."""
        pages = self._pages
        for begin in (tokens.PAGE, tokens.BASE):
            pages[pages[:, begin + 1] - pages[:, begin] > LONGEST_BASE, tokens.READ] = 0
        if not _is_utf8(self._data):
            for record in range(len(pages)):
                pages[record, tokens.READ] &= _is_utf8(self._block(record))

    def _read_pages(self) -> tuple[pa.Array, np.ndarray]:
        """Return each record's URL (null if bad, empty if not needed) and the bytes of links' prefixes; count pages."""
        pages = self._pages
        has_images = pages[:, tokens.READ] * pages[:, tokens.IMAGE_LINKS] > 0
        size = int((pages[has_images, tokens.PAGE + 1] - pages[has_images, tokens.PAGE]).sum())
        data = np.empty(size + SLACK, np.uint8)
        ends = np.empty(len(pages) + 1, np.int32)
        read_pages(self._data, pages, self._modes, data, ends, self._bounds)
        others = np.flatnonzero(has_images & (self._modes == kernels.LEFT_OUT))
        prefixes = bytearray(data)
        odd_urls = [self._read_page(record, prefixes) for record in others.tolist()]
        is_read = self._modes != kernels.LEFT_OUT
        self._tally["pages"] += int(is_read.sum())
        self._tally["image_links"] += int(pages[is_read, tokens.IMAGE_LINKS].sum())
        self._tally["dropped", "no_text"] += int(pages[is_read, tokens.NO_TEXT].sum())
        urls = _changed(_strings(ends, data, len(pages)), others, odd_urls, np.ones(len(pages), bool))
        return urls, np.frombuffer(prefixes + bytes(SLACK), np.uint8)

    def _read_page(self, record: int, prefixes: bytearray) -> str | None:
        """Return the URL of a page that `read_pages` left out, None if it is bad; append its prefixes to `prefixes`."""
        page = self._pages[record].tolist()
        url = self._string(page, tokens.PAGE).strip("<>")
        base = self._string(page, tokens.BASE) if page[tokens.BASE] >= 0 else None
        try:
            links = self._links[record] = Links(url, base)
        except ValueError:
            self._tally["dropped", "bad_page_url"] += 1
            return None
        self._modes[record] = kernels.PREFIXED if links.prefixes else kernels.LOOKED_AT
        for k, prefix in enumerate(links.prefixes or ()):
            begin = len(prefixes)
            prefixes += prefix.encode()
            self._bounds[record, 2 * k : 2 * k + 2] = begin, len(prefixes)
        return url

    def _read_signals(self) -> np.ndarray:
        """Return the signals and licences of each page with images, as bits, int32[record]."""
        signals = np.zeros(len(self._pages), np.int32)
        spans = self._pages[:, tokens.HEADERS : tokens.METAS + 2]
        is_read = self._modes != kernels.LEFT_OUT
        held = (spans[:, 0] >= 0) | (spans[:, 2] >= 0)
        for record in np.flatnonzero(held & is_read).tolist():
            headers, headers_end, metas, metas_end = spans[record].tolist()
            fields = json_of(self._joined[headers:headers_end]) if headers >= 0 else None
            objects = json_of(b"[%b]" % self._joined[metas:metas_end]) if metas >= 0 else None
            signals[record] = signals_of(fields, objects)
        for record in np.flatnonzero((self._pages[:, tokens.LICENCE] >= 0) & is_read).tolist():
            signals[record] |= self._licences(record)
        return signals

    def _licences(self, record: int) -> int:
        """Return the licences of a page as bits; if possible, only objects that may state a licence are parsed."""
        objects = []
        begin, end = int(self._begins[record]), int(self._ends[record])
        at = find_statement(self._data, self._pages[record, tokens.LICENCE], end)
        while at < end:
            start = self._joined.rfind(b'{"', begin, at)
            try:
                statement, size = _object_in(self._joined, start, end)
            except ValueError:
                size = 0
            if start + size <= at or "path" not in statement and "content" not in statement:
                tree = json_of(self._block(record).tobytes())
                return licences_in(_at(tree, "Envelope", "Payload-Metadata", "HTTP-Response-Metadata"))
            objects.append(statement)
            at = find_statement(self._data, start + size, end)
        return licences_of_objects({}, objects)

    def _string(self, page: list[int], column: int) -> str:
        begin, end = page[column : column + 2]
        return orjson.loads(self._joined[begin - 1 : end + 1])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all pairs in the order of records, whether a kernel or the parser reads them."""
        at = 0
        for record in np.flatnonzero(self._pages[:, tokens.READ] == 0).tolist():
            page = page_of(self._block(record).tobytes(), self._tally)
            if page and page.images:
                stop = int(np.searchsorted(self._images[:, tokens.RECORD], record))
                yield from self._fast(at, stop)
                page = page._replace(offset=int(self._offsets[record]))
                yield from from_rows(pairs_of_page(page, self._tally), self._tally)
                at = stop
        yield from self._fast(at, len(self._images))

    def _fast(self, at: int, stop: int) -> Iterator[pa.RecordBatch]:
        for begin in range(at, stop, BATCH_ROWS):
            images = self._images[begin : min(begin + BATCH_ROWS, stop)]
            yield self._batch(*self._write(images), self._places(images))

    def _places(self, images: np.ndarray) -> np.ndarray:
        """Return the bits of IMAGE_PLACES for each image, int32[image]."""
        places = np.empty(len(images), np.int32)
        link = np.empty(len(self._data) + SLACK, np.uint8)
        find_places(self._data, images, *string_buffers(self._hosts), link, places)
        for image in np.flatnonzero(places == ODD).tolist():
            record, _, *_, begin = images[image].tolist()
            target = url_of_link(_object_in(self._joined, begin, int(self._ends[record]))[0])
            places[image] = places_of_link(target, self._hosts[record].as_py()) if target else 0
        return places

    def _write(self, images: np.ndarray) -> tuple[pa.Array, pa.Array, np.ndarray]:
        """Return URLs and texts of pairs, and int32[pair, ROW_COLUMNS], which marks values that `_batch` must finish.

        The arrays are as large as spans that do not overlap can need; memory that is not used costs nothing.
        """
        most = 3 * len(images)
        size = len(self._data)
        longest = int((self._bounds[:, 1::2] - self._bounds[:, ::2]).max())
        link, written = np.empty(size + SLACK, np.uint8), np.empty(size + SLACK, np.uint8)
        urls = np.empty(3 * size + most * longest + SLACK, np.uint8)
        url_ends, text_ends = np.empty(most + 1, np.int32), np.empty(most + 1, np.int32)
        rows = np.empty((most, kernels.ROW_COLUMNS), np.int32)
        counts = np.zeros(kernels.REASONS, np.int64)
        pages = self._modes, self._prefixes, self._bounds
        count = kernels.append_rows(
            self._data, images, pages, link, (urls, url_ends), (written, text_ends), rows, counts
        )
        for reason, number in zip(REASONS, counts.tolist(), strict=True):
            self._tally["dropped", reason] += number
        return _strings(url_ends, urls, count), _strings(text_ends, written, count), rows[:count]

    def _batch(self, urls: pa.Array, written: pa.Array, rows: np.ndarray, places: np.ndarray) -> pa.RecordBatch:
        """Return the pairs of `_write` as PAGE_PAIRS, after finishing the texts and links that `rows` marks."""
        kept = np.ones(len(rows), bool)
        odd = np.flatnonzero(rows[:, kernels.ROW_ODD_TEXT])
        cleaned = [clean(text) for text in written.take(pa.array(odd)).to_pylist()]
        kept[odd] = [text != "" for text in cleaned]
        self._tally["dropped", "empty_text"] += int(np.count_nonzero(~kept))
        unresolved = np.flatnonzero(rows[:, kernels.ROW_ODD_LINK] * kept)
        records = rows[unresolved, kernels.ROW_RECORD].tolist()
        links = urls.take(pa.array(unresolved)).to_pylist()
        resolved = [self._links_of(record).resolve(link) for record, link in zip(records, links, strict=True)]
        self._tally.update(("dropped", reason) for _, reason in resolved if reason)
        kept[unresolved] = [url is not None for url, _ in resolved]
        urls = _changed(urls, unresolved, [url for url, _ in resolved], kept)
        rows = rows[kept]
        written = _changed(written, odd, cleaned, kept)
        kinds = _KINDS.take(pa.array(rows[:, kernels.ROW_KIND]))
        pages = self._urls.take(pa.array(rows[:, kernels.ROW_RECORD]))
        signals = self._signals[rows[:, kernels.ROW_RECORD]] | places[rows[:, kernels.ROW_IMAGE]]
        offsets = pa.array(self._offsets[rows[:, kernels.ROW_RECORD]])
        return page_pairs(urls, written, kinds, pages, pa.array(signals), offsets=offsets)

    def _links_of(self, record: int) -> Links:
        if record not in self._links:
            self._links[record] = Links(self._urls[record].as_py())
        return self._links[record]


def _object_in(data: bytes, begin: int, end: int) -> tuple[Any, int]:
    """Return the first JSON value from data[begin] on, and the number of bytes up to its end; ValueError if none."""
    stop = begin
    while True:
        stop += _FIRST_PARSED_BYTES
        try:
            text = data[begin : min(stop, end)].decode("utf-8", "surrogateescape")
            first = len(text) - len(text.lstrip(" ,\t\n\r"))
            value, last = _DECODER.raw_decode(text, first)
            return value, len(text[:last].encode("utf-8", "surrogateescape"))
        except ValueError:
            if stop >= end:
                raise
            stop += 4 * (stop - begin)


def _changed(strings: pa.Array, at: np.ndarray, values: Sequence[str | None], kept: np.ndarray) -> pa.Array:
    """Return `strings` with `values` at the positions `at`, without strings whose `kept` (bool[string]) is False."""
    if not len(at) and kept.all():
        return strings
    positions = np.arange(len(strings))
    positions[at] = np.arange(len(strings), len(strings) + len(at))
    return pa.concat_arrays([strings, pa.array(values, pa.string())]).take(pa.array(positions[kept]))


def _strings(ends: np.ndarray, data: np.ndarray, count: int) -> pa.StringArray:
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends[: count + 1]), pa.py_buffer(data))


def _is_utf8(data: np.ndarray) -> bool:
    try:
        _strings(np.array([0, len(data)], np.int32), data, 1).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
