"""Name the failures of requests, and read hosts, waits and errors for messages."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit


class Again(Exception):
    """This try failed, another may not.

    `after` is the wait in seconds that the server asks for, `progress` says that the try brought something
    nevertheless, and `unheard` that the server did not answer at all.
    """

    def __init__(self, reason: str, after: float | None = None, progress: bool = False, unheard: bool = False):
        super().__init__(reason)
        self.after, self.progress, self.unheard = after, progress, unheard


class Refused(Exception):
    """No further try will help."""


class Stopped(Exception):
    """The run ends; nothing is wrong with this file."""


def host_of(url: str) -> str:
    """Return the host of a URL, with its port."""
    return urlsplit(url).netloc.rpartition("@")[2]


def seconds_asked_for(retry_after: str | None, now: float) -> float | None:
    """Return the wait that Retry-After asks for, which is a number of seconds or a date.

    >>> [seconds_asked_for(wait, now=10.0) for wait in ("120", "Thu, 01 Jan 1970 00:01:00 GMT", "soon")]
    [120.0, 50.0, None]
    """
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def innermost_reason(error: BaseException) -> str:
    """Return the innermost reason of an error of requests, without its nesting."""
    while True:
        inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
        if not isinstance(inner, BaseException) or inner is error:
            break
        error = inner
    text = str(error).rpartition("object at 0x")[2].partition(">: ")[2] or str(error)
    return text.rpartition(": ")[2] if "Errno" in text else text or type(error).__name__
