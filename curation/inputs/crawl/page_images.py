"""What a page says of its images → rows: url, text, kind and page_url of each pair. What gives none is counted."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from curation.inputs.candidates import clean
from curation.inputs.crawl.links import BAD, EMPTY, Links

KINDS = ("alt", "title", "data-image-title")


class Page(NamedTuple):
    """A page and its images: for each what it says for src, and its other attributes. Nothing is checked yet."""

    url: str
    base: str | None
    images: list[tuple[Any, dict]]


def drop(reason: str, tally: Counter) -> None:
    """Count what is dropped."""
    tally[reason] += 1


def pairs(page: Page, tally: Counter) -> Iterator[tuple[str, str, str, str]]:
    """Yield url, text, kind and page_url of each pair on a page."""
    try:
        resolve = Links(page.url, page.base).resolve
    except ValueError:
        return drop("dropped.bad_page_url", tally)
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
        drop("dropped.no_text", tally)
    texts = []
    for kind, text in said:
        if type(text) is str and (text := clean(text)):
            texts.append((kind, text))
        else:
            drop("dropped.empty_text" if text in (None, "") else "dropped.bad_text", tally)
    return texts
