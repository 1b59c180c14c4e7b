"""Send HTTP requests, and retry them with growing waits, or after the wait that the server asks for.

Everything here is about requests; what their answers mean for a file is in `fetch`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from runtime.errors import InputError, ParameterError
from runtime.packages import PROJECT, __version__
from runtime.redaction import redacted
from runtime.storage.remote import BUSY, TRIES, Waits, try_again

TIMEOUT = (10.0, 60.0)  # seconds to connect, and without a byte
_WAITS = Waits(first=1.0, longest=60.0)  # between tries where the server names no time
_LONGEST_WAIT = 3600.0  # seconds; a server that asks for more ends the file's turn
_FIRST_CONTACT = 3  # tries at a host that has never answered: more likely there is no network
_PIECE = 1 << 18
_LONGEST_TEXT = 16 << 20  # bytes of a list of checksums

Result = TypeVar("Result")


class Refused(Exception):
    """A request failed, and another try would not help."""


class Stopped(Exception):
    """The run ends; nothing is wrong with this file."""


class Again(Exception):
    """This try failed, but another may succeed; `after` is the wait in seconds that the server asks for."""

    def __init__(self, reason: str, after: float = 0.0, no_network: bool = False):
        super().__init__(reason)
        self.after, self.no_network = after, no_network


@dataclass(frozen=True)
class Manners:
    """The terms of requests to servers; Wikimedia wants a contact (URL or e-mail address) in the User-Agent."""

    contact: str = ""
    jobs: int = 2  # files at a time; Wikimedia allows 3 connections per address

    def __post_init__(self) -> None:
        if not (self.contact.isascii() and self.contact.isprintable()):
            raise ParameterError(f"is {self.contact!r}; give a URL or an e-mail address in ASCII", "contact")


class Client:
    """A session that all threads of one run share."""

    def __init__(self, manners: Manners):
        self.jobs = manners.jobs
        self.stop = threading.Event()
        self._session = requests.Session()
        self._session.max_redirects = 5
        about = "; ".join(filter(None, ("clip-metadata", manners.contact)))
        agent = f"{PROJECT}/{__version__} ({about}) requests/{requests.__version__}"
        # Without encodings: a file is wanted as it is stored, and Range counts its own bytes.
        self._session.headers.update({"User-Agent": agent, "Accept-Encoding": "identity"})
        self._heard: set[str] = set()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def pause(self) -> None:
        """Raise Stopped if the run is to end."""
        if self.stop.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Return after this number of seconds, or once the run is to end."""
        self.stop.wait(seconds)

    def persist(self, step: Callable[[], Result], size: Callable[[], int] = lambda: 0) -> Result:
        """Return what `step` returns; where it raises Again, try again, but not for ever.

        A try after which `size` is larger than ever does not count as a failure.
        """
        failures, most = 0, size()

        def seconds_after(error: Exception, _: int) -> float:
            nonlocal failures, most
            if not isinstance(error, Again):
                raise error
            failures = 0 if size() > most else failures + 1
            most = max(size(), most)
            if error.no_network and failures >= _FIRST_CONTACT:
                raise InputError(f"{error}; check the network and the proxy, or name a mirror (--mirror)") from error
            if failures >= TRIES:
                raise Refused(f"{error}, {failures} times in a row") from error
            if error.after > _LONGEST_WAIT:
                asked = f"{error} and wants to be asked in {error.after:.0f} s"
                raise Refused(f"{asked}; run the same again then") from error
            # The jitter must differ between machines, and decides nothing about data.
            return error.after or _WAITS.after(max(failures, 1), random.random())

        return try_again(step, seconds_after, self.sleep)

    def text(self, url: str) -> str:
        """Return the text at `url`."""
        return self.persist(lambda: self._text(url))

    def _text(self, url: str) -> str:
        found = bytearray()
        with self.open(url) as response:
            for piece in self.pieces(response):
                found += piece
                if len(found) > _LONGEST_TEXT:
                    raise Refused(f"{redacted(url)} is no list of checksums: it has over {_LONGEST_TEXT >> 20} MB")
        return found.decode("utf-8", "replace")

    @contextmanager
    def open(self, url: str, headers: dict[str, str] | None = None, method: str = "GET") -> Iterator[requests.Response]:
        """Yield the response to one request, its body unread; a server that is busy or does not answer raises Again."""
        self.pause()
        host = _host_of(url)
        try:
            response = self._session.request(
                method, url, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=True
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Again(f"no answer from {host} ({_reason(error)})", no_network=host not in self._heard) from error
        except (requests.RequestException, ValueError) as error:
            raise Refused(f"{redacted(url)} cannot be asked for ({_reason(error)})") from error
        with response:
            self._heard.add(host)
            _check(url, response)
            yield response

    def pieces(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body as it was sent; where it breaks off, raise Again."""
        try:
            for piece in response.raw.stream(_PIECE, decode_content=False):
                self.pause()
                yield piece
        except (urllib3.exceptions.HTTPError, requests.RequestException) as error:
            raise Again(f"the connection to {_host_of(response.url)} broke off ({_reason(error)})") from error


def _check(url: str, response: requests.Response) -> None:
    status = response.status_code
    if urlsplit(url).scheme == "https" and urlsplit(response.url).scheme != "https":
        target = redacted(response.url)
        raise Refused(f"{redacted(url)} leads to {target}, which is not safe from changes on the way")
    if status in BUSY:
        after = _seconds_asked_for(response.headers.get("Retry-After", ""))
        raise Again(f"{_host_of(url)} was busy (status {status})", after)
    if status not in (200, 206, 416):
        raise Refused(f"{redacted(url)} was answered with status {status}")


def _seconds_asked_for(retry_after: str) -> float:
    """Return the wait that Retry-After asks for, which is a number of seconds or a date; 0 where it asks for none."""
    try:
        if retry_after.strip().isdecimal():
            return float(retry_after)
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _host_of(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _reason(error: BaseException) -> str:
    """Return the innermost reason of an error of requests, without its nesting."""
    inner = [each for each in (getattr(error, "reason", None), *error.args) if isinstance(each, BaseException)]
    return _reason(inner[0]) if inner else str(error).rpartition(": ")[2] or type(error).__name__
