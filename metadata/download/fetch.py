"""Fetching what a build is made from over HTTP: a few files at a time, each resumed, checked and then named.

What there is to fetch is planned in `sources`; how servers are asked is in `client`, and one file's way in `transfer`.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from metadata.download.client import Client, Manners, Stopped, shown
from metadata.download.sources import Download, Snapshot, plan
from metadata.download.transfer import Report, Result, Transfer
from runtime.errors import InputError
from runtime.storage import locks

__all__ = ["Download", "Manners", "Progress", "Result", "Snapshot", "fetch", "listing", "plan", "readable"]

_LOCK = ".downloading"


def fetch(
    downloads: Iterable[Download],
    directory,
    manners: Manners | None = None,
    progress: Report | None = None,
    dry_run: bool = False,
) -> list[Result]:
    """Return what became of each download, in order: files below `directory`, or failures with a reason.

    A file has its name only when it is whole and checked; one that is here and checked is kept. A dry run writes
    nothing and asks for sizes. `progress` is called with a download, its bytes so far and in all, by one thread at a
    time. What stops every file (no network, no room) is an InputError.
    """
    downloads, folder = list(dict.fromkeys(downloads)), Path(directory)
    _require_places(downloads)
    work = Transfer.look if dry_run else Transfer.run
    with nullcontext() if dry_run else _claimed(folder), closing(Client(manners or Manners())) as client:
        report = _one_at_a_time(progress) if progress else _ignore
        return _parallel(partial(_transfer, work, folder, client, report), downloads, client)


def _transfer(work: Callable[[Transfer], Result], folder: Path, client: Client, report: Report, download) -> Result:
    """Return the result of one download; an exception stops all."""
    try:
        return work(Transfer(download, folder, client, report))
    except BaseException:
        client.stop.set()  # here, before this thread begins its next file
        raise


def _parallel(work: Callable[[Download], Result], downloads: list[Download], client: Client) -> list[Result]:
    """Return the results in order; the first exception, or Ctrl-C, stops all of them at their next piece."""
    executor = ThreadPoolExecutor(client.manners.jobs, thread_name_prefix="download")
    try:
        futures = [executor.submit(work, download) for download in downloads]
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


class Progress:
    """A `progress` for fetch: what has come so far, as a line for a console."""

    def __init__(self, files: int, clock: Callable[[], float] = time.monotonic):
        self._files, self._clock, self._begin = files, clock, clock()
        self._at: dict[Download, tuple[int, int | None]] = {}
        self._received = 0

    def __call__(self, download: Download, done: int, total: int | None) -> None:
        before = self._at.get(download, (None, None))[0]
        # The first piece of a resumed file stands behind bytes of an earlier run, which say nothing about the speed.
        self._received += max(done - before, 0) if before is not None else 0
        self._at[download] = done, total

    def __str__(self) -> str:
        whole = sum(done == total for done, total in self._at.values())
        here = sum(done for done, _ in self._at.values())
        begun = sum(max(done, total or 0) for done, total in self._at.values())
        speed = self._received / max(self._clock() - self._begin, 1e-9)
        return (
            f"{whole} of {self._files} files, {readable(here)} of {readable(begun)} in those begun, {readable(speed)}/s"
        )


def listing(results: Iterable[Result]) -> list[str]:
    """Return a line per file, and one of their sum, as a dry run is told to a person."""
    results = list(results)
    lines = [f"{readable(each.size):>9}  {each.outcome:7}  {_what(each)}" for each in results]
    known = sum(each.size or 0 for each in results)
    unknown = sum(each.size is None for each in results)
    more = f", {unknown} of unknown size" if unknown else ""
    return [*lines, f"{readable(known):>9}  in {len(results)} files{more}"]


def _what(result: Result) -> str:
    return result.reason or f"{result.download.path}  {shown(result.download.url)}"


def readable(size: float | None) -> str:
    """Return a number of bytes for people, in decimal units as disks are sold.

    >>> readable(0), readable(1_500), readable(22_500_000_000), readable(None)
    ('0 B', '1.5 kB', '22.5 GB', '?')
    """
    if size is None:
        return "?"
    unit = next((unit for unit in _UNITS if size < 999.95 * unit[0]), _UNITS[-1])
    return f"{size:.0f} B" if unit[0] == 1 else f"{size / unit[0]:.1f} {unit[1]}"


_UNITS = ((1, "B"), (10**3, "kB"), (10**6, "MB"), (10**9, "GB"), (10**12, "TB"))
