"""Read WARC files: the images of a crawl's pages, from the HTML in their HTTP responses."""

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
from fastwarc.warc import WarcRecord

from curation.inputs.crawl import html_pages, warc_records
from curation.inputs.crawl.gzip_members import members
from curation.inputs.crawl.image_links import link_of
from curation.inputs.crawl.page_pairs import Image, Page, candidates_of_file, from_rows, pairs_of_page
from curation.inputs.crawl.page_signals import image_signals, page_signals
from metadata.languages import of_tag


def read(file: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of a WARC file, and its tallies; unreadable records are skipped and counted."""
    tally = Counter(files=1)
    responses = warc_records.responses(members(file, tally), tally)
    rows = (row for page in _pages(responses, tally) for row in pairs_of_page(page, tally))
    yield from candidates_of_file(from_rows(rows, tally), tally)


def _pages(responses: Iterator[tuple[WarcRecord, bytes]], tally: Counter[str]) -> Iterator[Page]:
    """Yield the pages among responses; those that cannot be read are counted."""
    for record, block in responses:
        page = _page(record, block)
        if isinstance(page, str):
            tally[page] += 1
        elif page and page.images:
            yield page


def _page(record: WarcRecord, block: bytes) -> Page | str | None:
    """Return the page in the block of a response; why it is dropped; None where it is no HTML."""
    if not block.startswith(b"HTTP/"):
        return "dropped.bad_http" if record.is_http else None
    stated, body = html_pages.headers(block)
    fields = dict(reversed(stated))  # of a repeated field, the first counts
    if not html_pages.is_html(fields):
        return None
    url = record.headers.get("WARC-Target-URI")
    if not url:
        return "dropped.bad_record"
    try:
        html = html_pages.unpack(body, fields)
        if len(html) > html_pages.MAX_BYTES:
            return "dropped.too_large"
        parsed = html_pages.parse(html, fields)
    except ValueError:
        return "dropped.bad_encoding"
    metas = [(meta.get("name", ""), meta.get("content", "")) for meta in parsed.metas]
    images = [_image(attributes, parsed.language) for attributes in parsed.images]
    return Page(url.strip("<>"), parsed.base, images, page_signals([*stated, *metas]))


def _image(attributes: dict[str, str], page_language: str) -> Image:
    language = of_tag(attributes.get("lang", page_language))  # an empty one says that it is in another, not known
    return Image(link_of(attributes), attributes, *image_signals(attributes), language.code if language else None)
