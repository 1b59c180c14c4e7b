"""Send HTTP requests, and retry failed ones after growing waits, or after the wait that the server asks for.

This module knows requests only; `fetch` turns their responses into files.
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

TIMEOUT = (10.0, 60.0)  # seconds to connect, and seconds without a byte
_WAITS = Waits(first=1.0, longest=60.0)  # between tries, if the server asks for no wait
_LONGEST_WAIT = 3600.0  # seconds; if a server asks for a longer wait, the file fails
_FIRST_CONTACT = 3  # tries at a host that has never answered: then there is probably no network
_PIECE = 1 << 18
_LONGEST_TEXT = 16 << 20  # bytes of a list of checksums

Result = TypeVar("Result")


class Refused(Exception):
    """The failure of a request that another try would not help."""


class Stopped(Exception):
    """The end of the run in the middle of a file, without a fault of the file."""


class Again(Exception):
    """The failure of a try after which another may succeed; `after` is the wait that the server asks for (s), or 0.

    `no_network` is True if the host has not answered any request so far.
    """

    def __init__(self, reason: str, after: float = 0.0, no_network: bool = False):
        super().__init__(reason)
        self.after, self.no_network = after, no_network


@dataclass(frozen=True)
class Manners:
    """The contact sent to servers and the number of parallel downloads; Wikimedia wants a URL or e-mail as contact."""

    contact: str = ""
    jobs: int = 2  # files at a time; Wikimedia allows 3 connections per IP address

    def __post_init__(self) -> None:
        if not (self.contact.isascii() and self.contact.isprintable()):
            raise ParameterError(f"is {self.contact!r}; give a URL or an e-mail address in ASCII", "contact")


class Client:
    """An HTTP session that all threads of one run share."""

    def __init__(self, manners: Manners):
        self.jobs = manners.jobs
        self.stop = threading.Event()
        self._session = requests.Session()
        self._session.max_redirects = 5
        about = "; ".join(filter(None, ("clip-metadata", manners.contact)))
        agent = f"{PROJECT}/{__version__} ({about}) requests/{requests.__version__}"
        # No content encoding: files are fetched as they are stored, and Range counts the stored bytes.
        self._session.headers.update({"User-Agent": agent, "Accept-Encoding": "identity"})
        self._heard: set[str] = set()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def pause(self) -> None:
        """Raise Stopped if the run must end."""
        if self.stop.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Wait for this number of seconds, or until the run must end."""
        self.stop.wait(seconds)

    def persist(self, step: Callable[[], Result], size: Callable[[], int] = lambda: 0) -> Result:
        """Return the result of `step()`; if it raises Again, wait and call it again, up to TRIES failures in a row.

        A try after which `size()` has grown is not a failure. Refused after the last failure, or if the server asks for
        too long a wait; InputError if there seems to be no network.
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
        """Return the text at `url`, retrying as `persist` does; Refused if it is too long or cannot be fetched."""
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
        """Yield the response to one request, its body unread.

        Again if the server is busy or does not answer; Refused for another failure.
        """
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
        """Yield the body of a response in pieces, undecoded; Again if the connection breaks off."""
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
    """Return the wait in seconds that a Retry-After header asks for, as seconds or a date; 0 if it is neither."""
    try:
        if retry_after.strip().isdecimal():
            return float(retry_after)
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _host_of(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _reason(error: BaseException) -> str:
    """Return the message of the innermost error nested in an error of `requests`."""
    inner = [each for each in (getattr(error, "reason", None), *error.args) if isinstance(each, BaseException)]
    return _reason(inner[0]) if inner else str(error).rpartition(": ")[2] or type(error).__name__
