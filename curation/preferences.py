"""Read what a field `Content-Usage` says of training, as the drafts of AIPREF define it.

Its value is a dictionary of structured fields (RFC 9651), in the HTTP header of a page and in rules of robots.txt.
"""

from typing import Any

import http_sf

_TRAINING_CATEGORIES = ("train-ai", "train-genai")  # the second is in earlier drafts only
_REFUSED = http_sf.Token("n")
_ALLOWED = http_sf.Token("y")


def refuses_training(content_usage: str) -> bool | None:
    """Return whether the value of a `Content-Usage` refuses training; None if it says nothing of training.

    One refusal suffices. Parameters are disregarded; a value with a syntax error says nothing.

    >>> [refuses_training(value) for value in ("train-ai=n;x=1", "search=n, train-ai=y", "train-ai=n,", "train-ai")]
    [True, False, None, None]
    """
    try:
        dictionary: Any = http_sf.parse(content_usage.encode("ascii"), tltype="dictionary")
    except (ValueError, OverflowError):
        return None
    stated = [dictionary[category][0] for category in _TRAINING_CATEGORIES if category in dictionary]
    tokens = [value for value in stated if isinstance(value, http_sf.Token)]
    if _REFUSED in tokens:
        return True
    return False if _ALLOWED in tokens else None
