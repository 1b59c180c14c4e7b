"""WAT records as JSON, read by the kernels and by the JSON parser."""

import json
from collections import Counter

import numpy as np

from curation.inputs.crawl import warc, wat
from curation.inputs.crawl import wat as wat_by_parser
from curation.inputs.crawl.page_candidates import from_rows, pairs_of_page
from curation.kernels.wat.tokens import IMAGE_COLUMNS, PAGE_COLUMNS, READ
from curation.kernels.wat.wat_images import MAX_DEPTH, scan_records
from runtime.arrow import gather
from runtime.kernels.masks import SLACK

PAGE = "https://example.org/news/today.html"


def slow(blocks):
    """The pairs and the tally of records, by the JSON parser."""
    tally = Counter()
    found = (wat_by_parser.page_of(block, tally) for block in blocks)
    rows = (row for page in found if page and page.images for row in pairs_of_page(page, tally))
    return read_back(from_rows(rows, tally), tally)


def fast(blocks):
    """The same by the kernels."""
    tally = Counter()
    return read_back(wat.pairs_in_blocks(map(warc.joined_blocks, gather(blocks, len, warc.GROUP_BYTES)), tally), tally)


def read_back(given, tally):
    rows = []
    for batch in given:
        batch.validate(full=True)
        rows += zip(*(column.to_pylist() for column in batch.columns), strict=True)
    return rows, +tally


def is_read_fast(block):
    """Say whether the kernels read a record without help."""
    data = np.frombuffer(block + bytes(SLACK), np.uint8)
    page, images = np.empty((1, PAGE_COLUMNS), np.int32), np.empty((len(data), IMAGE_COLUMNS), np.int32)
    stack, stops = np.empty(MAX_DEPTH, np.int64), np.empty(len(data), np.int32)
    scan_records(data, np.array([0]), np.array([len(block)]), stack, stops, page, images)
    return bool(page[0, READ])


def envelope(links, url=f'"{PAGE}"', head="{}", headers='{"a":[1,-20,true,null,false]}'):
    """The JSON of a record; all parts are JSON."""
    html = f'{{"Head":{head},"Links":{links}}}'
    payload = f'{{"HTTP-Response-Metadata":{{"Headers":{headers},"HTML-Metadata":{html}}}}}'
    return f'{{"Envelope":{{"Payload-Metadata":{payload},"WARC-Header-Metadata":{{"WARC-Target-URI":{url}}}}}}}'


def image(url="a.jpg", **texts):
    return json.dumps({"path": "IMG@/src", "url": url, **texts})


def of_links(*links, **page):
    return envelope(f"[{','.join(links)}]", **page).encode("utf-8", "surrogatepass")


def mutated(block, dice):
    block = bytearray(block)
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(block))
        change = dice.randrange(3)
        if change == 0:
            block[at] = dice.choice(b'"\\{}[],: \n\0\xff\xc3u/0a')
        elif change == 1:
            del block[at : at + dice.randrange(1, 5)]
        else:
            block[at:at] = block[dice.randrange(len(block)) :][: dice.randrange(20)]
    return bytes(block) or b" "


def record(kind, block):
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {PAGE}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(block) + block + b"\r\n\r\n"
