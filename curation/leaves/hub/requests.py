"""Ask the Hugging Face Hub by its own client, wait as the Hub says, and turn its errors into sentences."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeVar

from huggingface_hub import constants, get_token
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from runtime.errors import InputError
from runtime.redaction import note, redacted
from runtime.storage.paths import is_outside
from runtime.storage.remote import TRIES, may_pass, seconds_asked_for, status, try_again, wait

_RESET = re.compile(r";\s*t\s*=\s*(\d+)")  # seconds, in the header `ratelimit`
_LOGIN = "log in by `hf auth login`, or set HF_TOKEN"

Result = TypeVar("Result")


def asked(address: str, request: Callable[[], Result], tries: int = TRIES) -> Result:
    """Return what a request about `address`, of the form hf://…, returns; a request that may pass is tried again.

    The waits between tries are at least as long as the Hub asks for. InputError if the Hub refuses: the dataset, its
    revision, or the token. OSError after the last try.
    """
    _hide_token()

    def seconds_after(error: Exception, number: int) -> float:
        if not is_outside(error):
            raise error
        if number >= tries or not may_pass(error):
            raise _in_words(address, error) from None
        headers = getattr(getattr(error, "response", None), "headers", {})
        return max(wait(address, number), _asked_seconds(headers))

    return try_again(request, seconds_after)


def _asked_seconds(headers: Mapping[str, str]) -> float:
    reset = _RESET.search(headers.get("ratelimit", ""))
    return max(seconds_asked_for(headers.get("Retry-After", "")), float(reset[1]) if reset else 0.0)


def _in_words(address: str, error: Exception) -> Exception:
    """Return the error of one sentence that stands for an error of the client."""
    page = f"{constants.ENDPOINT}/{address.removeprefix('hf://').partition('@')[0]}"
    if isinstance(error, GatedRepoError):
        return InputError(f"{address} is gated: accept its conditions at {page}, and {_LOGIN}")
    if isinstance(error, RevisionNotFoundError):
        return InputError(f"{address} names no revision of the dataset; {page} lists its branches and commits")
    if isinstance(error, RepositoryNotFoundError):
        return InputError(f"{address} does not exist, or is private; check the name at {page}, or {_LOGIN}")
    if status(error) in (401, 403):
        return InputError(f"the Hub refuses the token for {address} (status {status(error)}); {_LOGIN}")
    if isinstance(error, FileNotFoundError | PermissionError):
        return error
    reason = str(error) or type(error).__name__
    if isinstance(error, HfHubHTTPError):
        reason = ": ".join(filter(None, [f"status {status(error)}", error.server_message]))
    return OSError(redacted(f"{address} cannot be had from {constants.ENDPOINT} ({reason}); try again later"))


@cache
def _hide_token() -> None:
    """See to it that no message shows the token of this user, which a server may repeat."""
    if token := get_token():
        note(f"hf://u:{token}@hub")
