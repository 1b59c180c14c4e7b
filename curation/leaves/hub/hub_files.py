"""Read files of the Hugging Face Hub: a revision is resolved to its commit once, and answers are compared.

At a commit nothing changes, so a file is looked up once in a process. `answer` sends requests by the Hub's own client,
waits as the Hub says, and turns its errors into sentences.
"""

import logging
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from fsspec.spec import AbstractBufferedFile
from huggingface_hub import HfApi, HfFileSystem, HfFileSystemFile, constants, get_session, get_token
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile, RepoFolder
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from runtime.errors import InputError
from runtime.redaction import note, redacted
from runtime.storage.listing import LOOKS
from runtime.storage.paths import is_outside
from runtime.storage.remote import TRIES, may_pass, seconds_asked_for, status, try_again, wait

log = logging.getLogger(__name__)

Info = dict[str, Any]
_COMMIT = re.compile(r"[0-9a-f]{40}")
# hf://datasets/OWNER/NAME[@REVISION][/PATH]; a revision with slashes is escaped, but for pull requests and conversions.
_NAME = re.compile(
    r"(?P<kind>datasets|spaces)/(?P<repository>[^/@]+/[^/@]+)"
    r"(?:@(?P<revision>refs/(?:pr/\d+|convert/[\w.-]+)|[^/]+))?(?:/(?P<path>.*))?"
)
_infos: dict[str, Info | None] = {}  # by name, of files at commits; None: there is no such file


class HubFiles(HfFileSystem):
    """The client's file system, whose files at a commit are looked up once and whose answers are compared."""

    def pinned(self, name: str) -> str:
        """Return the name of files at the commit to which its revision, or the branch `main`, leads now.

        A revision is resolved once in a process. InputError if the Hub has no such dataset or revision,
        FileNotFoundError for a name of no dataset.
        """
        parts = _NAME.fullmatch(self._strip_protocol(name))
        if parts is None:
            raise FileNotFoundError(
                f"hf://{name} names no dataset; expected hf://datasets/OWNER/NAME[@REVISION][/PATH]"
            )
        if _COMMIT.fullmatch(parts["revision"] or ""):
            return name
        repository, kind = parts["repository"], parts["kind"]
        commit = _commit(self.endpoint, kind, repository, (parts["revision"] or "main").replace("%2F", "/"))
        return "/".join(filter(None, [f"{kind}/{repository}@{commit}", parts["path"]]))

    def info(self, path: str, **options: Any) -> Info:
        """Return what the Hub says of a file or folder; of one at a commit it is asked once."""
        name = self._strip_protocol(path)
        parts = _at_commit(name)
        if parts is None or not parts["path"]:
            return super().info(path, **options)
        if name not in _infos:
            kind = parts["kind"].removesuffix("s")
            of_path = answer(
                f"hf://{name}",
                lambda: self._api.get_paths_info(
                    parts["repository"], [parts["path"]], revision=parts["revision"], repo_type=kind
                ),
                LOOKS,
            )
            _infos[name] = _info(name, of_path[0]) if of_path else None
        if (info := _infos[name]) is None:
            raise FileNotFoundError(f"hf://{name} does not exist")
        return info

    def ls(self, path: str, detail: bool = True, **options: Any) -> list:
        """Return what is in a folder; FileNotFoundError if there is none, for which its parent is not listed."""
        self.info(path)
        return super().ls(path, detail, **options)

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **options: Any
    ) -> list[str] | dict[str, Info]:
        """Return the files below a folder, as fsspec says; those at a commit are not asked for again."""
        name = self._strip_protocol(path)
        step = super().find
        infos: dict[str, Info] = answer(f"hf://{name}", lambda: step(path, maxdepth, withdirs, True, **options), LOOKS)
        if _at_commit(name):
            infos = {key: _with_etag(info) for key, info in infos.items()}
            _infos.update(infos)
            self.dircache.clear()  # each thread would copy it
        return infos if detail else [*infos]

    def _repo_and_revision_exist(
        self, repo_type: str, repo_id: str, revision: str | None
    ) -> tuple[bool, Exception | None]:
        """Return that a commit exists, which the answers to later requests show; look up other revisions."""
        if _COMMIT.fullmatch(revision or ""):
            return True, None
        return super()._repo_and_revision_exist(repo_type, repo_id, revision)

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> AbstractBufferedFile:
        if mode == "rb" and block_size != 0:
            return HubFile(self, path, mode=mode, **options)
        return super()._open(path, mode, block_size, **options)


class HubFile(HfFileSystemFile):
    """A file of the Hub that is being read; answers with other bytes than the listed ones are refused."""

    def read(self, length: int = -1) -> bytes:
        """Return bytes of the file; all in one request, if `length` is negative."""
        return AbstractBufferedFile.read(self, length)

    def _fetch_range(self, start: int, end: int) -> bytes:
        return answer(f"hf://{self.path}", lambda: self._range(start, min(end, self.size)))

    def _range(self, start: int, end: int) -> bytes:
        headers = build_hf_headers(token=self.fs.token)
        headers |= {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        answer = get_session().get(self.url(), headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
        hf_raise_for_status(answer)
        stated = {name.lower(): value for reply in (answer, *answer.history) for name, value in reply.headers.items()}
        etag = stated.get("x-linked-etag", "" if answer.history else stated.get("etag", ""))
        for what, value, listed in (
            ("ETag", etag.removeprefix("W/").strip('"'), self.details.get("etag")),
            ("commit", stated.get("x-repo-commit"), (_at_commit(self.path) or {"revision": None})["revision"]),
        ):
            if value and listed and value != listed:
                raise InputError(
                    f"hf://{self.path} is another file than was listed (its {what} is {value}, not {listed})"
                )
        if answer.status_code != 206:
            raise InputError(f"hf://{self.path} is on a server that sends whole files only; copy it to this machine")
        if len(answer.content) != end - start:
            raise ConnectionError(f"{len(answer.content):,} bytes came, of {end - start:,}")
        return answer.content


def _at_commit(name: str) -> re.Match | None:
    """Return the parts of a name whose revision is a commit; None for others."""
    parts = _NAME.fullmatch(name)
    return parts if parts and _COMMIT.fullmatch(parts["revision"] or "") else None


def _info(name: str, file: RepoFile | RepoFolder) -> Info:
    if isinstance(file, RepoFile):
        return _with_etag({"name": name, "size": file.size, "type": "file", "lfs": file.lfs, "blob_id": file.blob_id})
    return {"name": name, "size": 0, "type": "directory"}


def _with_etag(info: Info) -> Info:
    """Return what the client says of a file with the ETag that the Hub gives it: a SHA-256, or Git's hash if small."""
    lfs = info.get("lfs")
    return {name: info[name] for name in ("name", "size", "type")} | {
        "etag": lfs.sha256 if lfs else info.get("blob_id")
    }


@cache
def _commit(endpoint: str, kind: str, repository: str, revision: str) -> str:
    """Return the commit to which a revision leads now, and say so, as it may move."""
    address = f"hf://{kind}/{repository}@{revision}"
    about = answer(
        address,
        lambda: HfApi(endpoint).repo_info(repository, revision=revision, repo_type=kind.removesuffix("s")),
        LOOKS,
    )
    if about.sha is None:
        raise InputError(f"{address} has no commit; give a dataset with files")
    log.info("%s may move; its commit now is %s", address, about.sha)
    return about.sha


_RESET = re.compile(r";\s*t\s*=\s*(\d+)")  # seconds, in the header `ratelimit`
_LOGIN = "log in by `hf auth login`, or set HF_TOKEN"

Result = TypeVar("Result")


def answer(address: str, request: Callable[[], Result], tries: int = TRIES) -> Result:
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
