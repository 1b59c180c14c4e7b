"""Read whether a field `Content-Usage` refuses training, as the drafts of AIPREF define it.

The field's value is a dictionary of structured fields (RFC 9651). It is in HTTP headers of pages and in robots.txt.
"""

from typing import Any

import http_sf

_TRAINING_CATEGORIES = ("train-ai", "train-genai")  # Only earlier drafts have the second.
_REFUSED = http_sf.Token("n")
_ALLOWED = http_sf.Token("y")


def refuses_training(content_usage: str) -> bool | None:
    """Return whether the value of a field `Content-Usage` refuses training; None if it neither refuses nor allows it.

    One refusal is enough. Parameters are ignored. The result is None for a value with a syntax error.

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
