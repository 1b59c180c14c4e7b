"""The bytes of one WAT or WARC file → candidates: the images of its pages, with the texts that stand with them.

Gzip is in `members`, HTTP and HTML in `pages`, URLs in `links`. What cannot be read is skipped and counted.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

import orjson
import pyarrow as pa
from fastwarc.warc import ArchiveIterator, WarcRecordType

from curation import pages
from curation.candidates import candidates, chunks, clean, string_arrays, tallies
from curation.links import BAD, EMPTY, Links
from curation.members import members

KINDS = ("alt", "title", "data-image-title")
COLUMNS = ("url", "text", "kind", "page_url")
MAX_RECORD = 64 << 20  # bytes; larger ones are films and archives


class Page(NamedTuple):
    """A page and its images: for each what it says for src, and its other attributes. Nothing is checked yet."""

    url: str
    base: str | None
    images: list[tuple[Any, dict]]


def read_wat(file: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of a WAT file, and its tallies."""
    return _read(file, WarcRecordType.metadata, _wat_page)


def read_warc(file: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of the HTML pages of a WARC file, and its tallies."""
    return _read(file, WarcRecordType.response, _warc_page)


def _read(file, kind, page_of):
    tally = Counter(files=1)
    found = (page_of(record, block, tally) for record, block in _records(file, kind, tally))
    rows = (row for page in found if page and page.images for row in _rows(page, tally))
    for chunk in chunks(rows):
        batch = candidates(dict(zip(COLUMNS, string_arrays(chunk, tally), strict=True)))
        tally["pairs"] += batch.num_rows
        yield batch
    if not tally["records"] and not tally["dropped.truncated"] and not tally["dropped.corrupt_gzip"]:
        tally = Counter({"files": 1, "dropped.bad_file": 1})
    yield tallies(tally)


def _records(file, kind, tally):
    """Yield each whole WARC record of this kind with its bytes."""
    for member in members(file, tally):
        try:
            for record in ArchiveIterator(member, parse_http=False):
                tally["records"] += 1
                if record.record_type == kind and (block := _block(record, tally)):
                    yield record, block
        except OSError:  # what fastwarc says of anything that is no WARC; `member` itself raises none
            tally["dropped.bad_record"] += 1


def _block(record, tally):
    if record.content_length > MAX_RECORD:
        return _drop("dropped.too_large", tally)
    block = record.reader.read()
    if not block or len(block) < record.content_length:  # a header without a length reads as length 0
        return _drop("dropped.bad_record", tally)
    return block


def _wat_page(record, block, tally):
    if b"IMG@/src" not in block and rb"IMG@\/src" not in block:
        return None
    try:
        tree = _json(block)
    except (ValueError, RecursionError):
        return _drop("dropped.bad_json", tally)
    html = _at(tree, "Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata")
    url = _at(tree, "Envelope", "WARC-Header-Metadata", "WARC-Target-URI")
    base, links = _at(html, "Head", "Base"), _at(html, "Links")
    if type(url) is not str or type(links) is not list:
        return _drop("dropped.bad_record", tally)
    objects = [link for link in links if type(link) is dict]
    tally["dropped.bad_link"] += len(links) - len(objects)
    images = [(link.get("url"), link) for link in objects if link.get("path") == "IMG@/src"]
    return Page(url.strip("<>"), base if type(base) is str else None, images)


def _json(block):
    try:
        return orjson.loads(block)
    except ValueError:  # orjson refuses a whole page for one lone surrogate; here only the text that holds it is lost
        return json.loads(block.decode("utf-8", "surrogateescape"))


def _at(tree, *keys):
    for key in keys:
        tree = tree.get(key) if type(tree) is dict else None
    return tree


def _warc_page(record, block, tally):
    if not block.startswith(b"HTTP/"):
        return _drop("dropped.bad_http", tally) if record.is_http else None
    fields, body = pages.headers(block)
    if not pages.is_html(fields):
        return None
    url = record.headers.get("WARC-Target-URI")
    if not url:
        return _drop("dropped.bad_record", tally)
    try:
        base, images = pages.images(pages.decode(pages.unpack(body, fields), fields))
    except ValueError:
        return _drop("dropped.bad_encoding", tally)
    return Page(url.strip("<>"), base, [(attributes["src"], attributes) for attributes in images])


def _rows(page, tally) -> Iterable[tuple[str, str, str, str]]:
    """Yield url, text, kind and page_url of each pair on a page."""
    try:
        resolve = Links(page.url, page.base).resolve
    except ValueError:
        tally["dropped.bad_page_url"] += 1
        return
    tally["pages"] += 1
    tally["image_links"] += len(page.images)
    for link, attributes in page.images:
        texts = _texts(attributes, tally)
        if not texts:
            continue
        url, reason = resolve(link) if type(link) is str else (None, EMPTY if link is None else BAD)
        if reason:
            tally[reason] += len(texts)
            continue
        for kind, text in texts:
            yield url, text, kind, page.url


def _texts(attributes, tally):
    """Return kind and text of each text of an image; an image without any counts as dropped once."""
    said = [(kind, attributes[kind]) for kind in KINDS if kind in attributes]
    if not said:
        tally["dropped.no_text"] += 1
    texts = []
    for kind, text in said:
        if type(text) is str and (text := clean(text)):
            texts.append((kind, text))
        else:
            tally["dropped.empty_text" if text in (None, "") else "dropped.bad_text"] += 1
    return texts


def _drop(reason, tally):
    tally[reason] += 1
