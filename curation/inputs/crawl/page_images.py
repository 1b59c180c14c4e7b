"""Pair the images of a page with their texts. What gives no pair is counted."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from curation.inputs.candidates import Row
from curation.inputs.cleaning import clean
from curation.inputs.crawl.links import BAD, EMPTY, Links

KINDS = ("alt", "title", "data-image-title")


class Image(NamedTuple):
    """An image of a page: the value of src, all attributes, and what these say of its use, size and language."""

    link: Any
    attributes: dict[str, Any]
    signals: int = 0
    width: int | None = None
    height: int | None = None
    language: str | None = None


class Page(NamedTuple):
    """A page, its images, and its signals. Links and texts are not checked yet."""

    url: str
    base: str | None
    images: list[Image]
    signals: int = 0


def pairs_of_page(page: Page, tally: Counter[str]) -> Iterator[Row]:
    """Yield the pairs on a page as rows of PAGE_PAIRS."""
    try:
        resolve = Links(page.url, page.base).resolve
    except ValueError:
        tally["dropped.bad_page_url"] += 1
        return
    tally["pages"] += 1
    tally["image_links"] += len(page.images)
    for image in page.images:
        texts, link = _texts(image.attributes, tally), image.link
        if not texts:
            continue
        url, reason = resolve(link) if type(link) is str else (None, EMPTY if link is None else BAD)
        if reason is not None:
            tally[reason] += len(texts)
            continue
        for kind, text in texts:
            yield url, text, kind, page.url, page.signals | image.signals, image.width, image.height, image.language


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
