"""Records of a WAT file → their pairs, by the two kernels `json_links` and `json_texts`, a group of records at a time.

What the kernels leave aside goes by `wat` (a record), `links` (a link) and `candidates` (a text): the result is theirs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import orjson
import pyarrow as pa

from curation import wat
from curation.batches import from_rows, pair_batch
from curation.candidates import ROWS, clean
from curation.found import KINDS, pairs
from curation.kernels.json_links import (
    BASE,
    DEEPEST,
    IMAGE_COLUMNS,
    IMAGE_LINKS,
    NO_TEXT,
    PAGE,
    PAGE_COLUMNS,
    READ,
    RECORD,
    scan,
)
from curation.kernels.json_masks import SLACK
from curation.kernels.json_texts import (
    CLEAN,
    LEFT_OUT,
    LOOKED_AT,
    PREFIXED,
    REASONS,
    RESOLVE,
    ROW_COLUMNS,
    ROW_KIND,
    ROW_RECORD,
    ROW_TODO,
    write_rows,
)
from curation.links import EMPTY, NOT_HTTP, Links

GROUP = 2 << 20  # bytes of the records that are read at once; more leave the second cache
SMALLEST = len('{"path":"IMG@/src","alt":""}')  # bytes of an image with a text
LONGEST_PAGE = 4096  # bytes of a page's URL or base: each of its pairs repeats them
REASON_NAMES = ("dropped.empty_text", EMPTY, NOT_HTTP)  # as `json_texts` numbers them
SMALL = 4 << 10  # bytes of a record that is searched before it is read: few such tell of images

_NO_PREFIXES = ("", "", "")
_KINDS = pa.array(KINDS)


def read(records: Iterable[tuple[bytes, int, int]], tally: Counter) -> Iterator[pa.RecordBatch]:
    """Yield the pairs of records, in their order, in batches of any size.

    A record is data[begin:end] of bytes that go on behind it with a line end.
    """
    held, size = [], 0
    for data, begin, end in records:
        if end - begin > SMALL or b"IMG@" in data:
            held.append((data, begin, end))
            size += len(data)
        if size >= GROUP:
            yield from _Group(held, tally).batches()
            held, size = [], 0
    if held:
        yield from _Group(held, tally).batches()


class _Group:
    """Records that are read at once."""

    def __init__(self, records, tally):
        self._tally = tally
        starts = np.cumsum([0, *(len(data) for data, _, _ in records)])
        self._spans = np.array([span for _, *span in records]) + starts[:-1, None]
        self._joined = b"".join((*(data for data, _, _ in records), bytes(SLACK)))
        self._data = np.frombuffer(self._joined, np.uint8)
        self._pages, self._images = self._scan()
        self._set_slow()
        self._urls = [None] * len(records)
        self._links = [None] * len(records)
        self._modes = np.full(len(records), LEFT_OUT, np.uint8)
        self._prefixes, self._bounds = self._read_pages()

    def _scan(self):
        begins, ends = self._spans.T
        pages = np.empty((len(begins), PAGE_COLUMNS), np.int32)
        images = np.empty((len(self._data) // SMALLEST + 1, IMAGE_COLUMNS), np.int32)
        stack, stops = np.empty(DEEPEST, np.int64), np.empty(len(self._data), np.int32)
        count = scan(self._data, begins, ends, stack, stops, pages, images)
        return pages, images[:count]

    def _block(self, record):
        begin, end = self._spans[record]
        return self._data[begin:end]

    def _set_slow(self):
        """Leave records to the slow path that no kernel can read, or that must not be repeated for each image."""
        pages = self._pages
        for begin in (PAGE, BASE):
            pages[pages[:, begin + 1] - pages[:, begin] > LONGEST_PAGE, READ] = 0
        if not _is_utf8(self._data):
            for record in range(len(pages)):
                pages[record, READ] &= _is_utf8(self._block(record))

    def _read_pages(self):
        """Return what the links of the pages begin with; count the pages."""
        pages, prefixes = self._pages, [_NO_PREFIXES] * len(self._pages)
        records = np.flatnonzero(pages[:, READ] * pages[:, IMAGE_LINKS])
        for record, page in zip(records.tolist(), pages[records].tolist(), strict=True):
            url = self._string(page, PAGE).strip("<>")
            try:
                links = Links(url, self._string(page, BASE))
            except ValueError:
                self._tally["dropped.bad_page_url"] += 1
                continue
            self._urls[record], self._links[record] = url, links
            self._modes[record] = PREFIXED if links.prefixes else LOOKED_AT
            prefixes[record] = links.prefixes or _NO_PREFIXES
        known = self._modes != LEFT_OUT
        self._tally["pages"] += int(known.sum())
        self._tally["image_links"] += int(pages[known, IMAGE_LINKS].sum())
        self._tally["dropped.no_text"] += int(pages[known, NO_TEXT].sum())
        each = [prefix.encode() for three in prefixes for prefix in three]
        bounds = np.cumsum([0, *map(len, each)])
        return np.frombuffer(b"".join((*each, bytes(SLACK))), np.uint8), bounds

    def _string(self, page, column):
        begin, end = page[column : column + 2]
        return orjson.loads(self._joined[begin - 1 : end + 1]) if begin >= 0 else None

    def batches(self):
        """Yield the pairs, those of records that the kernels cannot read in their places."""
        at = 0
        for record in np.flatnonzero(self._pages[:, READ] == 0).tolist():
            page = wat.page_of(self._block(record).tobytes(), self._tally)
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
        most, size = (
            3 * len(images),
            len(self._data),
        )  # spans do not overlap; pages of memory that are not used cost none
        longest = int((self._bounds[1:] - self._bounds[:-1]).max())
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
        pages = pa.array(self._urls, pa.string()).take(pa.array(rows[:, ROW_RECORD]))
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
        found = [self._links[record].resolve(link) for record, link in zip(records, links, strict=True)]
        self._tally.update(reason for _, reason in found if reason)
        kept[odd] = [url is not None for url, _ in found]
        return odd, [url for url, _ in found]


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
