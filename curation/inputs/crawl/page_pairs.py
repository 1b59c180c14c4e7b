"""Pair the images of web pages with their texts, turn the pairs into candidates, and count images that give no pair."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from curation.inputs.candidates import BYTES, ROWS, Row, candidates, columns_of, tallies
from curation.inputs.cleaning import clean
from curation.inputs.crawl.links import BAD, EMPTY, Links
from curation.schemas import CANDIDATES, STATED
from runtime.arrow.batching import gather_rows

KINDS = ("alt", "title", "data-image-title")
_NAMES = ("url", "text", "kind", "page_url", *(field.name for field in STATED), "page_language")
PAGE_PAIRS = pa.schema([CANDIDATES.field(name) for name in _NAMES])


class Image(NamedTuple):
    """An image of a page: its link, all attributes, and the signals, size and language that they state."""

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


def page_pairs(*columns: pa.Array) -> pa.RecordBatch:
    """Return a PAGE_PAIRS batch of these columns; the last ones may be left out, and are null."""
    nulls = [pa.nulls(len(columns[0]), field.type) for field in list(PAGE_PAIRS)[len(columns) :]]
    return pa.RecordBatch.from_arrays([*columns, *nulls], schema=PAGE_PAIRS)


def from_rows(rows: Iterable[Row], tally: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Yield PAGE_PAIRS batches of rows; rows that UTF-8 cannot hold are left out and counted."""
    for columns in columns_of(rows, tally, PAGE_PAIRS.types):
        yield page_pairs(*columns)


def candidates_of_file(pairs: Iterable[pa.RecordBatch], tally: Counter[str]) -> Iterator[pa.RecordBatch]:
    """Yield the PAGE_PAIRS of a file as candidates, then its tallies; a file without records counts as bad."""
    for batch in gather_rows(pairs, ROWS, BYTES, exact=True):
        tally["pairs"] += batch.num_rows
        yield candidates({name: batch[name] for name in PAGE_PAIRS.names})
    if not tally["records"] and not tally["dropped.truncated"] and not tally["dropped.corrupt_gzip"]:
        tally = Counter({"files": 1, "dropped.bad_file": 1})
    yield tallies(tally)
