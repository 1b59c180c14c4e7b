"""Folders of this checkout, and the folder of real data beside it."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
SHARED = Path(os.environ.get("SHARED_DATA") or ROOT.parent / "shared" / "data")


def program(name: str) -> str:
    """Return the path of a command, as the installation beside this Python brought it."""
    return str(Path(sys.executable).with_name(name))
