"""Retry what fails for a moment, and decide which errors of fsspec's file systems may be temporary.

Servers of metadata's sources state when to retry; that is handled in `metadata.download.client`.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn, TypeVar, cast

from tenacity import RetryCallState, Retrying

from runtime.draws import draws
from runtime.redaction import redacted
from runtime.storage.paths import is_outside

TRIES = 8  # in a row that bring nothing: a minute of waits
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds
BUSY = frozenset({408, 425, 429, *range(500, 600)})  # S3 says 503 SlowDown
# By name, in any of an error's classes: the libraries that define them need not be installed.
PASSING = frozenset(
    {
        *("ConnectionError", "TimeoutError", "IncompleteRead"),
        *("ClientConnectionError", "ClientPayloadError"),  # aiohttp
        *("HTTPClientError", "ResponseParserError"),  # botocore
    }
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Waits:
    """Seconds between tries: each wait is twice the one before, up to the longest; chance takes off up to a half."""

    first: float
    longest: float

    def after(self, failures: int, chance: float) -> float:
        """Return the wait in seconds after this number of failures in a row, from 1; `chance` is from 0 to 1.

        >>> [Waits(1, 5).after(failures, chance=1) for failures in (1, 2, 3, 4)], Waits(1, 5).after(1, chance=0)
        ([1.0, 2.0, 4.0, 5.0], 0.5)
        """
        return min(self.first * 2 ** (failures - 1), self.longest) * (1 + chance) / 2


def try_again(
    step: Callable[[], Result],
    seconds_after: Callable[[Exception, int], float],
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Return what `step` returns, once it returns.

    `seconds_after` gets each error and the number of the try, from 1. It returns how long to sleep before the next
    try, or raises what ends them.
    """

    def wait(state: RetryCallState) -> float:
        error = state.outcome and state.outcome.exception()
        return seconds_after(cast(Exception, error), state.attempt_number)

    return Retrying(wait=wait, sleep=sleep)(step)


def persist(path: str, step: Callable[[], Result], failed: Callable[[], None], tries: int = TRIES) -> Result:
    """Return what `step` returns, trying again what may pass; `failed` is called before each new try.

    OSError where no try helps: FileNotFoundError, PermissionError or one that names the last reason. Errors that are
    not of files or networks pass through.
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
    """Say whether another try may help: where a server answered, its status decides."""
    found = status(error)
    if found is not None:
        return found in BUSY
    return any(kind.__name__ in PASSING for each in _causes(error) for kind in type(each).__mro__)


def status(error: BaseException) -> int | None:
    """Return the HTTP status behind an error, which fsspec may have turned into another."""
    return next((found for each in _causes(error) if (found := _status(each)) is not None), None)


def wait(path: str, number: int) -> float:
    """Return the seconds between try `number`, from 1, and the next: other ones for each path."""
    return Waits(FIRST_WAIT, LONGEST_WAIT).after(number, float(draws(number, "wait", [path])[0]))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    found = getattr(error, "status", None)
    return found if isinstance(found, int) else None


def _give_up(path: str, error: Exception, tries: int) -> NoReturn:
    found = status(error)
    missing = isinstance(error, FileNotFoundError) and found is None and not may_pass(error)
    if missing or found in (404, 410):
        raise FileNotFoundError(redacted(f"{path} does not exist")) from error
    kind = PermissionError if found in (401, 403) or isinstance(error, PermissionError) else OSError
    times = f", {tries} times in a row" if tries > 1 else ""
    last = [*_causes(error)][-1]
    raise kind(redacted(f"{path} cannot be read{times}: {str(last) or type(last).__name__}")) from error
