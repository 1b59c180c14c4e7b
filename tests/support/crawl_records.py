"""Records of WAT and WARC files, and the pairs and tallies that readers give for them."""

import gzip
import io
import json
from collections import Counter

from curation.inputs.crawl.warc import read as read_warc
from curation.inputs.crawl.wat import read as read_wat
from curation.inputs.tables.columns import TableOptions
from curation.schemas import CANDIDATES

PAGE = "https://example.org/news/today.html"


def record(kind, block, url=PAGE, length=None):
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nContent-Length: {length or len(block)}\r\n"
    content_type = "application/json" if kind == "metadata" else "application/http; msgtype=response"
    return f"{head}Content-Type: {content_type}\r\n\r\n".encode() + block + b"\r\n\r\n"


def envelope(links, url=PAGE, head=None, headers=None):
    html = {"Head": head or {}, "Links": links}
    payload = {"HTTP-Response-Metadata": {"Headers": headers or {}, "HTML-Metadata": html}}
    header = {"WARC-Target-URI": url}
    return json.dumps({"Envelope": {"Payload-Metadata": payload, "WARC-Header-Metadata": header}}).encode()


def image(url="a.jpg", **texts):
    return {"path": "IMG@/src", "url": url, **texts}


def wat(*links, **page):
    """One gzip member: the WAT record of a page with these links."""
    return gzip.compress(record("metadata", envelope(list(links), **page)))


def warc(html, headers="Content-Type: text/html; charset=utf-8", url=PAGE):
    """One gzip member: the WARC record of a page."""
    body = html.encode() if isinstance(html, str) else html
    return gzip.compress(record("response", f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n".encode() + body, url))


def result(read, packed):
    """The pairs (url, text, kind, page_url) and the tally of a reader of a file."""
    tally = Counter()
    batches = list(read(io.BytesIO(packed), "", TableOptions(), tally))
    assert all(batch.schema == CANDIDATES for batch in batches)
    for batch in batches:
        batch.validate(full=True)
    rows = [row for batch in batches for row in batch.to_pylist()]
    pairs = [(row["url"], row["text"], row["kind"], row["page_url"]) for row in rows]
    assert tally["pairs"] == len(pairs)
    return pairs, dict(+tally)


def read_back(packed, read=read_warc):
    """The pairs of a file as rows with all columns."""
    return [row for batch in read(io.BytesIO(packed), "", TableOptions(), Counter()) for row in batch.to_pylist()]


def of_wat(packed):
    return result(read_wat, packed)


def of_warc(packed):
    return result(read_warc, packed)


def dropped(tally):
    return {key[1]: count for key, count in tally.items() if key[0] == "dropped"}
