"""A plugin of pytest for coverage.py: records which test runs which line, and the seconds of each test.

The kernels of sampling stay plain Python, so that their lines are recorded, too. Others call instructions of the
processor, which only Numba can.
"""

import json
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from time import perf_counter
from typing import Any

import coverage
import numpy as np
import pytest

import runtime.kernels

PLAIN = ("curation.kernels.sample_choice",)
SECONDS = Path(".seconds.json")
_seconds: dict[str, float] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Record under the name of the test what it and its fixtures run."""
    begin, running = perf_counter(), coverage.Coverage.current()
    if running is None:
        return (yield)
    running.switch_context(item.nodeid)
    done = yield
    running.switch_context("")
    _seconds[item.nodeid] = perf_counter() - begin
    return done


def pytest_sessionfinish() -> None:
    """Write the seconds of all tests."""
    if _seconds:
        SECONDS.write_text(json.dumps(_seconds))


def _plain(function: Callable) -> Callable:
    @wraps(function)
    def called(*given: Any) -> Any:  # Numba computes 1.0 - float32 in 64 bits, NumPy in 32
        return function(*(each.astype(float) if getattr(each, "dtype", None) == np.float32 else each for each in given))

    return called


def _unless_plain(compiling: Callable) -> Callable:
    return lambda function: (_plain if function.__module__ in PLAIN else compiling)(function)


for name in ("kernel", "inline", "lean"):
    setattr(runtime.kernels, name, _unless_plain(getattr(runtime.kernels, name)))
