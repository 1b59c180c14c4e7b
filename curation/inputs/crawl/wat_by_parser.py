"""Read one record of a WAT file with a JSON parser.

It is slow but correct for every record; `wat` gives the same result faster.
"""

import json
from collections import Counter
from typing import Any

import orjson

from curation.inputs.crawl.page_pairs import Image, Page
from curation.inputs.crawl.page_signals import page_signals, states_signals

MAX_BYTES = 16 << 20  # of a record, whose tree takes thirty times as many; hardly any record of a real page has 1 MB


def page_of(block: bytes, tally: Counter[str]) -> Page | None:
    """Return the page that a record is about, None if it has no image; what cannot be read is counted."""
    if rb"IMG@\/src" not in block and b"IMG@/src" not in block:
        return None
    try:
        tree = json_of(block)
    except (ValueError, RecursionError):
        tally["dropped.bad_json"] += 1
        return None
    response = _at(tree, "Envelope", "Payload-Metadata", "HTTP-Response-Metadata")
    html = _at(response, "HTML-Metadata")
    url = _at(tree, "Envelope", "WARC-Header-Metadata", "WARC-Target-URI")
    base, links = _at(html, "Head", "Base"), _at(html, "Links")
    if type(url) is not str or type(links) is not list:
        tally["dropped.bad_record"] += 1
        return None
    objects = [link for link in links if type(link) is dict]
    tally["dropped.bad_link"] += len(links) - len(objects)
    images = [Image(link.get("url"), link) for link in objects if link.get("path") == "IMG@/src"]
    signals = signals_of(_at(response, "Headers"), _at(html, "Head", "Metas"))
    return Page(url.strip("<>"), base if type(base) is str else None, images, signals)


def signals_of(headers: Any, metas: Any) -> int:
    """Return the signals of a page, given what its record holds of headers and metas; odd values say nothing."""
    stated = list(headers.items()) if type(headers) is dict else []
    if type(metas) is list:
        stated += [(meta.get("name"), meta.get("content")) for meta in metas if type(meta) is dict]
    said = [(name, value) for name, value in stated if type(name) is str and states_signals(name)]
    repeated = [(name, value if type(value) is list else [value]) for name, value in said]
    return page_signals((name, value) for name, values in repeated for value in values if type(value) is str)


def json_of(block: bytes) -> Any:
    """Return what JSON says, as Python has it; a ValueError if it is none."""
    try:
        return orjson.loads(block)
    except ValueError:  # orjson refuses a whole page for one lone surrogate; here only the text that holds it is lost
        return json.loads(block.decode("utf-8", "surrogateescape"))


def _at(tree: Any, *keys: str) -> Any:
    """Return the value behind `keys`, each a member of the object before; None where there is none."""
    for key in keys:
        tree = tree.get(key) if type(tree) is dict else None
    return tree
