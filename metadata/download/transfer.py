"""Fetch one file: resumed where it broke off, checked when it is whole, and only then given its name.

While it is fetched its bytes are in `name.partial`; a hidden `record` says which version of the file they are of.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

from metadata.download import headers
from metadata.download.answers import Again, Refused
from metadata.download.checksums import damage, file_digest, kind, published_digest
from metadata.download.client import Client
from metadata.download.planned import Download
from metadata.download.record import Record, proof
from runtime.errors import InputError
from runtime.redaction import redacted

Report = Callable[[Download, int, int | None], None]  # bytes so far, and in all if the server states it

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_SPOILT = 2  # a whole file that is wrong is fetched again only once: it may be large


@dataclass(frozen=True)
class Result:
    """The outcome of one download."""

    download: Download
    path: Path
    size: int | None  # None where the server does not say
    outcome: str  # "fetched", "kept" (it was fetched before), "planned" (a dry run), "failed"
    check: str = ""  # the checksum that it passed: "sha1 da39…", or "its own" where none is published
    reason: str = ""  # of a failure


class Transfer:
    """The fetching of one file to its path below a folder."""

    def __init__(self, download: Download, directory: Path, client: Client, report: Report):
        self.download, self._client, self._report = download, client, report
        self.target = directory / download.path
        self._partial = self.target.with_name(f"{self.target.name}.partial")
        self._record = Record(self.target)
        self._digest: str | None = None
        self._most = 0  # bytes that have ever been fetched at once: more of them is progress
        self._spoilt = 0

    def run(self) -> Result:
        """Fetch the file unless that was done before.

        A file that cannot be fetched is a failed result; a full disk is an InputError.
        """
        try:
            return self._run()
        except Refused as refused:
            return Result(self.download, self.target, None, "failed", reason=str(refused))
        except OSError as error:
            raise self._disk_error(error) from error

    def look(self) -> Result:
        """Return what `run` would have to do, and the size that the server states."""
        record = self._record.read()
        if self._record.is_of_target(record):
            return Result(self.download, self.target, record["size"], "kept", record["check"])
        try:
            size = self._client.persist(self.download.url, self._stated_size)
        except Refused as refused:
            return Result(self.download, self.target, None, "failed", reason=str(refused))
        return Result(self.download, self.target, size, "planned")

    def _run(self) -> Result:
        record = self._record.read()
        if self._record.is_of_target(record):
            return self._result("kept", record["check"])
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._digest = self._read_digest()
        if self.target.is_file() and not self._fault(self.target):
            self._record.write(proof(self.target, self._check_name()))
            return self._result("kept", self._check_name())
        self._most = self._size()
        self._client.persist(self.download.url, self._try)
        self._record.write(self._record.read() | proof(self._partial, self._check_name()))
        os.replace(self._partial, self.target)
        return self._result("fetched", self._check_name())

    def _result(self, outcome: str, check: str) -> Result:
        return Result(self.download, self.target, self.target.stat().st_size, outcome, check)

    def _read_digest(self) -> str | None:
        """Return the published checksum; a publisher who has none for this file after all is a failure."""
        published = self.download.published
        if published is None:
            return None
        text = self._client.persist(published.url, lambda: self._client.text(published.url))
        digest = published_digest(published, text)
        if digest is None:
            raise Refused(f"{redacted(published.url)} lists no checksum of {published.name}")
        return digest

    def _fault(self, path: Path) -> str:
        """Return why the file at `path` is not what was published, or an empty string."""
        if self._digest is None:
            return damage(path, self.target.name, self._client.pause)
        found = file_digest(path, kind(self._digest), self._client.pause)
        return "" if found == self._digest else f"its {kind(self._digest)} is {found}, not {self._digest} as published"

    def _check_name(self) -> str:
        return f"{kind(self._digest)} {self._digest}" if self._digest else "its own"

    def _stated_size(self) -> int | None:
        with self._client.open(self.download.url, method="HEAD") as response:
            return headers.length(response)

    def _try(self) -> None:
        try:
            self._receive()
            self._check()
        except Again as again:
            again.progress = self._size() > self._most
            self._most = max(self._most, self._size())
            raise

    def _receive(self) -> None:
        """Bring the partial file to its end, from where it is if the server still has the same version."""
        have, validator = self._size(), self._record.read().get("validator", "")
        if have and not validator:
            self._discard()
            have = 0
        rest = {"Range": f"bytes={have}-", "If-Range": validator} if have else None
        with self._client.open(self.download.url, rest) as response:
            start, total = self._position(response, have)
            if response.status_code != 416:
                self._write(response, start, total)

    def _position(self, response: requests.Response, have: int) -> tuple[int, int | None]:
        """Return the position in the file at which the body of `response` begins, and the size of the whole file."""
        if response.status_code == 200:
            self._discard()
            self._record.write({"validator": headers.validator(response)})
            return 0, headers.length(response)
        sent = headers.part(response)
        if sent and sent[0] == have and headers.validator(response) in (self._record.read().get("validator"), ""):
            return sent
        if headers.size_without_rest(response) == have:
            return have, have
        self._discard()
        raise Again(f"{redacted(self.download.url)} was answered with another part than the one asked for")

    def _write(self, response: requests.Response, start: int, total: int | None) -> None:
        if total is not None and total - start > shutil.disk_usage(self.target.parent).free:
            raise OSError(errno.ENOSPC, f"{total - start:,} bytes are still to come")
        done = start
        with open(self._partial, "ab") as file:
            for piece in self._client.pieces(response):
                file.write(piece)
                done += len(piece)
                self._report(self.download, done, total)
            file.flush()
            os.fsync(file.fileno())
        if total is not None and done > total:
            self._discard()
        if total is not None and done != total:
            raise Again(f"{redacted(self.download.url)} ended after {done:,} of {total:,} bytes")

    def _check(self) -> None:
        """Refuse a file that came whole twice and was wrong twice; checksums may be newer than they were."""
        fault = self._fault(self._partial)
        if fault and self._digest:
            self._digest = self._read_digest()
            fault = self._fault(self._partial)
        if not fault:
            return
        self._discard()
        self._most, self._spoilt = 0, self._spoilt + 1
        sentence = f"{redacted(self.download.url)} is not what was published: {fault}"
        raise Refused(sentence) if self._spoilt == _SPOILT else Again(sentence)

    def _size(self) -> int:
        return self._partial.stat().st_size if self._partial.is_file() else 0

    def _discard(self) -> None:
        self._partial.unlink(missing_ok=True)

    def _disk_error(self, error: OSError) -> InputError:
        if error.errno in _NO_ROOM:
            return InputError(
                f"no room for {self.target} ({error.strerror}); make room and run the same again,"
                " which goes on where this stopped"
            )
        return InputError(f"cannot write {self.target} ({error.strerror or error}); give a folder that can be written")
