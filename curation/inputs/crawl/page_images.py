"""Pair the images of a page with their texts. What gives no pair is counted."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from curation.inputs.candidates import Row
from curation.inputs.cleaning import clean
from curation.inputs.crawl.links import BAD, EMPTY, Links

KINDS = ("alt", "title", "data-image-title")


class Page(NamedTuple):
    """A page and its images: the value of src and all attributes of each. Nothing is checked yet."""

    url: str
    base: str | None
    images: list[tuple[Any, dict[str, Any]]]


def pairs_of_page(page: Page, tally: Counter[str]) -> Iterator[Row]:
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
        if reason is not None:
            tally[reason] += len(texts)
            continue
        for kind, text in texts:
            yield url, text, kind, page.url


def _texts(attributes: dict[str, Any], tally: Counter[str]) -> list[tuple[str, str]]:
    """Return kind and text of each text of an image; an image without any counts as dropped once."""
    stated = [(kind, attributes[kind]) for kind in KINDS if kind in attributes]
    if not stated:
        tally["dropped.no_text"] += 1
    texts = []
    for kind, text in stated:
        if type(text) is str and (text := clean(text)):
            texts.append((kind, text))
        else:
            tally["dropped.empty_text" if text in (None, "") else "dropped.bad_text"] += 1
    return texts
