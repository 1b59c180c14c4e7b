"""Processes on this machine that share the work of a command."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context


@contextmanager
def process_pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of processes, which Ctrl-C and errors end without waiting for work that has not begun."""
    # A forked process would have the locks of this one's threads without the threads.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_end_silently)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _end_silently() -> None:
    """Let Ctrl-C, which the terminal sends to all processes, end this one without a trace."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
