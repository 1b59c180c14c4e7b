"""Read the images, bases, metas and language of a page that is UTF-8, or in any encoding that writes ASCII as it is.

The page is read by a kernel (`kernels.html`); here values are decoded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from curation.inputs.crawl.character_references import unescape
from curation.kernels.html.elements import find_elements
from curation.kernels.html.names import ATTRIBUTES, COLUMNS, KIND, VALUES, WANTED


class Element(NamedTuple):
    """An element: `img`, `image`, `base`, `meta` or `html`; the values of those of its attributes that matter."""

    tag: str
    attributes: dict[str, str]


_SPANS = [(name, VALUES + 2 * k) for k, name in enumerate(ATTRIBUTES)]


def elements(page: bytes) -> list[Element]:
    """Return the elements of a page, in their order, those in templates left out."""
    frames = np.empty(len(page) // 4 + 2, np.int32)  # memory that is not used costs nothing
    rows = np.empty((len(page) // 9 + 2, COLUMNS), np.int32)
    count = find_elements(np.frombuffer(page, np.uint8), len(page), frames, rows)
    return [Element(WANTED[row[KIND]], _attributes(page, row)) for row in rows[:count].tolist()]


def _attributes(page: bytes, row: list[int]) -> dict[str, str]:
    return {name: _value(page[row[k] : row[k + 1]]) for name, k in _SPANS if row[k] >= 0}


def _value(raw: bytes) -> str:
    value = raw.decode("utf-8", "replace")
    if "\r" in value or "\0" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return unescape(value) if "&" in value else value
