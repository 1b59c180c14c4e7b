"""Run a command for a person: messages on the terminal, and one sentence instead of a trace where it ends early."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from runtime import terminal
from runtime.errors import without_secrets
from runtime.failures import AGAIN, sentence_for
from runtime.kernel_cache import require_safe

INTERRUPTED = 130  # the exit status that shells give for Ctrl-C


@contextmanager
def command(name: str) -> Iterator[None]:
    """End the program with a sentence instead of a trace: status 2 for bad input, 1 for what failed, 130 for Ctrl-C."""
    terminal.attach()
    with _messages(name), _interruptible(name) as stopped:
        try:
            require_safe()
            yield
        except KeyboardInterrupt:
            if not stopped.is_set():
                terminal.say(_stopped(name))
            sys.exit(INTERRUPTED)
        except Exception as error:
            if stopped.is_set():  # what was going on met the end of Spark
                sys.exit(INTERRUPTED)
            found = sentence_for(error)
            if found is None:
                shown = without_secrets(error)
                if shown is error:
                    raise
                raise shown from None
            sentence, status = found
            terminal.say(f"{name}: {sentence}")
            sys.exit(status)


@contextmanager
def _interruptible(name: str) -> Iterator[threading.Event]:
    """Say at once that Ctrl-C was seen: the JVM sees it as well, and may carry what this process writes."""
    stopped = threading.Event()

    def end() -> None:
        terminal.say(_stopped(name))
        terminal.close()
        stopped.set()
        raise KeyboardInterrupt

    def stop(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        terminal.after_writing(end)

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        if not stopped.is_set():
            signal.signal(signal.SIGINT, before)


def _stopped(name: str) -> str:
    return f"{name}: stopped; {AGAIN}"


@contextmanager
def _messages(name: str) -> Iterator[None]:
    """Write messages of the packages as lines that begin with the name of the command."""
    handler = _TerminalHandler()
    handler.setFormatter(logging.Formatter(f"{name}: %(message)s"))
    loggers = [logging.getLogger(package) for package in ("runtime", "metadata", "curation")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
            logger.removeHandler(handler)


class _TerminalHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        terminal.say(self.format(record))
