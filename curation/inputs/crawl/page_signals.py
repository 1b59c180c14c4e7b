"""Read what a page and its images say about their use. Nothing is decided by it here."""

from __future__ import annotations

import re
from collections.abc import Iterable

ROBOTS = frozenset({"noai", "noimageai", "noindex", "noimageindex"})
TDM_RESERVATION, DATA_NOAI = "tdm-reservation", "data-noai"

# The bit of each signal in the column `signals`. Files hold these numbers: none may change, new ones are added.
SIGNALS = {"noai": 1, "noimageai": 2, "noindex": 4, "noimageindex": 8, TDM_RESERVATION: 16, DATA_NOAI: 32}

_IMPLIED = {"none": "noindex"}  # short for noindex and nofollow
_NUMBER = re.compile(r"\s*\+?([0-9]{1,6})(?:\.[0-9]*)?\s*(?:px)?\s*", re.I | re.A)


def page_signals(headers: dict[str, str], metas: Iterable[dict[str, str]]) -> frozenset[str]:
    """Return the signals of a page: those of ROBOTS, and TDM_RESERVATION.

    `headers` has names in lower case; `metas` are the attributes of the page's `<meta>` elements.

    >>> sorted(page_signals({"x-robots-tag": "NOAI"}, [{"name": "robots", "content": "none, noimageai"}]))
    ['noai', 'noimageai', 'noindex']
    """
    stated = [(name, headers[name]) for name in ("x-robots-tag", TDM_RESERVATION) if name in headers]
    stated += [(each.get("name", "").strip().lower(), each.get("content", "")) for each in metas]
    robots = {token for name, value in stated if name in ("robots", "x-robots-tag") for token in _tokens(value)}
    reserved = any(name == TDM_RESERVATION and value.strip() == "1" for name, value in stated)
    return frozenset(robots & ROBOTS) | ({TDM_RESERVATION} if reserved else frozenset())


def image_signals(attributes: dict[str, str]) -> tuple[frozenset[str], int | None, int | None]:
    """Return the signals of an image, and its width and height in pixels; None where they are not stated as such."""
    signals = frozenset({DATA_NOAI}) if DATA_NOAI in attributes else frozenset()
    return signals, _pixels(attributes.get("width")), _pixels(attributes.get("height"))


def _tokens(value: str) -> Iterable[str]:
    """Return the tokens of a robots directive; those that are for one robot count for all."""
    tokens = (token.rpartition(":")[2].strip().lower() for token in value.split(","))
    return (_IMPLIED.get(token, token) for token in tokens)


def _pixels(value: str | None) -> int | None:
    found = _NUMBER.fullmatch(value) if value else None
    return int(found[1]) if found else None
