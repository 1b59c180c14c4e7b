"""One file on its way: resumed where it broke off, checked when it is whole, and only then given its name.

Beside `name` stand, while it is fetched, `name.partial` and always a hidden record: from which version of the file the
partial one is, and what the whole one looked like when it was checked.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

from metadata.download.checksums import damage, file_digest, kind, published_digest
from metadata.download.client import Again, Client, Refused, shown
from metadata.download.sources import Download
from runtime.errors import InputError

Report = Callable[[Download, int, "int | None"], None]  # bytes that are here, and in all, if the server says

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_UNSATISFIED = re.compile(r"bytes \*/(\d+)")
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_SPOILT = 2  # times that a whole file may be the wrong one; it may be large


@dataclass(frozen=True)
class Result:
    """What became of one download."""

    download: Download
    path: Path
    size: int | None  # None where the server does not say
    outcome: str  # "fetched", "kept" (it was there already), "planned" (a dry run), "failed"
    check: str = ""  # what proved it whole: "sha1 da39…", or "its own" where none is published
    reason: str = ""  # for which it failed


class Transfer:
    """The fetching of one file into its place below a folder."""

    def __init__(self, download: Download, directory: Path, client: Client, report: Report):
        self.download, self._client, self._report = download, client, report
        self.target = directory / download.path
        self._partial = self.target.with_name(f"{self.target.name}.partial")
        self._record_path = self.target.with_name(f".{self.target.name}.record")
        self._digest: str | None = None
        self._most = 0  # bytes of it that were ever here: more of them is progress
        self._spoilt = 0

    def run(self) -> Result:
        """Fetch the file unless it is here; what cannot be fetched is a failed result, a full disk an InputError."""
        try:
            return self._run()
        except Refused as refused:
            return Result(self.download, self.target, None, "failed", reason=str(refused))
        except OSError as error:
            raise self._disk_error(error) from error

    def look(self) -> Result:
        """Return what `run` would have to do, and the size that the server states."""
        record = self._record()
        if self._is_as_recorded(record):
            return Result(self.download, self.target, record["size"], "kept", record["check"])
        try:
            size = self._client.persist(self.download.url, self._stated_size)
        except Refused as refused:
            return Result(self.download, self.target, None, "failed", reason=str(refused))
        return Result(self.download, self.target, size, "planned")

    def _run(self) -> Result:
        record = self._record()
        if self._is_as_recorded(record):
            return self._result("kept", record["check"])
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._digest = self._read_digest()
        if self.target.is_file() and not self._fault(self.target):
            self._write_record(self._proof(self.target))
            return self._result("kept", self._check_name())
        self._most = self._size()
        self._client.persist(self.download.url, self._try)
        self._write_record(self._record() | self._proof(self._partial))
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
            raise Refused(f"{shown(published.url)} lists no checksum of {published.name}")
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
            return _length(response)

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
        have, validator = self._size(), self._record().get("validator")
        if have and not validator:
            self._discard()
            have = 0
        headers = {"Range": f"bytes={have}-", "If-Range": validator} if have else None
        with self._client.open(self.download.url, headers) as response:
            start, total = self._place(response, have)
            if response.status_code != 416:
                self._write(response, start, total)

    def _place(self, response: requests.Response, have: int) -> tuple[int, int | None]:
        """Return where the body of `response` belongs, and the size of the whole file."""
        if response.status_code == 200:
            self._discard()
            self._write_record({"validator": _validator(response)})
            return 0, _length(response)
        content_range = response.headers.get("Content-Range", "")
        if response.status_code == 206 and (part := _CONTENT_RANGE.fullmatch(content_range)):
            same = _validator(response) in (self._record().get("validator"), "")
            if int(part[1]) == have and same:
                return have, int(part[2])
        if response.status_code == 416 and (size := _UNSATISFIED.fullmatch(content_range)) and int(size[1]) == have:
            return have, have
        self._discard()
        raise Again(f"{shown(self.download.url)} was answered with another part than the one asked for")

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
            raise Again(f"{shown(self.download.url)} ended after {done:,} of {total:,} bytes")

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
        sentence = f"{shown(self.download.url)} is not what was published: {fault}"
        raise Refused(sentence) if self._spoilt == _SPOILT else Again(sentence)

    def _size(self) -> int:
        return self._partial.stat().st_size if self._partial.is_file() else 0

    def _discard(self) -> None:
        self._partial.unlink(missing_ok=True)

    def _record(self) -> dict:
        try:
            record = json.loads(self._record_path.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _write_record(self, record: dict) -> None:
        new = self._record_path.with_name(f"{self._record_path.name}.new")
        new.write_text(json.dumps(record), "utf-8")
        os.replace(new, self._record_path)

    def _proof(self, path: Path) -> dict:
        stat = path.stat()
        return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "check": self._check_name()}

    def _is_as_recorded(self, record: dict) -> bool:
        """Return whether the file is here and untouched since it was checked."""
        if not self.target.is_file() or "check" not in record:
            return False
        stat = self.target.stat()
        return (stat.st_size, stat.st_mtime_ns) == (record.get("size"), record.get("mtime_ns"))

    def _disk_error(self, error: OSError) -> InputError:
        if error.errno in _NO_ROOM:
            return InputError(
                f"no room for {self.target} ({error.strerror}); make room and run the same again,"
                " which goes on where this stopped"
            )
        return InputError(f"cannot write {self.target} ({error.strerror or error}); give a folder that can be written")


def _validator(response: requests.Response) -> str:
    """Return what names this version of the file to If-Range: a strong ETag, or else its date, or else nothing."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _length(response: requests.Response) -> int | None:
    """Return the bytes of the body, where it is sent as one piece whose length is stated."""
    text = "" if "Transfer-Encoding" in response.headers else response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None
