"""Fetch the sources of a build over HTTP: a few files at a time, each resumed, checked and then named.

`sources` plans the files, and the files of a dump are read from its published list. `client` sends requests, and
`transfer` fetches one file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from metadata.download.checksums import listed
from metadata.download.client import Client, Manners, Refused, Stopped
from metadata.download.planned import Download, Listing
from metadata.download.transfer import Result, Transfer, writable
from runtime.errors import InputError
from runtime.redaction import redacted
from runtime.storage import locks

_LOCK = ".downloading"

Item = TypeVar("Item")
Found = TypeVar("Found")


def look_up(planned: Iterable[Download | Listing], manners: Manners) -> tuple[list[Download], list[Result]]:
    """Return the files to fetch, in order, and a failed result for each dump whose files cannot be listed."""
    with closing(Client(manners)) as client:
        found = _parallel(lambda item: _listed(client, item), list(planned), client)
    downloads = [download for each in found if isinstance(each, list) for download in each]
    return downloads, [each for each in found if isinstance(each, Result)]


def _listed(client: Client, item: Download | Listing) -> list[Download] | Result:
    """Return the files of a dump, or why there are none; a download is listed already."""
    if isinstance(item, Download):
        return [item]
    try:
        if item.marker:
            client.text(item.marker)
        if downloads := item.downloads(listed(client.text(item.sums))):
            return downloads
        reason = f"{redacted(item.sums)} lists no file of pages"
    except Refused as refused:
        reason = str(refused)
    unlisted = Download(item.sums, f"{item.path}/{item.sums.rpartition('/')[2]}")
    return Result(unlisted, Path(unlisted.path), None, "failed", reason=reason)


def fetch(
    downloads: Iterable[Download], directory: str | Path, manners: Manners, dry_run: bool = False
) -> list[Result]:
    """Return the outcome of each download, in order: files below `directory`, or failures with a reason.

    A file has its name only when it is whole and checked; one that was fetched and checked before is kept. A dry run
    writes nothing and asks for sizes. An obstacle to every file (no network, no room) is an InputError.
    """
    downloads, folder = list(downloads), Path(directory)
    with nullcontext() if dry_run else _claimed(folder), closing(Client(manners)) as client:
        return _parallel(lambda download: Transfer(download, folder, client).run(dry_run), downloads, client)


def _parallel(work: Callable[[Item], Found], items: list[Item], client: Client) -> list[Found]:
    """Return the results in order; the first exception, or Ctrl-C, stops all of them at their next piece."""

    def stopping(item: Item) -> Found:
        try:
            return work(item)
        except BaseException:
            client.stop.set()  # here, before this thread begins its next item
            raise

    executor = ThreadPoolExecutor(client.jobs, thread_name_prefix="download")
    try:
        futures = [executor.submit(stopping, item) for item in items]
        wait(futures)
        for error in [future.exception() for future in futures]:
            if error and not isinstance(error, Stopped):  # the others were stopped because of one of these
                raise error
        return [future.result() for future in futures]
    finally:
        client.stop.set()
        executor.shutdown(cancel_futures=True)


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Keep other runs out of `folder`, whose partial files would be theirs too."""
    try:
        with writable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = locks.take(folder / _LOCK)
    except locks.Held as error:
        raise InputError(f"another run is downloading to {folder}; wait for it or give another folder") from error
    try:
        yield
    finally:
        if lock is not None:
            lock.release()
