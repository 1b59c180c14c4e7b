"""Skips for programs that are not installed."""

from typing import Any

import pytest


def needed(module: str) -> Any:
    """Import a program that is handed what we write, or skip the test and say what installs it."""
    return pytest.importorskip(module, reason=f"{module} is not installed; `make feeds` installs it")
