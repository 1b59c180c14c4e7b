"""Fetch one file: resume where an earlier try broke off, check it when complete, and only then give it its name.

Unfinished bytes are in `name.partial`. A hidden record beside it holds `validator`, by which the server recognises the
version of the file. When the file is complete, the record holds `size`, `mtime_ns` and `check`, by which a later run
recognises it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from metadata.download.checksums import fault, kind, published_digest
from metadata.download.client import Again, Client, Refused
from metadata.download.planned import Download
from runtime.errors import InputError
from runtime.progress import advance
from runtime.redaction import redacted
from runtime.storage.paths import room
from runtime.storage.whole import PARTIAL, read_json, sync, write_json

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")  # a star where nothing follows the bytes that we have
_MB = 10**6


@dataclass(frozen=True)
class Result:
    """The outcome of one download."""

    download: Download
    path: Path
    size: int | None  # None where the server does not say
    outcome: str  # "fetched", "kept" (it was fetched before), "planned" (a dry run), "failed"
    check: str = ""  # the checksum that it passed: "sha1 da39…", or "its own" where none is published
    reason: str = ""  # of a failure


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Say in one sentence why `path` cannot be written, where the block ends for that reason."""
    try:
        with room(path.parent):
            yield
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {path} ({reason}); give a folder that can be written") from error


class Transfer:
    """The fetching of one file to its path below a folder."""

    def __init__(self, download: Download, folder: Path, client: Client):
        self.download, self._client = download, client
        self.target = folder / download.path
        self._partial = self.target.with_name(f"{self.target.name}{PARTIAL}")
        self._record = self.target.with_name(f".{self.target.name}.record")
        self._digest: str | None = None
        self._shown = 0, 0

    def run(self, dry: bool) -> Result:
        """Fetch the file unless that was done before; a dry run asks for its size only.

        A file that cannot be fetched is a failed result; a disk that cannot be written is an InputError.
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
            return Result(self.download, self.target, None, "failed", reason=str(refused))

    def _fetched(self) -> Result:
        self._digest = self._read_digest()
        if self.target.is_file() and not self._fault(self.target):
            outcome, path = "kept", self.target
        else:
            self._persist()
            outcome, path = "fetched", self._partial
        check = f"{kind(self._digest)} {self._digest}" if self._digest else "its own"
        write_json(self._record, (read_json(self._record) or {}) | self._proof(path) | {"check": check})
        os.replace(path, self.target)
        return self._result(outcome, self.target.stat().st_size, check)

    def _persist(self) -> None:
        """Fetch the file, and once more if it is wrong, but not for ever: it may be large."""
        for _ in range(2):
            self._client.persist(self._receive, self._size)
            found = self._fault(self._partial)
            if found and self._digest:  # the published checksums may be newer than they were
                self._digest = self._read_digest()
                found = self._fault(self._partial)
            if not found:
                return
            self._partial.unlink()
        raise Refused(f"{redacted(self.download.url)} is not what was published: {found}")

    def _receive(self) -> None:
        """Bring the partial file to its end, from where it is if the server still has the same version."""
        have, version = self._size(), (read_json(self._record) or {}).get("validator", "")
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
        """Set the progress of the stage to this number of bytes of this file."""
        shown = done // _MB, (total or done) // _MB
        advance(done=shown[0] - self._shown[0], total=shown[1] - self._shown[1])
        self._shown = shown

    def _read_digest(self) -> str | None:
        """Return the published checksum; a publisher who has none for this file after all is a failure."""
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

    def _result(self, outcome: str, size: int | None, check: str = "") -> Result:
        return Result(self.download, self.target, size, outcome, check)


def _version(response: requests.Response) -> str:
    """Return what names this version of the file to If-Range: a strong ETag, or else its date, or else nothing."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _length(response: requests.Response) -> int | None:
    """Return the bytes of the body, where it is sent as one piece whose length is stated."""
    text = "" if "Transfer-Encoding" in response.headers else response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None
