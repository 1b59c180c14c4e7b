"""End a command at Ctrl-C.

A message is printed immediately. Ctrl-C after all results are written is ignored. A command that takes too long to end
is killed.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from runtime import terminal

INTERRUPTED = 130  # the exit status that shells give for Ctrl-C
PATIENCE = 10.0  # seconds in which a command that was stopped may remove unfinished files

_complete = threading.Event()


@contextmanager
def interruptible(sentence: str) -> Iterator[threading.Event]:
    """At Ctrl-C, write `sentence`, set the event that is yielded, and raise KeyboardInterrupt in the block.

    The sentence is written at once: the JVM, through which this process may write, gets Ctrl-C as well.
    """
    stopped = threading.Event()
    _complete.clear()

    def end() -> None:
        terminal.say(sentence, "error")
        terminal.close()
        stopped.set()
        end_in(PATIENCE)  # The code may catch this exception, or wait for a thread.
        raise KeyboardInterrupt

    def stop(signum: int, frame: FrameType | None) -> None:
        if not _complete.is_set():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            terminal.after_writing(end)

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        if stopped.is_set():
            signal.setitimer(signal.ITIMER_REAL, 0)
        else:
            signal.signal(signal.SIGINT, before)


@contextmanager
def postponed() -> Iterator[None]:
    """Let the KeyboardInterrupt of Ctrl-C wait until the block ends; the handler's message is written at once."""
    handler = signal.getsignal(signal.SIGINT)
    came = list[KeyboardInterrupt]()
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        try:
            handler(signum, frame)
        except KeyboardInterrupt as error:
            came.append(error)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is stop:
            signal.signal(signal.SIGINT, handler)
        if came:
            raise came[0]


def complete() -> None:
    """Record that all results are written: Ctrl-C is ignored from now on."""
    _complete.set()


def end_in(seconds: float) -> None:
    """End the process as interrupted (status 130) after this number of seconds, whatever it is waiting for.

    A timer's signal does this, not a thread: a thread that a signal handler starts may wait for a lock that the
    interrupted code holds.
    """
    signal.signal(signal.SIGALRM, lambda *_: os._exit(INTERRUPTED))
    signal.setitimer(signal.ITIMER_REAL, seconds)
