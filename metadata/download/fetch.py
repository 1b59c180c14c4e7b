"""Fetch the sources of a build over HTTP: a few files at a time, each resumed, checked and then named.

The files are planned in `sources`, and those of a dump are looked up in its list. Servers are asked by `client`, and
one file is fetched by `transfer`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TypeVar

from metadata.download.answers import Refused, Stopped
from metadata.download.checksums import listed_names
from metadata.download.client import Client
from metadata.download.manners import Manners
from metadata.download.planned import Download, Listing
from metadata.download.transfer import Report, Result, Transfer
from runtime.errors import InputError
from runtime.redaction import redacted
from runtime.storage import locks

_LOCK = ".downloading"


Item = TypeVar("Item")
Found = TypeVar("Found")


def look_up(
    planned: Iterable[Download | Listing], manners: Manners | None = None
) -> tuple[list[Download], list[Result]]:
    """Return the files to fetch, in order, and a failed result for each dump whose files cannot be listed."""
    items = list(planned)
    with closing(Client(manners or Manners())) as client:
        listings = [item for item in items if isinstance(item, Listing)]
        found = dict(zip(listings, _parallel(partial(_listed, client), listings, client), strict=True))
    results = [found[item] if isinstance(item, Listing) else [item] for item in items]
    downloads = [download for each in results if isinstance(each, list) for download in each]
    return downloads, [each for each in results if isinstance(each, Result)]


def _listed(client: Client, listing: Listing) -> list[Download] | Result:
    """Return the files of a dump, or why there are none."""
    try:
        if listing.marker:
            client.persist(listing.marker, partial(client.text, listing.marker))
        names = listed_names(client.persist(listing.sums, partial(client.text, listing.sums)))
        if downloads := listing.downloads(names):
            return downloads
        reason = f"{redacted(listing.sums)} lists no file of pages"
    except Refused as refused:
        reason = str(refused)
    unlisted = Download(listing.sums, f"{listing.path}/{listing.sums.rpartition('/')[2]}")
    return Result(unlisted, Path(unlisted.path), None, "failed", reason=reason)


def fetch(
    downloads: Iterable[Download],
    directory: str | Path,
    manners: Manners | None = None,
    progress: Report | None = None,
    dry_run: bool = False,
) -> list[Result]:
    """Return the outcome of each download, in order: files below `directory`, or failures with a reason.

    A file has its name only when it is whole and checked; one that was fetched and checked before is kept. A dry run
    writes nothing and asks for sizes. `progress` is called with a download, its bytes so far and in all, by one thread
    at a time. An obstacle to every file (no network, no room) is an InputError.
    """
    downloads, folder = list(dict.fromkeys(downloads)), Path(directory)
    _require_places(downloads)
    work = Transfer.look if dry_run else Transfer.run
    with nullcontext() if dry_run else _claimed(folder), closing(Client(manners or Manners())) as client:
        report = _one_at_a_time(progress) if progress else _ignore
        return _parallel(partial(_transfer, work, folder, client, report), downloads, client)


def _transfer(
    work: Callable[[Transfer], Result], folder: Path, client: Client, report: Report, download: Download
) -> Result:
    """Return the result of one download; an exception stops all."""
    try:
        return work(Transfer(download, folder, client, report))
    except BaseException:
        client.stop.set()  # here, before this thread begins its next file
        raise


def _parallel(work: Callable[[Item], Found], items: list[Item], client: Client) -> list[Found]:
    """Return the results in order; the first exception, or Ctrl-C, stops all of them at their next piece."""
    executor = ThreadPoolExecutor(client.manners.jobs, thread_name_prefix="download")
    try:
        futures = [executor.submit(work, item) for item in items]
        wait(futures)
        for error in [future.exception() for future in futures]:
            if error and not isinstance(error, Stopped):  # the others were stopped because of one of these
                raise error
        return [future.result() for future in futures]
    finally:
        client.stop.set()
        executor.shutdown(cancel_futures=True)


def _require_places(downloads: list[Download]) -> None:
    by_path: dict[str, str] = {}
    for download in downloads:
        if by_path.setdefault(download.path, download.url) != download.url:
            raise InputError(f"{by_path[download.path]} and {download.url} would both be {download.path}; fetch one")


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Keep other runs out of `folder`, whose partial files would be theirs too."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = locks.take(folder / _LOCK)
    except locks.Held as error:
        raise InputError(f"another run is downloading to {folder}; wait for it or give another folder") from error
    except OSError as error:
        raise InputError(
            f"cannot download to {folder} ({error.strerror}); give a folder that can be written"
        ) from error
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _one_at_a_time(progress: Report) -> Report:
    lock = threading.Lock()

    def report(download: Download, done: int, total: int | None) -> None:
        with lock:
            progress(download, done, total)

    return report


def _ignore(download: Download, done: int, total: int | None) -> None:
    pass
