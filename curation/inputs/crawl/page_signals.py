"""Read usage signals of pages and images, such as `noai`, from headers, metas and attributes.

Nothing is removed here: the policy rules in `gate.image_rules` act on the signals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

TDM_RESERVATION, DATA_NOAI = "tdm-reservation", "data-noai"

# The bit of each signal in the column `signals`. Files hold these numbers: none may change, new ones are added.
SIGNALS = {"noai": 1, "noimageai": 2, "noindex": 4, "noimageindex": 8, TDM_RESERVATION: 16, DATA_NOAI: 32, "noml": 64}
# Those that hosts state, which `gate.hosts` adds; TDM_RESERVATION is stated by pages and by hosts.
HOST_SIGNALS = {"robots": 128, "content-signal": 256, "content-usage": 512, "ai.txt": 1024}

SIGNAL = "signal."  # before the name of a signal: the name of the tally of its pairs

_ROBOTS = {name: SIGNALS[name] for name in ("noai", "noimageai", "noindex", "noimageindex", "noml")}
_ROBOTS["none"] = SIGNALS["noindex"]  # short for noindex and nofollow
_BITS = {"robots": _ROBOTS, "x-robots-tag": _ROBOTS, TDM_RESERVATION: {"1": SIGNALS[TDM_RESERVATION]}}  # by token
_NUMBER = re.compile(r"\s*\+?([0-9]{1,6})(?:\.[0-9]*)?\s*(?:px)?\s*", re.I | re.A)


def page_signals(stated: Iterable[tuple[str, str]]) -> int:
    """Return the signals of a page, given name and value of its header fields, and name and content of its metas.

    >>> page_signals([("X-Robots-Tag", "NOAI"), ("robots", "none, noimageai"), ("tdm-reservation", "0")])
    7
    """
    signals = 0
    for name, value in stated:
        bits = _BITS.get(name.strip().lower(), {})
        for token in value.split(",") if bits else ():
            # What is for one robot counts for all.
            signals |= bits.get(token.rpartition(":")[2].strip().lower(), 0)
    return signals


def states_signals(name: str) -> bool:
    """Return whether a header field or a meta of this name states signals."""
    return name.strip().lower() in _BITS


def image_signals(attributes: dict[str, str]) -> tuple[int, int | None, int | None]:
    """Return the signals of an image, and its width and height in pixels; None where they are not stated as such."""
    signals = SIGNALS[DATA_NOAI] if DATA_NOAI in attributes else 0
    return signals, _pixels(attributes.get("width")), _pixels(attributes.get("height"))


def _pixels(value: str | None) -> int | None:
    found = _NUMBER.fullmatch(value) if value else None
    return int(found[1]) if found else None
