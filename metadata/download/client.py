"""Ask servers for files over HTTP: few connections, and further tries that wait longer, or as long as a server asks.

Everything here is about requests; what their answers mean for a file is in `transfer`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from metadata.download.answers import (
    Again,
    Refused,
    Stopped,
    host_of,
    innermost_reason,
    seconds_asked_for,
)
from metadata.download.manners import Manners
from runtime.errors import InputError
from runtime.redaction import redacted
from runtime.storage.retrying import BUSY, Waits, try_again

_PIECE = 1 << 18
_LONGEST_TEXT = 16 << 20  # bytes of a list of checksums
_WAITS = Waits(first=1.0, longest=60.0)  # between tries where the server names no time
_FIRST_CONTACT = 3  # tries at a host that has never answered: more likely there is no network
_CUT = (urllib3.exceptions.HTTPError, requests.RequestException)

Result = TypeVar("Result")


class Client:
    """A session that all threads of one run share: what one of them learns about a host holds for all."""

    def __init__(self, manners: Manners):
        self.manners = manners
        self.stop = threading.Event()
        self._session = requests.Session()
        self._session.max_redirects = 5
        # Without encodings: a file is wanted as it is stored, and Range counts its own bytes.
        self._session.headers.update({"User-Agent": manners.user_agent, "Accept-Encoding": "identity"})
        self._heard: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def pause(self) -> None:
        """Raise Stopped if the run is to end."""
        if self.stop.is_set():
            raise Stopped

    def persist(self, url: str, step: Callable[[], Result]) -> Result:
        """Return what `step` returns, trying again while it raises Again, but not for ever."""
        failures = 0

        def attempt() -> Result:
            self._keep_away(host_of(url))
            return step()

        def seconds_after(error: Exception, _: int) -> float:
            nonlocal failures
            if not isinstance(error, Again):
                raise error
            failures = 0 if error.progress else failures + 1
            self._check_patience(url, error, failures)
            if error.after:  # `_keep_away` waits; some servers say 0 s, which is not taken literally
                return 0
            return _WAITS.after(max(failures, 1), self.manners.clock.jitter())

        return try_again(attempt, seconds_after, self._sleep)

    def text(self, url: str) -> str:
        """Return the text at `url`, of one try."""
        with self.open(url) as response:
            if response.status_code != 200:
                raise Refused(f"{redacted(url)} was answered with status {response.status_code}")
            found = bytearray()
            for piece in self.pieces(response):
                found += piece
                if len(found) > _LONGEST_TEXT:
                    most = f"{_LONGEST_TEXT >> 20} MB"
                    raise Refused(f"{redacted(url)} is no list of checksums: it is longer than {most}")
        return found.decode("utf-8", "replace")

    @contextmanager
    def open(self, url: str, headers: dict[str, str] | None = None, method: str = "GET") -> Iterator[requests.Response]:
        """Give the response to one request, its body unread; a busy or an unheard server raises Again."""
        self.pause()
        timeout = self.manners.timeout
        try:
            response = self._session.request(
                method, url, headers=headers, stream=True, timeout=timeout, allow_redirects=True
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Again(f"no answer from {host_of(url)} ({innermost_reason(error)})", unheard=True) from error
        except (requests.RequestException, ValueError) as error:
            raise Refused(f"{redacted(url)} cannot be asked for ({innermost_reason(error)})") from error
        with response:
            self._heard.add(host_of(url))
            self._check(url, response)
            yield response

    def pieces(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body as it was sent; where it breaks off, raise Again."""
        stream = response.raw.stream(_PIECE, decode_content=False)
        try:
            for piece in stream:
                self.pause()
                yield piece
        except _CUT as error:
            raise Again(f"the connection to {host_of(response.url)} broke off ({innermost_reason(error)})") from error

    def _check(self, url: str, response: requests.Response) -> None:
        status, host = response.status_code, host_of(url)
        if urlsplit(url).scheme == "https" and urlsplit(response.url).scheme != "https":
            target = redacted(response.url)
            raise Refused(f"{redacted(url)} leads to {target}, which is not safe from changes on the way")
        if status in BUSY:
            after = seconds_asked_for(response.headers.get("Retry-After"), self.manners.clock.now())
            if after is not None:
                self._hold(host, after)
            raise Again(f"{host} was busy (status {status})", after=after)
        if status >= 400 and status != 416:
            raise Refused(f"{redacted(url)} was answered with status {status}")

    def _check_patience(self, url: str, again: Again, failures: int) -> None:
        """Give up on a file that has failed too often, and on the whole run if its server was never heard."""
        unknown = again.unheard and host_of(url) not in self._heard
        if unknown and failures >= min(_FIRST_CONTACT, self.manners.tries):
            raise InputError(f"{again}; check the network and the proxy, or name a mirror (--mirror)") from again
        if failures >= self.manners.tries:
            raise Refused(f"{again}, {failures} times in a row") from again
        if again.after is not None and again.after > self.manners.longest_wait:
            raise Refused(f"{again} and wants to be asked in {again.after:.0f} s; run the same again then") from again

    def _hold(self, host: str, seconds: float) -> None:
        """Let no thread ask `host` for `seconds`; a wait that no one would sit out is the file's own matter."""
        if seconds <= self.manners.longest_wait:
            until = self.manners.clock.now() + seconds
            with self._lock:
                self._not_before[host] = max(until, self._not_before.get(host, until))

    def _keep_away(self, host: str) -> None:
        while (wait := self._not_before.get(host, 0.0) - self.manners.clock.now()) > 0:
            self._sleep(wait)
        self.pause()

    def _sleep(self, seconds: float) -> None:
        if seconds:
            self.manners.clock.sleep(seconds, self.stop)
        self.pause()
