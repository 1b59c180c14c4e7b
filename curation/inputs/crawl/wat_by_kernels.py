"""Records of a WAT file → their pairs, by the kernels `json_links`, `json_pages` and `json_texts`, a group at a time.

What the kernels leave aside goes by `wat` (a record), `links` (a link) and `candidates` (a text): the result is theirs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import orjson
import pyarrow as pa

from curation.inputs.candidates import ROWS, clean
from curation.inputs.crawl import wat_record
from curation.inputs.crawl.batches import from_rows, pair_batch
from curation.inputs.crawl.links import EMPTY, NOT_HTTP, Links
from curation.inputs.crawl.page_images import KINDS, pairs
from curation.inputs.crawl.warc_records import Blocks
from curation.kernels.wat.links import DEEPEST, scan
from curation.kernels.wat.names import BASE, IMAGE_COLUMNS, IMAGE_LINKS, NO_TEXT, PAGE, PAGE_COLUMNS, READ, RECORD
from curation.kernels.wat.pages import read_pages
from curation.kernels.wat.texts import (
    CLEAN,
    LEFT_OUT,
    LOOKED_AT,
    PREFIXED,
    PREFIXES,
    REASONS,
    RESOLVE,
    ROW_COLUMNS,
    ROW_KIND,
    ROW_RECORD,
    ROW_TODO,
    write_rows,
)
from runtime.kernels.windows import SLACK

SMALLEST = len('{"path":"IMG@/src","alt":""}')  # bytes of an image with a text
LONGEST_PAGE = 4096  # bytes of a page's URL or base: each of its pairs repeats them
REASON_NAMES = ("dropped.empty_text", EMPTY, NOT_HTTP)  # as `json_texts` numbers them

_KINDS = pa.array(KINDS)


def read(groups: Iterable[Blocks], tally: Counter) -> Iterator[pa.RecordBatch]:
    """Yield the pairs that blocks of metadata records tell of, in their order, in batches of any size."""
    for blocks in groups:
        small = blocks.ends - blocks.begins <= wat_record.MAX_BYTES
        tally["dropped.too_large"] += int(np.count_nonzero(~small))
        if small.any():
            yield from _Group(blocks.data, blocks.begins[small], blocks.ends[small], tally).batches()


class _Group:
    """Records that are read at once."""

    def __init__(self, joined, begins, ends, tally):
        self._joined, self._begins, self._ends, self._tally = joined, begins, ends, tally
        self._data = np.frombuffer(joined, np.uint8)
        self._pages, self._images = self._scan()
        self._set_slow()
        self._modes = np.full(len(begins), LEFT_OUT, np.uint8)
        self._bounds = np.zeros((len(begins), PREFIXES), np.int32)
        self._links: dict[int, Links] = {}  # of records, where they are needed
        self._urls, self._prefixes = self._read_pages()

    def _scan(self):
        sizes = self._ends - self._begins
        pages = np.empty((len(sizes), PAGE_COLUMNS), np.int32)
        images = np.empty((sizes.sum() // SMALLEST + 1, IMAGE_COLUMNS), np.int32)
        stack, stops = np.empty(DEEPEST, np.int64), np.empty(sizes.max() + SLACK, np.int32)
        count = scan(self._data, self._begins, self._ends, stack, stops, pages, images)
        return pages, images[:count]

    def _block(self, record):
        return self._data[self._begins[record] : self._ends[record]]

    def _set_slow(self):
        """Leave records to the slow path that no kernel can read, or that must not be repeated for each image."""
        pages = self._pages
        for begin in (PAGE, BASE):
            pages[pages[:, begin + 1] - pages[:, begin] > LONGEST_PAGE, READ] = 0
        if not _is_utf8(self._data):
            for record in range(len(pages)):
                pages[record, READ] &= _is_utf8(self._block(record))

    def _read_pages(self):
        """Return the URLs of the pages with images, and bytes with what their links begin with; count the pages."""
        pages = self._pages
        wanted = pages[:, READ] * pages[:, IMAGE_LINKS] > 0
        size = int((pages[wanted, PAGE + 1] - pages[wanted, PAGE]).sum())
        data, ends = np.empty(size + SLACK, np.uint8), np.empty(len(pages) + 1, np.int32)
        read_pages(self._data, pages, self._modes, data, ends, self._bounds)
        others = np.flatnonzero(wanted & (self._modes == LEFT_OUT))
        prefixes = bytearray(data)
        urls = [self._read_page(record, prefixes) for record in others.tolist()]
        known = self._modes != LEFT_OUT
        self._tally["pages"] += int(known.sum())
        self._tally["image_links"] += int(pages[known, IMAGE_LINKS].sum())
        self._tally["dropped.no_text"] += int(pages[known, NO_TEXT].sum())
        urls = _changed(_strings(ends, data, len(pages)), others, urls, np.ones(len(pages), bool))
        return urls, np.frombuffer(prefixes + bytes(SLACK), np.uint8)

    def _read_page(self, record, prefixes):
        """Return the URL of a page that is not plain, and append what its links begin with."""
        page = self._pages[record].tolist()
        url = self._string(page, PAGE).strip("<>")
        try:
            links = self._links[record] = Links(url, self._string(page, BASE))
        except ValueError:
            self._tally["dropped.bad_page_url"] += 1
            return None
        self._modes[record] = PREFIXED if links.prefixes else LOOKED_AT
        for k, prefix in enumerate(links.prefixes or ()):
            begin = len(prefixes)
            prefixes += prefix.encode()
            self._bounds[record, 2 * k : 2 * k + 2] = begin, len(prefixes)
        return url

    def _string(self, page, column):
        begin, end = page[column : column + 2]
        return orjson.loads(self._joined[begin - 1 : end + 1]) if begin >= 0 else None

    def batches(self):
        """Yield the pairs, those of records that the kernels cannot read in their places."""
        at = 0
        for record in np.flatnonzero(self._pages[:, READ] == 0).tolist():
            page = wat_record.page_of(self._block(record).tobytes(), self._tally)
            if page and page.images:
                stop = int(np.searchsorted(self._images[:, RECORD], record))
                yield from self._fast(at, stop)
                yield from from_rows(pairs(page, self._tally), self._tally)
                at = stop
        yield from self._fast(at, len(self._images))

    def _fast(self, at, stop):
        for begin in range(at, stop, ROWS):
            yield self._batch(*self._write(self._images[begin : min(begin + ROWS, stop)]))

    def _write(self, images):
        """Return URLs and texts of all pairs, some not finished, and what is to be done with them."""
        most, size = 3 * len(images), len(self._data)  # spans do not overlap; memory that is not used costs nothing
        longest = int((self._bounds[:, 1::2] - self._bounds[:, ::2]).max())
        link, texts = np.empty(size + SLACK, np.uint8), np.empty(size + SLACK, np.uint8)
        urls = np.empty(3 * size + most * longest + SLACK, np.uint8)
        url_ends, text_ends = np.empty(most + 1, np.int32), np.empty(most + 1, np.int32)
        rows, counts = np.empty((most, ROW_COLUMNS), np.int32), np.zeros(REASONS, np.int64)
        pages = self._modes, self._prefixes, self._bounds
        count = write_rows(self._data, images, pages, link, (urls, url_ends), (texts, text_ends), rows, counts)
        self._tally.update(dict(zip(REASON_NAMES, counts.tolist(), strict=True)))
        return _strings(url_ends, urls, count), _strings(text_ends, texts, count), rows[:count]

    def _batch(self, urls, texts, rows):
        """Return the batch of rows, after what is left to do."""
        kept = np.ones(len(rows), bool)
        cleaned = self._clean(texts, rows, kept)
        resolved = self._resolve(urls, rows, kept)
        rows = rows[kept]
        pages = self._urls.take(pa.array(rows[:, ROW_RECORD]))
        kinds = _KINDS.take(pa.array(rows[:, ROW_KIND]))
        return pair_batch(_changed(urls, *resolved, kept), _changed(texts, *cleaned, kept), kinds, pages)

    def _clean(self, texts, rows, kept):
        odd = np.flatnonzero(rows[:, ROW_TODO] & CLEAN)
        cleaned = [clean(text) for text in texts.take(pa.array(odd)).to_pylist()] if len(odd) else []
        kept[odd] = [text != "" for text in cleaned]
        self._tally["dropped.empty_text"] += cleaned.count("")
        return odd, cleaned

    def _resolve(self, urls, rows, kept):
        odd = np.flatnonzero((rows[:, ROW_TODO] & RESOLVE != 0) & kept)
        links = urls.take(pa.array(odd)).to_pylist() if len(odd) else []
        records = rows[odd, ROW_RECORD].tolist()
        found = [self._links_of(record).resolve(link) for record, link in zip(records, links, strict=True)]
        self._tally.update(reason for _, reason in found if reason)
        kept[odd] = [url is not None for url, _ in found]
        return odd, [url for url, _ in found]

    def _links_of(self, record):
        if record not in self._links:
            self._links[record] = Links(self._urls[record].as_py())
        return self._links[record]


def _changed(strings, at, values, kept):
    """Return the strings that are kept, some of which have another value."""
    if not len(at) and kept.all():
        return strings
    places = np.arange(len(strings))
    places[at] = np.arange(len(strings), len(strings) + len(at))
    return pa.concat_arrays([strings, pa.array(values, pa.string())]).take(pa.array(places[kept]))


def _strings(ends, data, count):
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends[: count + 1]), pa.py_buffer(data))


def _is_utf8(data):
    try:
        _strings(np.array([0, len(data)], np.int32), data, 1).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
