"""Send requests to the Hugging Face Hub, wait as it says, and turn its errors and malformed answers into sentences.

The Hub's own client trusts its answers. So `answer` refuses an answer that the client cannot read, `tree` and
`possible` refuse files that cannot be, and the token goes to no host but the Hub's.
"""

import json
import logging
import re
from collections.abc import Callable
from functools import cache, partial
from http import HTTPStatus
from textwrap import shorten
from typing import Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from huggingface_hub import HfApi, constants, get_session, get_token, set_client_factory
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder
from huggingface_hub.utils import _http, build_hf_headers, hf_raise_for_status

from runtime.errors import InputError
from runtime.messages import quoted, shortened
from runtime.packages import PROJECT, __version__
from runtime.redaction import note, redacted
from runtime.storage.listing import LOOKS
from runtime.storage.paths import is_outside
from runtime.storage.remote import BUSY, TRIES, may_pass, seconds_asked_for, status, too_long_a_wait, try_again, wait

log = logging.getLogger(__name__)

COMMIT = re.compile(r"[0-9a-f]{40}")
_LOGIN = "log in by `hf auth login`, or set HF_TOKEN"
_MAX_PAGE_BYTES = 64 << 20  # A page of a listing has 1,000 entries, which take about 300 KB.
_MAX_REASON = 300  # A message quotes at most so many characters of the Hub's reason.
_SAID_WAIT = 5.0  # Waits that a server asks for are logged from so many seconds on.
_LONGEST_SILENCE = 600.0  # After so many seconds without a byte, a request ends; the Hub's client would wait for ever.
# The Hub's client raises these errors when it cannot read an answer.
_MISREAD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

Result = TypeVar("Result")


class Unanswered(OSError):
    """The Hub, or its storage, gave no usable answer; a later request may get one."""


def api() -> HfApi:
    """Return the Hub's client, whose requests say that they are this program's."""
    return HfApi(library_name=PROJECT, library_version=__version__)


def headers() -> dict[str, str]:
    """Return the headers of a request to the Hub: the token of this user, if there is one, and this program's name."""
    return build_hf_headers(library_name=PROJECT, library_version=__version__)


def answer(address: str, request: Callable[[], Result], tries: int = TRIES) -> Result:
    """Call `request` and return its result; after an error that may be temporary, call it again, up to `tries` times.

    `address` names the dataset or file, as hf://…, in errors. The waits between tries are at least as long as the Hub
    asks for. InputError if the Hub refuses the dataset, its revision or the token, or gives a malformed answer. OSError
    for any other lasting error, after the last try, or if the Hub asks for a wait that is too long.
    """
    _guard()

    def seconds_after(error: Exception, number: int) -> float:
        if isinstance(error, InputError | Unanswered):
            raise error
        if isinstance(error, _MISREAD):
            raise malformed(address, f"{type(error).__name__}: {quoted(error)}") from error
        if not (is_outside(error) or type(error).__module__.startswith("huggingface_hub")):
            raise error
        asked = _asked_seconds(address, error)
        if number >= tries or not (may_pass(error) or _is_of_storage(error)):
            raise _in_words(address, error) from None
        return max(wait(address, number), asked)

    return try_again(request, seconds_after)


def malformed(address: str, fault: str) -> InputError:
    """Return the InputError that says that the Hub's answer about `address` is malformed: its `fault`."""
    return InputError(
        f"{constants.ENDPOINT} gave a malformed answer about {shortened(address)} ({fault}); check that HF_ENDPOINT is "
        "a Hub, and that no proxy answers in its place"
    )


def require_commit(address: str, commit: object) -> str:
    """Return `commit`, which the Hub gave as a commit's hash; InputError if it is not one."""
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise malformed(address, f"{quoted(commit)} is not a commit")
    return commit


def tree(kind: str, repository: str, commit: str, folder: str = "", recursive: bool = True) -> list[Any]:
    """Return the files (RepoFile) and folders (RepoFolder) in `folder` at `commit`; if `recursive`, all below it.

    InputError if the Hub lists a path outside the folder, an impossible path, or the same path or page twice.
    """
    address = f"hf://{kind}/{repository}@{commit}"
    path = f"/{quote(folder, safe='')}" if folder else ""
    url = f"{constants.ENDPOINT}/api/{kind}/{repository}/tree/{commit}{path}?recursive={recursive}&expand=False"
    entries: dict[str, Any] = {}
    seen: set[str] = set()
    while url:
        seen.add(url)
        page, url = answer(address, partial(_page, address, url), LOOKS)
        for entry in page:
            if folder and not entry.path.startswith(f"{folder}/"):
                raise malformed(address, f"it lists {quoted(entry.path)} in {quoted(folder)}")
            if entry.path in entries:
                raise malformed(address, f"it lists {quoted(entry.path)} twice")
            entries[entry.path] = entry
        if url in seen:
            raise malformed(address, "its listing leads back to a page that was seen")
    return [*entries.values()]


def _page(address: str, url: str) -> tuple[list[Any], str]:
    """Return the entries of a page of a listing, and the URL of the next page, which is empty after the last one."""
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", url, headers=headers(), timeout=timeout) as response:
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            response.read()
        hf_raise_for_status(response)
        body = body_of(response, _MAX_PAGE_BYTES)
        following = response.links.get("next", {}).get("url", "")
    if len(body) > _MAX_PAGE_BYTES:
        raise malformed(address, f"it sent a page of more than {_MAX_PAGE_BYTES >> 20} MB")
    entries = [possible(address, _entry(facts)) for facts in json.loads(body)]
    return entries, following and urljoin(url, following)


def _entry(facts: dict[str, Any]) -> RepoFile | RepoFolder:
    return RepoFile(**facts) if facts["type"] == "file" else RepoFolder(**facts)


def possible(address: str, entry: Any) -> Any:
    """Return `entry`, a file or folder that the Hub listed; InputError if its path or its size is impossible."""
    if {"", ".", ".."} & {*entry.path.split("/")} or "\0" in entry.path:
        raise malformed(address, f"{quoted(entry.path)} is not a path of a file")
    size = getattr(entry, "size", 0)
    if not isinstance(size, int) or size < 0:
        raise malformed(address, f"{quoted(entry.path)} has {quoted(size)} bytes")
    return entry


def body_of(response: Any, most: int) -> bytes:
    """Return the body of a response; if it is longer than `most` bytes, return a little more than `most` of them."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > most:
            break
    return bytes(body)


def _asked_seconds(address: str, error: Exception) -> float:
    """Return how many seconds a busy server asks to wait, and log a long wait; Unanswered if it is too long."""
    response = getattr(error, "response", None)
    if response is None:
        return 0.0
    seconds = seconds_asked_for(response.headers)
    busy = f"{_host(error)} is busy (status {status(error)})"
    if asked := too_long_a_wait(seconds):
        raise Unanswered(f"{shortened(address)}: {busy} and {asked}") from None
    if seconds >= _SAID_WAIT:
        log.info("%s; waiting %.0f s, as it asks, for %s", busy, seconds, shortened(address))
    return seconds


def _in_words(address: str, error: Exception) -> Exception:
    """Return an error with a one-sentence message in place of `error`, which the Hub's client raised."""
    page = f"{constants.ENDPOINT}/{shortened(address.removeprefix('hf://').partition('@')[0])}"
    address = shortened(address)
    if isinstance(error, GatedRepoError):
        return InputError(f"{address} is gated: accept its conditions at {page}, and {_LOGIN}")
    if isinstance(error, RevisionNotFoundError):
        return InputError(f"{address} does not name a revision of the dataset; {page} lists its branches and commits")
    if isinstance(error, RepositoryNotFoundError):
        return InputError(f"{address} does not exist, or is private; check the name at {page}, or {_LOGIN}")
    if isinstance(error, EntryNotFoundError):
        return FileNotFoundError(f"{address} does not exist")
    if _is_of_storage(error):
        fault = f"the storage of {address}, {_host(error)}, refuses links of the Hub (status {status(error)})"
        return Unanswered(f"{fault}; check that the network lets such links through, and the clock of this machine")
    if status(error) in (401, 403):
        return InputError(f"the Hub refuses the token for {address} (status {status(error)}); {_LOGIN}")
    if isinstance(error, FileNotFoundError | PermissionError):
        return error
    reason = str(error) or type(error).__name__
    if isinstance(error, HfHubHTTPError):
        reason = ": ".join(filter(None, [f"status {status(error)}", error.server_message]))
    reason = shorten(reason, _MAX_REASON, placeholder="…")
    return Unanswered(redacted(f"{address} cannot be fetched from {constants.ENDPOINT} ({reason}); try again later"))


def _is_of_storage(error: Exception) -> bool:
    """Return whether a host other than the Hub refused the request (401, 403): links to storage expire in minutes."""
    return status(error) in (401, 403) and _host(error) not in ("", _host_of(constants.ENDPOINT))


def _host(error: Exception) -> str:
    """Return the scheme and host of the server that answered with this error; empty if no server answered."""
    response = getattr(error, "response", None)
    return "" if response is None else _host_of(str(response.url))


def _host_of(url: str) -> str:
    """Return the scheme and the host of a URL, without its user.

    >>> _host_of("https://me:word@hub.example:8000/api")
    'https://hub.example:8000'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@cache
def _guard() -> None:
    """Hide the user's token and links to storage in all messages, and let requests send the token only to the Hub."""
    if token := get_token():
        note(f"hf://u:{token}@hub")
    of_client = logging.getLogger("huggingface_hub")
    of_client.handlers = [_OfClient()]
    of_client.propagate = False
    set_client_factory(partial(_guarded, _http._GLOBAL_CLIENT_FACTORY))


def _guarded(factory: Callable[[], Any]) -> Any:
    """Return a new HTTP client that checks each request for the token, and each answer for a long wait."""
    client = factory()
    client.event_hooks["request"].append(_keep_token)
    client.event_hooks["response"].append(_refuse_long_wait)
    if client.timeout.read is None:
        client.timeout = _LONGEST_SILENCE
    return client


def _keep_token(request: Any) -> None:
    """Raise InputError if a request of this program would send the user's token to a host other than the Hub."""
    is_ours = request.headers.get("user-agent", "").startswith(f"{PROJECT}/")
    host = _host_of(str(request.url))
    if is_ours and "authorization" in request.headers and host != _host_of(constants.ENDPOINT):
        raise InputError(f"{constants.ENDPOINT} leads to another host, {quoted(host)}, to which the token is not sent")


def _refuse_long_wait(response: Any) -> None:
    """Raise the HTTP error of an answer that asks for too long a wait; else the Hub's client would sleep that long."""
    if response.status_code in BUSY and too_long_a_wait(seconds_asked_for(response.headers)):
        response.read()
        hf_raise_for_status(response)


class _OfClient(logging.Handler):
    """Passes what the Hub's client logs to the log of this program, without secrets."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(record.levelno, "%s", redacted(record.getMessage()))
