"""Stand-ins for Spark, and skips for programs that are not installed."""

from types import SimpleNamespace
from typing import Any

import pytest

NO_SPARK = SimpleNamespace(sparkContext=SimpleNamespace(master="local[2]", defaultParallelism=2))


def needed(module: str) -> Any:
    """Import a program that is handed what we write, or skip the test and say what installs it."""
    return pytest.importorskip(module, reason=f"{module} is not installed; `make feeds` installs it")
