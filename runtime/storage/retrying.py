"""Trying again what a file system refuses for a moment: which failures pass, how long to wait, when to give up.

Metadata's downloads have manners of their own (`metadata.download.client`); here anything that fsspec opens is asked.
"""

import time
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

from runtime.draws import draws
from runtime.storage.paths import is_outside

TRIES = 8  # in a row that bring nothing: a minute of waits
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds; each wait is twice the one before
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


def persist(path: str, step: Callable[[], Result], failed: Callable[[], None], tries: int = TRIES) -> Result:
    """Return what `step` returns, trying again what may pass; `failed` is called before each new try.

    OSError where no try helps: FileNotFoundError, PermissionError or one that tells the last reason. Errors that are
    not of files or networks pass through.
    """
    for number in range(1, tries + 1):
        try:
            return step()
        except Exception as error:
            if not is_outside(error):
                raise
            if number == tries or not may_pass(error):
                _give_up(path, error, number)
        failed()
        time.sleep(wait(path, number))
    raise ValueError(f"tries is {tries}; it must be at least 1")


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
    """Return the seconds between try `number`, from 1, and the next: longer each time, other for each path."""
    longest = min(FIRST_WAIT * 2 ** (number - 1), LONGEST_WAIT)
    return longest * (1 + float(draws(number, "wait", [path])[0])) / 2


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _status(error):
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    found = getattr(error, "status", None)
    return found if isinstance(found, int) else None


def _give_up(path: str, error: Exception, tries: int) -> NoReturn:
    found = status(error)
    missing = isinstance(error, FileNotFoundError) and found is None and not may_pass(error)
    if missing or found in (404, 410):
        raise FileNotFoundError(f"{path} does not exist") from error
    kind = PermissionError if found in (401, 403) or isinstance(error, PermissionError) else OSError
    times = f", {tries} times in a row" if tries > 1 else ""
    last = [*_causes(error)][-1]
    raise kind(f"{path} cannot be read{times}: {str(last) or type(last).__name__}") from error
