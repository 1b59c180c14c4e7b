"""Track the stages of a run: the progress of the current stage, and the duration of each.

A `Progress` shows nothing; a `ConsoleProgress` shows the current stage. Code in a stage need not know which is used: it
calls `advance`, on the driver and in workers, and an engine sends the workers' counts to the driver. The counts are for
display only: a task that runs twice is counted twice.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from runtime import terminal

_LOOK_EVERY = 0.5  # seconds
# Seconds until a stage's first line, between lines in the first minute, and later, if lines cannot be overwritten.
_LINE_AFTER, _LINE_EVERY, _MINUTE, _LATER_EVERY = 1.0, 4.0, 60.0, 30.0
_NAMES = ("done", "rows", "total")
_RUNNING = ".running"  # the ending of the files of `visible`
_advanced: Counter[str] = Counter()  # the counts of this process
_of_task: Path | np.memmap | None = None  # the file of `visible`, or its content: the counts, in the order of _NAMES


def advance(done: int = 0, rows: int = 0, total: int = 0) -> None:
    """Add to the counts of this process: `done` items and `rows` that are finished, and `total` more items to do."""
    global _of_task
    _advanced.update(done=done, rows=rows, total=total)
    if isinstance(_of_task, Path):
        _of_task = np.memmap(_of_task, np.int64, "w+", shape=(len(_NAMES),))
    if _of_task is not None:
        _of_task += (done, rows, total)


@contextmanager
def visible(folder: Path, name: str) -> Iterator[None]:
    """Write the counts of the block to a file in `folder` while it runs, so that `running` in any process sees them."""
    global _of_task
    _of_task = path = folder / f"{name}{_RUNNING}"
    try:
        yield
    finally:
        _of_task = None
        path.unlink(missing_ok=True)


def running(folder: Path) -> Counter[str]:
    """Return the sums of the counts of all blocks that run now in `visible` with this `folder`."""
    sums = np.zeros(len(_NAMES), np.int64)
    for path in folder.glob(f"*{_RUNNING}"):
        with suppress(OSError, ValueError):  # A block has just ended, or begun.
            sums += np.fromfile(path, np.int64)
    return Counter(dict(zip(_NAMES, sums.tolist(), strict=True)))


def advancing(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the batches, and count their rows as progress."""
    for batch in batches:
        advance(rows=batch.num_rows)
        yield batch


def advanced() -> Counter[str]:
    """Return the counts of this process so far: done, rows and total."""
    return _advanced.copy()


@dataclass
class StageProgress:
    """A named part of a run, with its duration and counts; `unit` is the plural of the items that are counted."""

    title: str
    unit: str = "files"
    begin: float = field(default_factory=time.monotonic)
    seconds: float | None = None  # the duration, once the stage has ended
    _sources: list[Callable[[], Counter[str]]] = field(default_factory=list)

    def follow(self, source: Callable[[], Counter[str]]) -> None:
        """Add the counts that `source()` returns to this stage; `source` is called whenever the counts are read."""
        self._sources.append(source)

    def figures(self) -> Counter[str]:
        """Return the counts of this stage so far: done, rows and total."""
        return sum((source() for source in self._sources), Counter())

    @property
    def passed(self) -> float:
        """The seconds since the stage began, or if it has ended, its duration."""
        return time.monotonic() - self.begin if self.seconds is None else self.seconds

    def numbers(self) -> dict[str, float]:
        """Return the stage's duration as `seconds`, and its counts `done`, `total` and `rows` unless they are 0."""
        figures = self.figures()
        return {"seconds": round(self.passed, 3)} | {
            name: figures[name] for name in ("done", "total", "rows") if figures[name]
        }

    def end(self) -> None:
        """Fix the counts and the duration at their present values."""
        figures = self.figures()
        self.seconds = time.monotonic() - self.begin
        self._sources = [lambda: figures]

    def __str__(self) -> str:
        figures = self.figures()
        passed = self.passed
        parts = [f"{passed:.0f} s" if self.seconds is None else f"{passed:.1f} s"]
        if figures["rows"]:
            speed = f", {figures['rows'] / max(passed, 1e-9):,.0f} rows/s" if passed >= 1 else ""
            parts.insert(0, f"{figures['rows']:,} rows{speed}")
        if figures["total"] and self.seconds is None:
            parts.insert(0, f"{min(figures['done'], figures['total']):,}/{figures['total']:,} {self.unit}")
        return f"{self.title}: {', '.join(parts)}"


_current: ContextVar[StageProgress | None] = ContextVar("stage", default=None)


def current() -> StageProgress:
    """Return the current stage, or outside of any stage, a new one that is not shown."""
    return _current.get() or StageProgress("")


class Progress:
    """The stages of a run, which are measured, but not shown."""

    def __init__(self) -> None:
        self._stages: list[StageProgress] = []

    @contextmanager
    def stage(self, title: str, unit: str = "files") -> Iterator[StageProgress]:
        """Track the block as a stage, and yield the stage; `unit` is the plural of the items that `advance` counts."""
        stage = StageProgress(title, unit)
        before = advanced()
        stage.follow(lambda: advanced() - before)
        token = _current.set(stage)
        try:
            with self._shown(stage):
                yield stage
        finally:
            _current.reset(token)
        self._stages.append(stage)

    def note(self, line: str) -> None:
        """Ignore `line`; subclasses show it to the user before the next stage."""

    def times(self) -> list[dict]:
        """Return title, seconds, unit, items and rows of each stage that has ended, as dictionaries."""
        ended = [(stage, stage.figures()) for stage in self._stages]
        return [
            {"stage": stage.title, "seconds": round(stage.seconds or 0.0, 3), "unit": stage.unit}
            | {"items": figures["done"], "rows": figures["rows"]}
            for stage, figures in ended
        ]

    @contextmanager
    def _shown(self, stage: StageProgress) -> Iterator[None]:
        yield
        stage.end()


class ConsoleProgress(Progress):
    """The stages of a run, shown on standard error: as a live line on a terminal, else as lines, which become rarer."""

    def note(self, line: str) -> None:
        """Write a line that stays."""
        terminal.say(line)

    @contextmanager
    def _shown(self, stage: StageProgress) -> Iterator[None]:
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(stage, over), daemon=True)
        watcher.start()
        try:
            with super()._shown(stage):
                yield
        finally:
            over.set()
            watcher.join()
        terminal.say(str(stage), "info", stage.title, stage.numbers())


def _watch(stage: StageProgress, over: threading.Event) -> None:
    shown = time.monotonic() - _LINE_EVERY + _LINE_AFTER
    while not over.wait(_LOOK_EVERY):
        now = time.monotonic()
        every = _LINE_EVERY if stage.passed < _MINUTE else _LATER_EVERY
        if terminal.is_live() or now - shown >= every:
            terminal.show(str(stage), stage.title, stage.numbers())
            shown = now
