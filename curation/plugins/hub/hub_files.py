"""Read files of the Hugging Face Hub: resolve a revision to its commit once, and check that files are as listed.

The files at a commit never change, so a process looks each of them up once.
"""

import logging
import re
from functools import cache
from http import HTTPStatus
from operator import itemgetter
from typing import Any

from fsspec.spec import AbstractBufferedFile
from huggingface_hub import HfFileSystem, HfFileSystemFile, constants, get_session
from huggingface_hub.hf_api import RepoFile, RepoFolder
from huggingface_hub.utils import hf_raise_for_status

from curation.plugins.hub.answers import (
    COMMIT,
    answer,
    api,
    body_of,
    headers,
    malformed,
    possible,
    require_commit,
    tree,
)
from runtime.errors import InputError
from runtime.messages import quoted, shortened
from runtime.storage.listing import LOOKS

log = logging.getLogger(__name__)

Info = dict[str, Any]
# hf://datasets/OWNER/NAME[@REVISION][/PATH]; slashes in a revision are %2F, except in refs/pr/… and refs/convert/….
_NAME = re.compile(
    r"(?P<kind>datasets|spaces)/(?P<repository>[^/@]+/[^/@]+)"
    r"(?:@(?P<revision>refs/(?:pr/\d+|convert/[\w.-]+)|[^/]+))?(?:/(?P<path>.*))?"
)
_infos: dict[str, Info | None] = {}  # name of a file or folder at a commit → its facts, or None if it does not exist


class NoDataset(InputError, FileNotFoundError):
    """The address does not name a dataset, but only an owner, for example, so it has no files."""


class HubFiles(HfFileSystem):
    """The Hub client's file system; it looks each file up once at its commit, and checks the answers to reads."""

    names_above_root = 2  # A dataset is `datasets/OWNER/NAME`.

    def pinned(self, name: str) -> str:
        """Return `name` with the commit to which its revision (by default the branch `main`) leads now.

        A process resolves each revision once. InputError if the Hub has no such dataset or revision.
        """
        name = self._strip_protocol(name)
        parts = _NAME.fullmatch(name)
        if parts is None:
            address = shortened(f"hf://{name}")
            raise NoDataset(f"{address} does not name a dataset; expected hf://datasets/OWNER/NAME[@REVISION][/PATH]")
        if COMMIT.fullmatch(parts["revision"] or ""):
            return name
        repository, kind = parts["repository"], parts["kind"]
        commit = _commit(kind, repository, (parts["revision"] or "main").replace("%2F", "/"))
        return "/".join(filter(None, [f"{kind}/{repository}@{commit}", parts["path"]]))

    def info(self, path: str, **options: Any) -> Info:
        """Return name, size, type and, of a file, ETag; the Hub is asked once. FileNotFoundError if there is none."""
        name = self.pinned(path).rstrip("/")
        parts = _at_commit(name)
        if parts is None or not parts["path"]:
            return {"name": name, "size": 0, "type": "directory"}
        if name not in _infos:
            _infos[name] = _looked_up(name, parts)
        if (info := _infos[name]) is None:
            raise FileNotFoundError(f"hf://{shortened(name)} does not exist")
        return info

    def ls(self, path: str, detail: bool = True, **options: Any) -> list:
        """Return the files and folders in a folder, or a list of the one file; FileNotFoundError if `path` is neither.

        With `detail`, they are the results of `info`, else names.
        """
        info = self.info(path)
        infos = [info] if info["type"] == "file" else _listed(info["name"], recursive=False)
        return infos if detail else [info["name"] for info in infos]

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **options: Any
    ) -> list[str] | dict[str, Info]:
        """Return the files below a folder, as fsspec defines `find`, and keep their facts for `info`."""
        try:
            info = self.info(path)
        except FileNotFoundError:
            return {} if detail else []
        folder = info["name"]
        listed = [info] if info["type"] == "file" else [info, *_listed(folder, recursive=maxdepth != 1)]
        infos = {}
        for info in sorted(listed, key=itemgetter("name")):
            depth = info["name"].count("/") - folder.count("/")
            if (withdirs or info["type"] == "file") and (maxdepth is None or depth <= maxdepth):
                infos[info["name"]] = info
        return infos if detail else [*infos]

    def _repo_and_revision_exist(
        self, repo_type: str, repo_id: str, revision: str | None
    ) -> tuple[bool, Exception | None]:
        """Return whether a revision exists; assume it for a commit, as later requests fail if it does not exist."""
        if COMMIT.fullmatch(revision or ""):
            return True, None
        return super()._repo_and_revision_exist(repo_type, repo_id, revision)

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> AbstractBufferedFile:
        if mode == "rb" and block_size != 0:
            return HubFile(self, path, mode=mode, **options)
        return super()._open(path, mode, block_size, **options)


class HubFile(HfFileSystemFile):
    """A file of the Hub, opened for reading; answers about another file or commit than was listed are refused."""

    def read(self, length: int = -1) -> bytes:
        """Return the next `length` bytes of the file; if `length` is negative, all that are left, in one request."""
        return AbstractBufferedFile.read(self, length)

    def _fetch_range(self, start: int, end: int) -> bytes:
        return answer(f"hf://{self.path}", lambda: self._range(start, min(end, self.size)))

    def _range(self, start: int, end: int) -> bytes:
        asked = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", self.url(), headers=headers() | asked, timeout=timeout) as response:
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                response.read()
            hf_raise_for_status(response)
            self._require_same(response)
            if response.status_code != HTTPStatus.PARTIAL_CONTENT:
                raise InputError(
                    f"{shortened(f'hf://{self.path}')} is on a server that cannot send parts of files; copy it to this "
                    "machine"
                )
            part = response.headers.get("Content-Range", "")
            if not part.startswith(f"bytes {start}-{end - 1}/"):
                raise ConnectionError(f"{quoted(part) or 'an unknown part'} came instead of bytes {start}-{end - 1}")
            body = body_of(response, end - start)
        if len(body) != end - start:
            raise ConnectionError(f"{len(body):,} bytes came instead of {end - start:,}")
        return body

    def _require_same(self, response: Any) -> None:
        """Raise InputError if the ETag or the commit in a response's headers is not the one that was listed."""
        stated: dict[str, str] = {}
        for reply in (response, *response.history):
            stated |= {name.lower(): value for name, value in reply.headers.items()}
        etag = stated.get("x-linked-etag", "" if response.history else stated.get("etag", ""))
        for what, value, listed in (
            ("ETag", etag.removeprefix("W/").strip('"'), self.details.get("etag")),
            ("commit", stated.get("x-repo-commit"), (_at_commit(self.path) or {"revision": None})["revision"]),
        ):
            if value and listed and value != listed:
                raise InputError(
                    f"hf://{self.path} is not the file that was listed (its {what} is {value}, not {listed})"
                )


def _at_commit(name: str) -> re.Match | None:
    """Return the match of _NAME with a name whose revision is a commit; None for any other name."""
    parts = _NAME.fullmatch(name)
    return parts if parts and COMMIT.fullmatch(parts["revision"] or "") else None


def _looked_up(name: str, parts: re.Match) -> Info | None:
    """Ask the Hub for a file or folder at a commit, and return its facts; None if it does not exist."""
    address = f"hf://{name}"
    path = parts["path"]

    def entries() -> list[RepoFile | RepoFolder]:
        kind = parts["kind"].removesuffix("s")
        answered = api().get_paths_info(parts["repository"], [path], revision=parts["revision"], repo_type=kind)
        return [possible(address, entry) for entry in answered]

    listed = answer(address, entries, LOOKS)
    if not listed:
        return None
    if [entry.path for entry in listed] != [path]:
        raise malformed(address, f"it is about {quoted(listed[0].path)}")
    return _info(name, listed[0])


def _listed(folder: str, recursive: bool) -> list[Info]:
    """Return the facts of all files and folders in a folder at a commit, or below it, and keep them for `info`."""
    parts = _NAME.fullmatch(folder)
    assert parts is not None  # The name was pinned, so it has a revision.
    entries = tree(parts["kind"], parts["repository"], parts["revision"], parts["path"] or "", recursive)
    root = f"{parts['kind']}/{parts['repository']}@{parts['revision']}"
    infos = {f"{root}/{entry.path}": _info(f"{root}/{entry.path}", entry) for entry in entries}
    _infos.update(infos)
    return [*infos.values()]


def _info(name: str, entry: RepoFile | RepoFolder) -> Info:
    """Return the facts of a file or folder as fsspec has them; the ETag of a file is its SHA-256 (LFS) or Git hash."""
    if isinstance(entry, RepoFile):
        etag = entry.lfs.sha256 if entry.lfs else entry.blob_id
        return {"name": name, "size": entry.size, "type": "file", "etag": etag}
    return {"name": name, "size": 0, "type": "directory"}


@cache
def _commit(kind: str, repository: str, revision: str) -> str:
    """Return the commit to which a revision leads now, and log it, as the revision may move."""
    address = f"hf://{kind}/{repository}@{revision}"
    one = kind.removesuffix("s")
    about = answer(address, lambda: api().repo_info(repository, revision=revision, repo_type=one), LOOKS)
    if about.sha is None:
        raise InputError(f"{shortened(address)} has no commit; pass a dataset with files")
    commit = require_commit(address, about.sha)
    log.info("%s may move; its commit now is %s", shortened(address), commit)
    return commit
