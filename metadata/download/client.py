"""HTTP as a guest: one polite session, few connections, tries again that wait longer each time and as told.

Everything here is about requests; what their answers mean for a file is in `transfer`.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from runtime.errors import InputError
from runtime.storage.retrying import BUSY, Waits, try_again

MOST_JOBS = 3  # Wikimedia's limit of connections per address
PROJECT = "clip-curation"
_PIECE = 1 << 18
_LONGEST_TEXT = 16 << 20  # bytes of a list of checksums
_WAITS = Waits(first=1.0, longest=60.0)  # between tries where the server names no time
_FIRST_CONTACT = 3  # tries at a host that has never answered: more likely there is no network
_CUT = (urllib3.exceptions.HTTPError, requests.RequestException)

Result = TypeVar("Result")


class Again(Exception):
    """This try failed, another may not; `progress` says whether it brought something nevertheless."""

    def __init__(self, reason: str, after: float | None = None, progress: bool = False, unheard: bool = False):
        super().__init__(reason)
        self.after, self.progress, self.unheard = after, progress, unheard


class Refused(Exception):
    """No further try will help."""


class Stopped(Exception):
    """The run ends; nothing is wrong with this file."""


class Clock:
    """Time and chance as they are; tests have another."""

    now = staticmethod(time.time)
    jitter = staticmethod(random.random)  # must differ between machines, and decides nothing about data

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        """Return after `seconds`, or at once when `stop` is set."""
        stop.wait(seconds)


@dataclass(frozen=True)
class Manners:
    """How servers are asked; Wikimedia wants a contact (a URL or an e-mail address) in the User-Agent."""

    jobs: int = 2  # files at a time
    contact: str = ""
    tries: int = 8  # in a row that bring nothing: about two minutes of waits
    timeout: tuple[float, float] = (10.0, 60.0)  # seconds to connect, and without a byte
    longest_wait: float = 3600.0  # seconds; a server that asks for more ends the file's turn
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self):
        if not 1 <= self.jobs <= MOST_JOBS:
            raise InputError(f"jobs is {self.jobs}; servers allow 1 to {MOST_JOBS} connections")
        if self.tries < 1:
            raise InputError(f"tries is {self.tries}; it must be at least 1")
        if not (self.contact.isascii() and self.contact.isprintable()):
            raise InputError(f"contact is {self.contact!r}; give a URL or an e-mail address in ASCII")

    @property
    def user_agent(self) -> str:
        """What servers are told about who asks."""
        about = "; ".join(filter(None, ("build_metadata", self.contact)))
        return f"{PROJECT}/{_version()} ({about}) requests/{requests.__version__}"


def _version() -> str:
    try:
        return version(PROJECT)
    except PackageNotFoundError:  # run from a checkout
        return "0"


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
            self._keep_away(_host(url))
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
                raise Refused(f"{shown(url)} was answered with status {response.status_code}")
            found = bytearray()
            for piece in self.pieces(response):
                found += piece
                if len(found) > _LONGEST_TEXT:
                    raise Refused(f"{shown(url)} is no list of checksums: it is longer than {_LONGEST_TEXT >> 20} MB")
        return found.decode("utf-8", "replace")

    @contextmanager
    def open(self, url: str, headers: dict[str, str] | None = None, method: str = "GET") -> Iterator[requests.Response]:
        """Give the response to one request, its body unread; a busy or an unheard server raises Again."""
        self.pause()
        settings = {"headers": headers, "stream": True, "timeout": self.manners.timeout, "allow_redirects": True}
        try:
            response = self._session.request(method, url, **settings)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Again(f"no answer from {_host(url)} ({_cause(error)})", unheard=True) from error
        except (requests.RequestException, ValueError) as error:
            raise Refused(f"{shown(url)} cannot be asked for ({_cause(error)})") from error
        with response:
            self._heard.add(_host(url))
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
            raise Again(f"the connection to {_host(response.url)} broke off ({_cause(error)})") from error

    def _check(self, url: str, response: requests.Response) -> None:
        status, host = response.status_code, _host(url)
        if urlsplit(url).scheme == "https" and urlsplit(response.url).scheme != "https":
            raise Refused(f"{shown(url)} leads to {shown(response.url)}, which is not safe from changes on the way")
        if status in BUSY:
            after = _seconds(response.headers.get("Retry-After"), self.manners.clock.now())
            if after is not None:
                self._hold(host, after)
            raise Again(f"{host} was busy (status {status})", after=after)
        if status >= 400 and status != 416:
            raise Refused(f"{shown(url)} was answered with status {status}")

    def _check_patience(self, url: str, again: Again, failures: int) -> None:
        """Give up on a file that has failed too often, and on the whole run if its server was never heard."""
        unknown = again.unheard and _host(url) not in self._heard
        if unknown and failures >= min(_FIRST_CONTACT, self.manners.tries):
            raise InputError(f"{again}; check the network and the proxy, or give a mirror") from again
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


def shown(url: str) -> str:
    """Return `url` as messages may hold it: without the user and password that one of a mirror may have.

    >>> shown("https://me:secret@mirror.org/dumps")
    'https://mirror.org/dumps'
    """
    return urlsplit(url)._replace(netloc=_host(url)).geturl()


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _seconds(retry_after: str | None, now: float) -> float | None:
    """Return the wait that Retry-After asks for, which is a number of seconds or a date.

    >>> _seconds("120", now=0.0), _seconds("Thu, 01 Jan 1970 00:01:00 GMT", now=10.0), _seconds("soon", now=0.0)
    (120.0, 50.0, None)
    """
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _cause(error: BaseException) -> str:
    """Return the innermost reason of an error of requests, without its nesting."""
    while True:
        inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
        if not isinstance(inner, BaseException) or inner is error:
            break
        error = inner
    text = str(error).rpartition("object at 0x")[2].partition(">: ")[2] or str(error)
    return text.rpartition(": ")[2] if "Errno" in text else text or type(error).__name__
