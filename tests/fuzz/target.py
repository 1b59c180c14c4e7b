"""Code that reads damaged files, for a fuzzer: each ends in an answer or a sentence, in bounded time and memory."""

from __future__ import annotations

import random
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tests.fuzz.mutations import damaged
from tests.support.checkout import ROOT

FOUND = ROOT / "tests" / "cases" / "fuzz"  # files that once failed: FOUND/target/name
SECONDS = 20  # of a processor, for one file; ten times as many by the clock
SPARE = 1 << 30  # bytes of memory beyond a target's bound, before the system gives no more
MB = 1 << 20

Make = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Target:
    """How to make files and how to look at one."""

    wholes: Callable[[Path], Sequence[bytes]]  # given an empty folder
    look: Callable[[Path, bytes], str]  # what came of a file, given a folder for it; any exception is a failure
    make: Make  # a damaged file of a whole one
    megabytes: int = 250  # that one file may take


def require_named(what: str | Path, refusal: Exception) -> None:
    """Fail unless a refusal is one line that names something."""
    assert str(what) in str(refusal), refusal
    assert len(str(refusal).splitlines()) == 1, refusal


def plain(*odd: bytes) -> Make:
    """Return the function that damages files, with some odd bytes of its own."""
    return lambda whole, dice: damaged(whole, dice, odd)


@dataclass(eq=False)
class Failure(Exception):
    """A file that ended otherwise."""

    name: str
    seed: object
    data: bytes
    trace: str

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}, {len(self.data)} bytes: {self.trace}"


class Run:
    """Looks at one file after the other."""

    def __init__(self, name: str, target: Target, folder: Path):
        self.name, self.target, self.folder = name, target, folder
        self.ended: Counter[str] = Counter()
        self.wholes = [*target.wholes(_made(folder / "wholes"))]
        _made(folder / "looked")
        for whole in self.wholes:  # compiles kernels, which takes long, and fills caches
            target.look(folder / "looked", whole)

    def replay(self) -> None:
        """Look at all files that were found."""
        for path in sorted((FOUND / self.name).glob("*")):
            self.look(path.name, path.read_bytes())

    def seeds(self, seeds: Iterator[int]) -> None:
        """Look at the file that each seed makes."""
        for seed in seeds:
            dice = random.Random(f"{self.name} {seed}")
            self.look(seed, self.target.make(dice.choice(self.wholes), dice))

    def look(self, seed: object, data: bytes) -> None:
        """Look at a file; Failure if it ends in anything but an answer or a sentence."""
        (self.folder / "last").write_bytes(data)  # a process that dies says no more
        before = memory("VmRSS:")
        try:
            with _limited(self.target.megabytes):
                self.ended[self.target.look(self.folder / "looked", data)] += 1
            used = (memory("VmHWM:") - before) // MB
            assert used <= self.target.megabytes, f"took {used} MB"
        except (Exception, SystemExit):
            raise Failure(self.name, seed, data, traceback.format_exc()) from None


def minimised(run: Run, failure: Failure) -> bytes:
    """Return a shorter file that fails in the same line, as short as a minute of search makes it."""
    data, size, end = failure.data, len(failure.data), time.monotonic() + 60
    while size := size // 2:
        at = 0
        while at < len(data) and time.monotonic() < end:
            shorter = data[:at] + data[at + size :]
            if _fails_alike(run, shorter, failure):
                data = shorter
            else:
                at += size
    return data


def _fails_alike(run: Run, data: bytes, failure: Failure) -> bool:
    try:
        run.look("", data)
    except Failure as other:
        return _place_of(other) == _place_of(failure)
    return False


def _place_of(failure: Failure) -> list[str]:
    return [line for line in failure.trace.splitlines() if line.lstrip().startswith("File ")]


@contextmanager
def _limited(megabytes: int) -> Iterator[None]:
    """End what takes too long; let what asks for far too much memory fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_DATA, (memory("VmData:") + megabytes * MB + SPARE, hard))
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(10 * SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def memory(field: str) -> int:
    """Return the bytes that a field of this process's status states."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def late(signum: int, frame: FrameType | None) -> None:
    """End a file that takes too long."""
    raise SystemExit(f"not done within {SECONDS} s of a processor")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
