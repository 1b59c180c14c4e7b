"""The bytes of one WAT or WARC file → candidates: the images of its pages, with the texts that stand with them.

Gzip is in `members`, HTTP and HTML in `pages`, WAT in `wat` and `wat_batches`, URLs in `links`. What cannot be read is
skipped and counted.
"""

import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
from fastwarc.warc import ArchiveIterator, WarcRecordType

from curation import pages, wat, wat_batches
from curation.batches import FOUND, from_rows, recut
from curation.candidates import candidates, tallies
from curation.found import Page, drop, pairs
from curation.members import members

MAX_RECORD = 64 << 20  # bytes; larger ones are films and archives

# The head of a usual record and its length; other fields than these, or these twice, are left to fastwarc. The type is
# cut out apart: a group before the repetition would make the match three times as slow.
_TYPE_AT = len("WARC/1.0\r\nWARC-Type: ")
_FIELDS = rb"(?:(?:WARC-(?!Type)[A-Za-z-]+|Content-Type): [!-~][^\r\n]*\r\n)*"
_usual_head = re.compile(
    rb"WARC/1\.[01]\r\nWARC-Type: [a-z]+\r\n%bContent-Length: ([1-9][0-9]{0,7})\r\n%b\r\n" % (_FIELDS, _FIELDS)
).match


def read_wat(file: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of a WAT file, and its tallies."""
    tally = Counter(files=1)
    yield from _given_on(wat_batches.read(_wat_blocks(file, tally), tally), tally)


def read_warc(file: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of the HTML pages of a WARC file, and its tallies."""
    tally = Counter(files=1)
    records = (found for member in members(file, tally) for found in _responses(member, tally))
    found = (_warc_page(record, block, tally) for record, block in records)
    rows = (row for page in found if page and page.images for row in pairs(page, tally))
    yield from _given_on(from_rows(rows, tally), tally)


def _given_on(batches, tally):
    for batch in recut(batches):
        tally["pairs"] += batch.num_rows
        yield candidates({name: batch[name] for name in FOUND.names})
    if not tally["records"] and not tally["dropped.truncated"] and not tally["dropped.corrupt_gzip"]:
        tally = Counter({"files": 1, "dropped.bad_file": 1})
    yield tallies(tally)


def _wat_blocks(file, tally):
    """Yield each record of a WAT file that may tell of an image: bytes with a line end behind them, begin and end."""
    for member in members(file, tally):
        kind, begin, end = _usual_record(member)
        if kind is None:
            blocks = ((block + b"\n", 0, len(block)) for _, block in _records(member, WarcRecordType.metadata, tally))
        else:
            tally["records"] += 1
            blocks = [(member.getvalue(), begin, end)] if kind == b"metadata" else []
        for data, begin, end in blocks:
            if end - begin > wat.MAX_BYTES:
                drop("dropped.too_large", tally)
            else:
                yield data, begin, end


def _responses(member, tally):
    """Yield each response of a member with its bytes; most members are seen at once to be something else."""
    kind, _, _ = _usual_record(member)
    if kind in (None, b"response"):
        yield from _records(member, WarcRecordType.response, tally)
    else:
        tally["records"] += 1


def _usual_record(member):
    """Return the type of a member that is one usual record, and where its block begins and ends; else None."""
    data = member.getvalue() if isinstance(member, io.BytesIO) else b""
    head = _usual_head(data)
    if head is None:
        return None, 0, 0
    end = head.end() + int(head[1])
    whole = len(data) == end + 4 and data.endswith(b"\r\n\r\n")
    kind = data[_TYPE_AT : data.index(b"\r", _TYPE_AT)]
    return kind if whole else None, head.end(), end


def _records(member, kind, tally):
    """Yield each whole WARC record of this kind with its bytes."""
    try:
        for record in ArchiveIterator(member, parse_http=False):
            tally["records"] += 1
            if record.record_type == kind and (block := _block(record, tally)):
                yield record, block
    except OSError:  # what fastwarc says of anything that is no WARC; `member` itself raises none
        drop("dropped.bad_record", tally)


def _block(record, tally):
    if record.content_length > MAX_RECORD:
        return drop("dropped.too_large", tally)
    block = record.reader.read()
    if not block or len(block) < record.content_length:  # a header without a length reads as length 0
        return drop("dropped.bad_record", tally)
    return block


def _warc_page(record, block, tally):
    if not block.startswith(b"HTTP/"):
        return drop("dropped.bad_http", tally) if record.is_http else None
    fields, body = pages.headers(block)
    if not pages.is_html(fields):
        return None
    url = record.headers.get("WARC-Target-URI")
    if not url:
        return drop("dropped.bad_record", tally)
    try:
        html = pages.unpack(body, fields)
        if len(html) > pages.MAX_BYTES:
            return drop("dropped.too_large", tally)
        base, images = pages.images(pages.decode(html, fields))
    except ValueError:
        return drop("dropped.bad_encoding", tally)
    return Page(url.strip("<>"), base, [(attributes["src"], attributes) for attributes in images])
