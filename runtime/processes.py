"""Processes on this machine that share the work of a command."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess

_CTRL_C = {signal.SIGINT}


@contextmanager
def process_pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of processes, which Ctrl-C and errors end without waiting for work that has not begun."""
    # A forked process would have the locks of this one's threads without the threads.
    pool = ProcessPoolExecutor(processes, _Context(), initializer=_end_silently)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class _Process(SpawnProcess):
    """A process that Ctrl-C, which the terminal sends to all processes, reaches once it can end without a trace."""

    def start(self) -> None:
        resource_tracker.ensure_running()  # else it starts below, and lets signals through again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _CTRL_C)
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Context(SpawnContext):
    Process = _Process


def _end_silently() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _CTRL_C)
