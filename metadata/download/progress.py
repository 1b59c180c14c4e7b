"""Describe the progress and the results of downloads in lines for a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from metadata.download.planned import Download
from metadata.download.transfer import Result
from runtime.redaction import redacted


class Progress:
    """A `progress` for `fetch`; as a string, a line for a console that says how much has come so far."""

    def __init__(self, files: int, clock: Callable[[], float] = time.monotonic):
        self._files, self._clock, self._begin = files, clock, clock()
        self._at: dict[Download, tuple[int, int | None]] = {}
        self._received = 0

    def __call__(self, download: Download, done: int, total: int | None) -> None:
        # The first piece of a resumed file follows bytes of an earlier run, which say nothing about the speed.
        before, _ = self._at.get(download, (done, None))
        self._received += max(done - before, 0)
        self._at[download] = done, total

    def __str__(self) -> str:
        whole = sum(done == total for done, total in self._at.values())
        received = sum(done for done, _ in self._at.values())
        begun = sum(max(done, total or 0) for done, total in self._at.values())
        speed = readable(self._received / max(self._clock() - self._begin, 1e-9))
        return f"{whole} of {self._files} files, {readable(received)} of {readable(begun)} in those begun, {speed}/s"


def listing(results: Iterable[Result]) -> list[str]:
    """Return a line per file, and one of their sum, for a person."""
    results = list(results)
    lines = [f"{readable(each.size):>9}  {each.outcome:7}  {_description(each)}" for each in results]
    known = sum(each.size or 0 for each in results)
    unknown = sum(each.size is None for each in results)
    more = f", {unknown} of unknown size" if unknown else ""
    return [*lines, f"{readable(known):>9}  in {len(results)} files{more}"]


def _description(result: Result) -> str:
    return result.reason or f"{result.download.path}  {redacted(result.download.url)}"


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
