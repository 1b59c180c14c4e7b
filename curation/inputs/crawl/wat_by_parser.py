"""One record of a WAT file, read by a JSON parser: slow, and right about any record. `wat_batches` is the fast twin."""

import json
from collections import Counter

import orjson

from curation.inputs.crawl.page_images import Page, drop

MAX_BYTES = 16 << 20  # of a record, whose tree takes thirty times as many; of real pages hardly one tells of 1 MB


def page_of(block: bytes, tally: Counter) -> Page | None:
    """Return the page that a record tells of, None if it tells of no image; what cannot be read is counted."""
    if rb"IMG@\/src" not in block and b"IMG@/src" not in block:
        return None
    try:
        tree = _json(block)
    except (ValueError, RecursionError):
        return drop("dropped.bad_json", tally)
    html = _at(tree, "Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata")
    url = _at(tree, "Envelope", "WARC-Header-Metadata", "WARC-Target-URI")
    base, links = _at(html, "Head", "Base"), _at(html, "Links")
    if type(url) is not str or type(links) is not list:
        return drop("dropped.bad_record", tally)
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
