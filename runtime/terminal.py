"""Write to the terminal: messages to standard error, results to standard output; as text, or as JSON lines.

Messages are permanent lines, and one live line that is overwritten. A line of a text that begins with `warning: ` is a
warning; `level` states the level of all other lines.
"""

import json
import os
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from textwrap import TextWrapper
from traceback import format_exception
from types import TracebackType
from typing import Literal, get_args

from runtime.errors import InputError
from runtime.redaction import redacted

MessageFormat = Literal["text", "json"]
FORMATS: tuple[MessageFormat, ...] = get_args(MessageFormat)
Level = Literal["info", "warning", "error"]
WARNING = "warning: "
_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))

# Characters that act on a terminal, or turn a line around: names of files, columns and entries may have any.
_ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_format: MessageFormat = "text"
_is_quiet = False
_lock = threading.RLock()  # a signal handler may write while its own thread does
_live_line = ""
_written = time.monotonic()  # when something was last written, or this process began
_writer: int | None = None  # the thread that is writing
_deferred: list[Callable[[], object]] = []


def attach() -> None:
    """Write to spark-submit's standard error, if spark-submit started this process.

    spark-submit sends both outputs of this process through a pipe to its standard output. If spark-submit's standard
    error is a file, nothing is changed: the JVM would overwrite what others append.
    """
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return
    try:
        descriptor = os.open(f"/proc/{os.getppid()}/fd/2", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:  # There is no /proc, or the terminal belongs to another user.
        return
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.set_blocking(descriptor, True)
        os.dup2(descriptor, 2)
    os.close(descriptor)


def write_as(format: MessageFormat, quiet: bool = False) -> None:
    """Set the format of later output: text, or one JSON object a line; if `quiet`, write only warnings and errors."""
    global _format, _is_quiet
    _format = format
    _is_quiet = quiet


def is_live() -> bool:
    """Return whether the last line can be overwritten: only text on a terminal can."""
    return _format == "text" and sys.stderr.isatty()


def is_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def display(html: str) -> None:
    """Show HTML below the cell of a notebook; nowhere else is anything shown."""
    if is_notebook():
        from IPython.display import HTML
        from IPython.display import display as show_in_cell

        show_in_cell(HTML(html))


def plain(text: str) -> str:
    """Return a text in which characters that act on a terminal are escaped, except line feeds.

    >>> plain("a\\nb\\x1b[2J")
    'a\\nb\\\\u001b[2J'
    """
    return _ACTING.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def in_one_line(text: str) -> str:
    """Return a text in which characters that act on a terminal are escaped, including line feeds."""
    return plain(text).replace("\n", "\\u000a")


def aligned(rows: Sequence[tuple[str, ...]], left: Sequence[int] = (0,)) -> list[str]:
    """Return each row as a line with aligned columns: to the left if the column index is in `left`, else right."""
    rows = [tuple(map(in_one_line, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            cells.append(cell.ljust(width) if column in left else cell.rjust(width))
        lines.append("  ".join(cells).rstrip())
    return lines


def readable(size: int | None) -> str:
    """Return a number of bytes for people, in decimal units as disks are sold.

    >>> readable(0), readable(1_500), readable(22_500_000_000), readable(None)
    ('0 B', '1.5 kB', '22.5 GB', '?')
    """
    if size is None:
        return "?"
    number, unit = next(((number, unit) for number, unit in _UNITS if size >= 0.99995 * number), (1, ""))
    return f"{size / number:.1f} {unit}" if unit else f"{size} B"


def say(text: str, level: Level = "info", step: str | None = None, numbers: Mapping[str, float] | None = None) -> None:
    """Write lines that stay; in JSON, with the `step` of the command that they are about, and numbers of that step."""
    global _written
    with writing():
        clear()
        _written = time.monotonic()
        for part, part_level in _of_levels(redacted(text), level):
            if not _is_quiet or part_level != "info":
                print(_shown(part, part_level, step, numbers), file=sys.stderr, flush=True)


def print_result(text: str, numbers: Mapping[str, float] | None = None) -> None:
    """Write the result of a command to standard output, even if `quiet`, and the warnings in it to standard error.

    If the reader closes the pipe early, as `head` does, the command goes on.
    """
    result, warnings = _apart(redacted(text))
    with writing():
        clear()
        shown = _shown(result, "info", None, numbers)
        encoding = sys.stdout.encoding or "utf-8"
        try:
            print(shown.encode(encoding, "backslashreplace").decode(encoding), flush=True)
        except OSError as error:
            _discard(1)
            if not isinstance(error, BrokenPipeError):
                fault = f"the result cannot be written to standard output ({error.strerror})"
                raise InputError(f"{fault}; make room, or specify another file") from None
    for line in warnings:
        say(line)


def say_trace(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write the trace of an unforeseen error as a message, in place of `sys.excepthook`."""
    say("".join(format_exception(kind, error, trace)).rstrip("\n"), "error")


def show(line: str, step: str | None = None, numbers: Mapping[str, float] | None = None) -> None:
    """Write a live line, which the next line replaces; if output cannot be overwritten, the line stays."""
    global _live_line, _written
    with writing():
        if not is_live():
            return say(line, "info", step, numbers)
        if _is_quiet:
            return None
        _written = time.monotonic()
        _live_line = in_one_line(redacted(line))[: _width() - 1]  # A second row could not be overwritten.
        print(f"\r\033[K{_live_line}", end="", file=sys.stderr, flush=True)
        return None


def close() -> None:
    """Discard everything that this process writes to standard error from now on."""
    with writing():
        sys.stderr.flush()
        _discard(2)


def _discard(descriptor: int) -> None:
    """Discard everything that this process writes to a file descriptor from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def after_writing(act: Callable[[], object]) -> None:
    """Call `act` now, or if this thread is writing a line, once the line is written.

    This is for signal handlers: they run in the middle of a line, and Python's writers cannot be entered twice.
    """
    if _writer == threading.get_ident():
        _deferred.append(act)
    else:
        act()


@contextmanager
def writing() -> Iterator[None]:
    """Keep other threads from writing during the block; calls deferred by `after_writing` run at its end."""
    global _writer
    with _lock:
        before, _writer = _writer, threading.get_ident()
        try:
            yield
        finally:
            _writer = before
            while _deferred and before is None:
                _deferred.pop(0)()


def silence() -> float:
    """Return the seconds since something was last written."""
    return time.monotonic() - _written


def clear() -> None:
    """Remove the live line, if there is one."""
    global _live_line
    if _live_line:
        print("\r\033[K", end="", file=sys.stderr)
        _live_line = ""


def _width() -> int:
    return os.get_terminal_size(sys.stderr.fileno()).columns or 80


def _wrapped(text: str, level: Level) -> str:
    """Return `text` with its warnings wrapped, on a terminal; if `level` is not info, all its lines are wrapped."""
    if not is_live():
        return text
    fill = TextWrapper(_width() - 1, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False).fill
    return "\n".join(fill(line) if level != "info" or line.startswith(WARNING) else line for line in text.split("\n"))


def _of_levels(text: str, level: Level) -> Iterator[tuple[str, Level]]:
    """Yield (part of the text, its level): the whole text if output is text and not quiet.

    Otherwise, yield the text without its warnings, and then each warning.
    """
    if _format == "text" and not _is_quiet:
        yield text, level
        return
    rest, warnings = _apart(text)
    if rest:
        yield rest, level
    for line in warnings:
        yield line, "warning"


def _apart(text: str) -> tuple[str, list[str]]:
    """Return a text without its warnings, and the warnings."""
    lines = text.split("\n")
    rest = "\n".join(line for line in lines if not line.startswith(WARNING))
    return re.sub("\n{3,}", "\n\n", rest).strip("\n"), [line for line in lines if line.startswith(WARNING)]


def _shown(text: str, level: Level, step: str | None, numbers: Mapping[str, float] | None) -> str:
    """Return a text as it is written in the format that was asked for."""
    return _wrapped(plain(text), level) if _format == "text" else _json(text, level, step, numbers or {})


def _json(text: str, level: Level, step: str | None, numbers: Mapping[str, float]) -> str:
    """Return a line of JSON, in ASCII without characters that act on a terminal."""
    message = text.removeprefix(WARNING)
    time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return json.dumps(
        {"time": time, "level": level, "step": step and redacted(step), "message": message, "numbers": dict(numbers)}
    )
