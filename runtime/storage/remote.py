"""Read a remote file by large requests, fetching the next block ahead, and retry requests that fail for a moment.

A *block* is the bytes that one request returned. `may_pass` decides which errors of fsspec's file systems may be
temporary. Servers of metadata's sources state when to retry; `metadata.download.fetch` handles that.
"""

import io
import re
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import chain
from operator import itemgetter
from typing import Any, BinaryIO, NoReturn, TypeVar, cast

from fsspec.spec import AbstractBufferedFile

from runtime.draws import draws
from runtime.errors import InputError
from runtime.redaction import redacted
from runtime.storage.paths import is_outside

TRIES = 8  # in a row without a result: a minute of waits
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds
LONGEST_ASKED_WAIT = 3600.0  # seconds; a server that asks for a longer wait is not waited for
BUSY = frozenset({408, 425, 429, *range(500, 600)})  # S3 says 503 SlowDown
# By name, in any of an error's classes: the libraries that define them need not be installed.
PASSING = frozenset(
    {
        *("ConnectionError", "TimeoutError", "IncompleteRead"),
        *("ClientConnectionError", "ClientPayloadError"),  # aiohttp
        *("HTTPClientError", "ResponseParserError"),  # botocore
        "TransportError",  # httpx
    }
)

_RESET = re.compile(r";\s*t\s*=\s*(\d+)")  # the seconds in the header `ratelimit`

_NO_CREDENTIALS = (
    "there are no credentials; specify them by AWS_PROFILE, ~/.aws, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Reading:
    """The number of bytes to request at a time from a remote file, and whether the next request is sent ahead."""

    request_bytes: int  # the least bytes of a request
    ahead: bool = False  # the next request is sent while a block is used


# AHEAD is for whole files. At 40 ms a request, 100 MB/s and a reader of 25 MB/s, blocks of 1, 4, 8, 16 MB give 20, 22,
# 22, 21 MB/s if requested ahead, else 12, 16, 17, 18. fsspec's default gives 16. A failed request costs a block.
AHEAD = Reading(8 << 20, ahead=True)
A_GLANCE = Reading(256 << 10)  # for the first lines of a file
AS_ASKED = Reading(1)  # for Parquet, whose readers ask for pieces of a good size
NEAR = 256 << 10  # the most bytes between ranges fetched together; a request takes as long as these
MOST_MERGED = 8 << 20  # the most bytes of one request for several ranges


class RemoteFile(io.RawIOBase):
    """A file at a URL, opened by `begin` and read in blocks; `size` in bytes is None if the server does not state it.

    `failed` is called after each failed try of a request that will be repeated.
    """

    def __init__(
        self, path: str, begin: Callable[[], BinaryIO], size: int | None, failed: Callable[[], None], reading: Reading
    ):
        self._path = path
        self._begin = begin
        self._size = size
        self._failed = failed
        self._reading = reading
        self._position = 0
        self._block, self._block_begin = b"", 0
        self._next: tuple[int, Future] | None = None
        self._pool = ThreadPoolExecutor(1) if reading.ahead else None
        self._file: BinaryIO | None = None

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, or fewer at the end of the file; if `size` is negative, return all remaining bytes."""
        pieces = []
        while size != 0:
            piece = self._piece(size if size > 0 else self._reading.request_bytes)
            if not piece:
                break
            pieces.append(piece)
            self._position += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`; return the number of bytes read."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, and return it; nothing is requested until the next read."""
        if whence == io.SEEK_END and self._size is None:
            raise io.UnsupportedOperation(f"the server does not tell the size of {self._path}")
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size or 0}[whence]
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readable(self) -> bool:
        """Return True: the file can be read."""
        return True

    def seekable(self) -> bool:
        """Say whether any position can be read: only if the size is known."""
        return self._size is not None

    def merged(self) -> BinaryIO:
        """Return a wrapper of the file that merges requests for ranges near each other."""
        return cast(BinaryIO, MergedReads(self))

    def close(self) -> None:
        """Close the file."""
        super().close()  # The file closes first, so that no fetched block opens it again.
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._drop()

    def _piece(self, size: int) -> bytes:
        begin = self._position - self._block_begin
        if not 0 <= begin < len(self._block):
            self._block = self._fetched(size)
            self._block_begin = self._position
            begin = 0
        return self._block[begin : begin + size]

    def _fetched(self, size: int) -> bytes:
        """Return the block at the position; if the file is read ahead, begin to request the block after it.

        Blocks have at least `size` bytes, except the last block of a file.
        """
        at, pending = self._next or (-1, None)
        self._next = None
        block = pending.result() if pending and at == self._position else None
        if pending and block is None:
            pending.exception()  # This waits, because only one thread at a time may use the file.
        if block is None:
            block = self._fetch(self._position, size)
        at = self._position + len(block)
        if self._pool and block and at != self._size:
            self._next = at, self._pool.submit(self._fetch, at, size)
        return block

    def _fetch(self, at: int, size: int) -> bytes:
        return persist(self._path, lambda: self._try(at, max(size, self._reading.request_bytes)), self._forget)

    def _try(self, at: int, size: int) -> bytes:
        file = self._open()
        if file.tell() != at:
            _go_to(file, at)
        try:
            block = file.read(size)
        except ValueError as error:  # fsspec raises it for a server that sends only whole files.
            if "range requests" not in str(error):
                raise
            raise InputError(
                f"{self._path} is on a server that sends whole files only; copy it to this machine, or to a server "
                "that answers requests for a part of a file"
            ) from error
        if not block and at < (self._size or 0):
            raise ConnectionError(f"it ended at byte {at:,} of {self._size:,}")
        return block

    def _open(self) -> BinaryIO:
        if self.closed:
            raise ValueError(f"{self._path} is closed")
        if self._file is None:
            self._file = self._begin()
        return self._file

    def _forget(self) -> None:
        """Count a failure by calling `failed`. Close the remote file if it cannot request the same bytes again."""
        self._failed()
        if not (isinstance(self._file, AbstractBufferedFile) and self._file.size is not None):
            self._drop()

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


class MergedReads:
    """A wrapper of a remote file that fetches ranges of bytes which lie near each other by one request."""

    def __init__(self, file: RemoteFile):
        self._file = file
        self.expect([], 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def expect(self, ranges: Iterable[tuple[int, int]], at_a_time: int) -> None:
        """Merge each of `ranges`, (begin, end) in bytes, with the range before it if both are near each other (NEAR).

        A range should be read about once. Up to `at_a_time` neighbouring ranges may be read in any order: the results
        of the last `at_a_time` + 1 requests are kept.
        """
        self._merged: list[tuple[int, int]] = []
        for begin, end in ranges:
            first, last = self._merged[-1] if self._merged else (begin, begin)
            if begin <= last + NEAR and end <= first + MOST_MERGED:
                self._merged[-1:] = [(first, max(last, end))]
            else:
                self._merged.append((begin, end))
        self._blocks: deque[tuple[int, bytes]] = deque(maxlen=at_a_time + 1)

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, or fewer at the end of the file; if `size` is negative, return all remaining bytes."""
        at = self._file.tell()
        number = bisect_right(self._merged, at, key=itemgetter(1))
        begin, end = self._merged[number] if number < len(self._merged) else (at, at)
        if not (begin <= at and 0 <= size <= end - at):
            return self._file.read(size)
        data = self._block(begin, end - begin)[at - begin : at - begin + size]
        self._file.seek(at + len(data))
        return data

    def _block(self, begin: int, size: int) -> bytes:
        block = next((block for first, block in self._blocks if first == begin), None)
        if block is None:
            self._file.seek(begin)
            block = self._file.read(size)
            self._blocks.append((begin, block))
        return block


def _go_to(file: BinaryIO, position: int) -> None:
    """Set the position of a file; a stream, which cannot seek, is read up to the position."""
    try:
        file.seek(position)
    except ValueError:
        while (left := position - file.tell()) > 0:
            if not file.read(min(left, AHEAD.request_bytes)):
                raise ConnectionError(f"it ended {left:,} bytes before byte {position:,}") from None


@dataclass(frozen=True)
class Waits:
    """Seconds between tries: each wait is twice the one before, up to `longest`; chance shortens it by up to a half."""

    first: float
    longest: float

    def after(self, failures: int, chance: float) -> float:
        """Return the seconds to wait after `failures` failures in a row; `chance` 1 gives the whole wait, 0 a half.

        >>> [Waits(1, 5).after(failures, chance=1) for failures in (1, 2, 3, 4)], Waits(1, 5).after(1, chance=0)
        ([1.0, 2.0, 4.0, 5.0], 0.5)
        """
        return min(self.first * 2 ** (failures - 1), self.longest) * (1 + chance) / 2


def try_again(
    step: Callable[[], Result],
    seconds_after: Callable[[Exception, int], float],
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Call `step` until it returns without an error; return its result.

    `seconds_after` is called with each error and the number of the failed try, from 1. It returns the seconds to sleep
    before the next try, or raises the error that ends the tries.
    """
    failures = 0
    while True:
        try:
            return step()
        except Exception as error:
            failures += 1
            sleep(seconds_after(error, failures))


def persist(path: str, step: Callable[[], Result], failed: Callable[[], None], tries: int = TRIES) -> Result:
    """Return what `step` returns; after an error that `may_pass` accepts, call `failed`, wait and try again.

    For another error of a file or network, or after `tries` failures in a row, raise FileNotFoundError, PermissionError
    or another OSError with the last reason. Errors that come neither from files nor from networks pass through.
    """

    def seconds_after(error: Exception, number: int) -> float:
        if not is_outside(error):
            raise error
        if number >= tries or not may_pass(error):
            _give_up(path, error, number)
        failed()
        return wait(path, number)

    return try_again(step, seconds_after)


def may_pass(error: BaseException) -> bool:
    """Say whether to try a request again after this error; if a server answered, the HTTP status decides."""
    code = status(error)
    if code is not None:
        return code in BUSY
    kinds = chain.from_iterable(type(cause).__mro__ for cause in _causes(error))
    return any(kind.__name__ in PASSING for kind in kinds)


def status(error: BaseException) -> int | None:
    """Return the HTTP status of an error or its causes (fsspec may have replaced the server's error); else None."""
    codes = map(_status, _causes(error))
    return next((code for code in codes if code is not None), None)


def wait(path: str, number: int) -> float:
    """Return the seconds to wait after try `number` (from 1) of a request for `path`; they differ from path to path."""
    return Waits(FIRST_WAIT, LONGEST_WAIT).after(number, float(draws(number, "wait", [path])[0]))


def seconds_asked_for(headers: Mapping[str, str]) -> float:
    """Return the wait in seconds that the headers of a server's answer ask for; 0 if they ask for none.

    `Retry-After` has seconds or a date, and `ratelimit` the seconds after which its count begins anew.

    >>> seconds_asked_for({"Retry-After": "7"}), seconds_asked_for({"ratelimit": '"api";r=0;t=9'})
    (7.0, 9.0)
    """
    reset = _RESET.search(headers.get("ratelimit", ""))
    return max(_seconds_until(headers.get("Retry-After", "")), float(reset[1]) if reset else 0.0)


def _seconds_until(retry_after: str) -> float:
    try:
        if retry_after.strip().isdecimal():
            return float(retry_after)
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def too_long_a_wait(seconds: float) -> str | None:
    """Return what to say of a server that asks for such a wait if nobody should wait for so long; else None.

    >>> too_long_a_wait(60.0), too_long_a_wait(86400.0)
    (None, 'wants to be asked in 86,400 s; run the same command again then')
    """
    if seconds <= LONGEST_ASKED_WAIT:
        return None
    return f"wants to be asked in {seconds:,.0f} s; run the same command again then"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore has a dictionary.
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = getattr(error, "status", getattr(response, "status_code", None))  # httpx has it in its response.
    return code if isinstance(code, int) else None


def _give_up(path: str, error: Exception, tries: int) -> NoReturn:
    code = status(error)
    missing = isinstance(error, FileNotFoundError) and code is None and not may_pass(error)
    if missing or code in (404, 410):
        raise FileNotFoundError(redacted(f"{path} does not exist")) from error
    kind = PermissionError if code in (401, 403) or isinstance(error, PermissionError) else OSError
    times = f", {tries} times in a row" if tries > 1 else ""
    last = [*_causes(error)][-1]
    reason = _NO_CREDENTIALS if type(last).__name__ == "NoCredentialsError" else str(last) or type(last).__name__
    raise kind(redacted(f"{path} cannot be read{times}: {reason}")) from error
