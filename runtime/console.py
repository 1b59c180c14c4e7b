"""Run a command for a person: messages on the terminal, and one sentence instead of a trace where it ends early."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from runtime import terminal
from runtime.errors import without_secrets
from runtime.failures import AGAIN, sentence_for
from runtime.interrupts import INTERRUPTED, interruptible
from runtime.kernel_cache import require_safe


@contextmanager
def command(name: str) -> Iterator[None]:
    """End the program with a sentence instead of a trace: status 2 for bad input, 1 for what failed, 130 for Ctrl-C."""
    terminal.attach()
    sentence = f"{name}: stopped; {AGAIN}"
    with _messages(name), interruptible(sentence) as stopped:
        try:
            require_safe()
            yield
        except KeyboardInterrupt:
            if not stopped.is_set():
                terminal.say(sentence)
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
            reason, status = found
            terminal.say(f"{name}: {reason}")
            sys.exit(status)


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
