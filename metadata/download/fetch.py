"""Fetch the sources of a build over HTTP, a few files at a time: each file is resumed, checked, and then renamed.

The module `sources` plans which files to fetch; a `Client` sends the requests.
"""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from metadata.download.sources import Download, Listing, fault, kind, listed_checksums, published_digest
from runtime.errors import InputError, ParameterError
from runtime.packages import PROJECT, __version__
from runtime.progress import advance
from runtime.redaction import redacted
from runtime.storage import locks
from runtime.storage.json_files import read_json, write_json
from runtime.storage.paths import room
from runtime.storage.remote import BUSY, TRIES, Waits, seconds_asked_for, too_long_a_wait, try_again
from runtime.storage.whole import PARTIAL, sync

TIMEOUT = (10.0, 60.0)  # seconds to connect, and seconds without a byte
_WAITS = Waits(first=1.0, longest=60.0)  # between tries, if the server asks for no wait
_FIRST_CONTACT = 3  # tries at a host that has never answered: then there is probably no network
_PIECE = 1 << 18
_LONGEST_TEXT = 16 << 20  # bytes of a list of checksums

Answer = TypeVar("Answer")


class Refused(Exception):
    """The failure of a request that would fail again at another try."""


class Stopped(Exception):
    """Raised in the middle of a file because the whole run must end, not because of a fault of the file."""


class Again(Exception):
    """The failure of a try after which another may succeed; `after` is the wait (s) that the server asks for, or 0.

    `no_network` is True if the host has not answered any request so far.
    """

    def __init__(self, reason: str, after: float = 0.0, no_network: bool = False):
        super().__init__(reason)
        self.after = after
        self.no_network = no_network


@dataclass(frozen=True)
class Manners:
    """The contact sent to servers and the number of parallel downloads; Wikimedia wants a URL or e-mail as contact."""

    contact: str = ""
    jobs: int = 2  # files at a time; Wikimedia allows 3 connections per IP address

    def __post_init__(self) -> None:
        if not (self.contact.isascii() and self.contact.isprintable()):
            raise ParameterError(f"is {self.contact!r}; specify a URL or an e-mail address in ASCII", "contact")


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

    def persist(self, step: Callable[[], Answer], size: Callable[[], int] = lambda: 0) -> Answer:
        """Return the result of `step()`; if it raises Again, wait and call it again, up to TRIES failures in a row.

        A try after which `size()` has grown is not a failure. Refused after the last failure, or if the server asks for
        too long a wait; InputError if there seems to be no network.
        """
        failures = 0
        most = size()

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
            if asked := too_long_a_wait(error.after):
                raise Refused(f"{error} and {asked}") from error
            # The jitter must differ between machines, and decides nothing about data.
            return error.after or _WAITS.after(max(failures, 1), random.random())

        return try_again(step, seconds_after, self.sleep)

    def text(self, url: str) -> str:
        """Return the text at `url`, retrying as `persist` does; Refused if it is too long or cannot be fetched."""
        return self.persist(lambda: self._text(url))

    def _text(self, url: str) -> str:
        content = bytearray()
        with self.open(url) as response:
            for piece in self.pieces(response):
                content += piece
                if len(content) > _LONGEST_TEXT:
                    raise Refused(f"{redacted(url)} is not a list of checksums: it has over {_LONGEST_TEXT >> 20} MB")
        return content.decode("utf-8", "replace")

    @contextmanager
    def open(self, url: str, headers: dict[str, str] | None = None, method: str = "GET") -> Iterator[requests.Response]:
        """Yield the response to one request, its body unread.

        Again if the server is busy or does not answer; Refused for another failure.
        """
        self.pause()
        host = _host_of(url)
        try:
            response = self._session.request(method, url, headers=headers, stream=True, timeout=TIMEOUT)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Again(f"{host} did not answer ({_reason(error)})", no_network=host not in self._heard) from error
        except (requests.RequestException, ValueError) as error:
            raise Refused(f"{redacted(url)} cannot be requested ({_reason(error)})") from error
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
        raise Refused(f"{redacted(url)} redirects to {target}, which is not encrypted, so others could change the file")
    if status in BUSY:
        raise Again(f"{_host_of(url)} was busy (status {status})", seconds_asked_for(response.headers))
    if status not in (200, 206, 416):
        raise Refused(f"{redacted(url)}: the server answered with status {status}")


def _host_of(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _reason(error: BaseException) -> str:
    """Return the message of the innermost error nested in an error of `requests`."""
    inner = [cause for cause in (getattr(error, "reason", None), *error.args) if isinstance(cause, BaseException)]
    return _reason(inner[0]) if inner else str(error).rpartition(": ")[2] or type(error).__name__


_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")  # a star if the file has no bytes after those requested
_MB = 10**6

_LOCK = ".downloading"

Item = TypeVar("Item")
Looked = TypeVar("Looked")


def files_to_fetch(planned: Iterable[Download | Listing], manners: Manners) -> tuple[list[Download], list[FetchResult]]:
    """Return the files to fetch, in the planned order, and a failed result for each dump whose list cannot be read."""
    with closing(Client(manners)) as client:
        answers = _parallel(lambda item: _listed(client, item), list(planned), client)
    downloads: list[Download] = []
    failed: list[FetchResult] = []
    for answer in answers:
        if isinstance(answer, FetchResult):
            failed.append(answer)
        else:
            downloads += answer
    return downloads, failed


def _listed(client: Client, item: Download | Listing) -> list[Download] | FetchResult:
    """Return the downloads of `item`: the item itself, or the files of a dump.

    The result is a failed one if the dump's list cannot be fetched or names no file of pages.
    """
    if isinstance(item, Download):
        return [item]
    try:
        if item.marker:
            client.text(item.marker)
        if downloads := item.downloads(listed_checksums(client.text(item.sums))):
            return downloads
        reason = f"{redacted(item.sums)} lists no file of pages"
    except Refused as refused:
        reason = str(refused)
    unlisted = Download(item.sums, f"{item.path}/{item.sums.rpartition('/')[2]}")
    return FetchResult(unlisted, Path(unlisted.path), None, "failed", reason=reason)


def fetch(
    downloads: Iterable[Download], directory: str | Path, manners: Manners, dry_run: bool = False
) -> list[FetchResult]:
    """Fetch files to `directory`; return the result of each download, in order.

    A file gets its name only when it is complete and checked. A file that was fetched and checked before is kept. A dry
    run writes nothing and requests sizes only. InputError for an obstacle to all files (no network, no room).
    """
    downloads = list(downloads)
    folder = Path(directory)
    with nullcontext() if dry_run else _claimed(folder), closing(Client(manners)) as client:
        return _parallel(lambda download: Transfer(download, folder, client).run(dry_run), downloads, client)


def _parallel(work: Callable[[Item], Looked], items: list[Item], client: Client) -> list[Looked]:
    """Return `work(item)` of each item, in order, run in threads; an exception or Ctrl-C stops all items soon."""

    def stopping(item: Item) -> Looked:
        try:
            return work(item)
        except BaseException:
            client.stop.set()  # The event is set before this thread begins its next item.
            raise

    executor = ThreadPoolExecutor(client.jobs, thread_name_prefix="download")
    try:
        futures = [executor.submit(stopping, item) for item in items]
        wait(futures)
        for error in [future.exception() for future in futures]:
            if error and not isinstance(error, Stopped):  # Stopped is a consequence of another item's error.
                raise error
        return [future.result() for future in futures]
    finally:
        client.stop.set()
        executor.shutdown(cancel_futures=True)


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Lock `folder` for this run, as two runs would write the same partial files; InputError if it is locked."""
    try:
        with writable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = locks.take(folder / _LOCK)
    except locks.Held as error:
        raise InputError(f"another run is downloading to {folder}; wait for it, or specify another folder") from error
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


@dataclass(frozen=True)
class FetchResult:
    """The outcome of one download, and the file's path and size."""

    download: Download
    path: Path
    size: int | None  # bytes; None if the server does not state them
    outcome: str  # "fetched", "kept" (it was fetched before), "planned" (a dry run), "failed"
    check: str = ""  # the checksum that the file passed: "sha1 da39…", or "its own" if none is published
    reason: str = ""  # why the download failed, else empty


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """If the block raises OSError, raise an InputError that states why `path` cannot be written."""
    try:
        with room(path.parent):
            yield
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {path} ({reason}); specify a folder that can be written") from error


class Transfer:
    """The fetching of one file to its path below a folder, continued at the byte where an earlier try broke off.

    Unfinished bytes are in `name.partial`. A hidden JSON file beside it, the record, has the `validator`: the ETag or
    date that names the file's version to the server. Once the file is complete, the record also has `size`, `mtime_ns`
    and `check`, by which a later run recognises the file.
    """

    def __init__(self, download: Download, folder: Path, client: Client):
        self.download = download
        self._client = client
        self.target = folder / download.path
        self._partial = self.target.with_name(f"{self.target.name}{PARTIAL}")
        self._record = self.target.with_name(f".{self.target.name}.record")
        self._digest: str | None = None
        self._shown = 0, 0

    def run(self, dry: bool) -> FetchResult:
        """Fetch the file unless an earlier run did, and return the result; a dry run requests the size only.

        If the file cannot be fetched, the result is a failed one. InputError if the disk cannot be written.
        """
        record = read_json(self._record) or {}
        try:
            if "check" in record and self.target.is_file() and record == record | self._proof(self.target):
                return self._result("kept", record["size"], record["check"])
            if dry:
                return self._result("planned", self._client.persist(self._stated_size))
            with writable(self.target):
                self.target.parent.mkdir(parents=True, exist_ok=True)
                return self._fetched()
        except Refused as refused:
            return FetchResult(self.download, self.target, None, "failed", reason=str(refused))

    def _fetched(self) -> FetchResult:
        self._digest = self._read_digest()
        if self.target.is_file() and not self._fault(self.target):
            outcome = "kept"
            path = self.target
        else:
            self._persist()
            outcome = "fetched"
            path = self._partial
        check = f"{kind(self._digest)} {self._digest}" if self._digest else "its own"
        write_json(self._record, (read_json(self._record) or {}) | self._proof(path) | {"check": check})
        os.replace(path, self.target)
        return self._result(outcome, self.target.stat().st_size, check)

    def _persist(self) -> None:
        """Fetch the file to its partial path, again if the first copy fails its check; Refused if both fail."""
        for _ in range(2):
            self._client.persist(self._receive, self._size)
            fault = self._fault(self._partial)
            if fault and self._digest:  # New checksums may have been published meanwhile.
                self._digest = self._read_digest()
                fault = self._fault(self._partial)
            if not fault:
                return
            self._partial.unlink()
        raise Refused(f"{redacted(self.download.url)} differs from the published file: {fault}")

    def _receive(self) -> None:
        """Fetch the rest of the partial file, or the whole file if its version on the server is unknown or has changed.

        Again if the response is not the part that was requested.
        """
        have = self._size()
        version = (read_json(self._record) or {}).get("validator", "")
        if have and not version:
            self._partial.unlink()
            have = 0
        rest = {"Range": f"bytes={have}-", "If-Range": version} if have else None
        with self._client.open(self.download.url, rest) as response:
            part = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if response.status_code == 200:
                self._partial.unlink(missing_ok=True)
                write_json(self._record, {"validator": _version(response)})
                total = _length(response)
            elif part and int(part[1] or part[2]) == have and _version(response) in (version, ""):
                total = int(part[2])
            else:
                self._partial.unlink(missing_ok=True)
                raise Again(f"{redacted(self.download.url)} was answered with another part than the one asked for")
            if response.status_code != 416:
                self._write(response, total)

    def _write(self, response: requests.Response, total: int | None) -> None:
        if total is not None and total - self._size() > shutil.disk_usage(self.target.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with open(self._partial, "ab") as file:
            for piece in self._client.pieces(response):
                file.write(piece)
                self._show(file.tell(), total)
        sync(self._partial)
        done = self._size()
        if total is not None and done > total:
            self._partial.unlink()
        if total is not None and done != total:
            raise Again(f"{redacted(self.download.url)} ended after {done:,} of {total:,} bytes")

    def _show(self, done: int, total: int | None) -> None:
        """Show `done` of `total` bytes of this file in the stage's progress, which counts the MB of all files."""
        shown = done // _MB, (total or done) // _MB
        advance(done=shown[0] - self._shown[0], total=shown[1] - self._shown[1])
        self._shown = shown

    def _read_digest(self) -> str | None:
        """Return the published checksum in hex; None if none is published, Refused if the list lacks this file."""
        published = self.download.published
        if published is None:
            return None
        digest = published_digest(published, self._client.text(published.url))
        if digest is None:
            raise Refused(f"{redacted(published.url)} lists no checksum of {published.name}")
        return digest

    def _fault(self, path: Path) -> str:
        return fault(path, self._digest, self.target.name, self._client.pause)

    def _stated_size(self) -> int | None:
        with self._client.open(self.download.url, method="HEAD") as response:
            return _length(response)

    def _size(self) -> int:
        return self._partial.stat().st_size if self._partial.is_file() else 0

    def _proof(self, path: Path) -> dict:
        stat = path.stat()
        return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}

    def _result(self, outcome: str, size: int | None, check: str = "") -> FetchResult:
        return FetchResult(self.download, self.target, size, outcome, check)


def _version(response: requests.Response) -> str:
    """Return the file's version for If-Range: a strong ETag, or else the date of Last-Modified, or else empty."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _length(response: requests.Response) -> int | None:
    """Return the number of bytes of the body, or None if the response does not state it or is sent in chunks."""
    text = "" if "Transfer-Encoding" in response.headers else response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None
