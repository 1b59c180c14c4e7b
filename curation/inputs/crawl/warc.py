"""The bytes of one WAT or WARC file → candidates: the images of its pages, with the texts that stand with them.

Gzip is in `members`, WARC in `records`, HTTP and HTML in `pages`, WAT in `wat` and `wat_batches`, URLs in `links`. What
cannot be read is skipped and counted.
"""

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from curation.inputs.candidates import candidates, tallies
from curation.inputs.crawl import html_pages, warc_records
from curation.inputs.crawl import wat as wat_batches
from curation.inputs.crawl.batches import FOUND, from_rows, recut
from curation.inputs.crawl.gzip_members import members
from curation.inputs.crawl.page_images import Page, drop, pairs


def read_wat(file: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of a WAT file, and its tallies."""
    tally = Counter(files=1)
    yield from _given_on(wat_batches.read(warc_records.metadata(members(file, tally), tally), tally), tally)


def read_warc(file: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of the HTML pages of a WARC file, and its tallies."""
    tally = Counter(files=1)
    responses = warc_records.responses(members(file, tally), tally)
    found = (_warc_page(record, block, tally) for record, block in responses)
    rows = (row for page in found if page and page.images for row in pairs(page, tally))
    yield from _given_on(from_rows(rows, tally), tally)


def _given_on(batches, tally):
    for batch in recut(batches):
        tally["pairs"] += batch.num_rows
        yield candidates({name: batch[name] for name in FOUND.names})
    if not tally["records"] and not tally["dropped.truncated"] and not tally["dropped.corrupt_gzip"]:
        tally = Counter({"files": 1, "dropped.bad_file": 1})
    yield tallies(tally)


def _warc_page(record, block, tally):
    if not block.startswith(b"HTTP/"):
        return drop("dropped.bad_http", tally) if record.is_http else None
    fields, body = html_pages.headers(block)
    if not html_pages.is_html(fields):
        return None
    url = record.headers.get("WARC-Target-URI")
    if not url:
        return drop("dropped.bad_record", tally)
    try:
        html = html_pages.unpack(body, fields)
        if len(html) > html_pages.MAX_BYTES:
            return drop("dropped.too_large", tally)
        base, images = html_pages.images(html_pages.decode(html, fields))
    except ValueError:
        return drop("dropped.bad_encoding", tally)
    return Page(url.strip("<>"), base, [(attributes["src"], attributes) for attributes in images])
