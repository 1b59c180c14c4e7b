"""Folders of this checkout, and the folder of real data beside it."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
SHARED = Path(os.environ.get("SHARED_DATA") or ROOT.parent / "shared" / "data")
