"""img2dataset, which has an environment of its own: it pins older releases of what other tests need."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

PROGRAM = Path(os.environ.get("IMG2DATASET", ROOT / ".venv-img2dataset" / "bin" / "img2dataset"))


def require_img2dataset() -> None:
    """Skip the test where the program is not installed, and say what installs it."""
    if not PROGRAM.exists():
        pytest.skip(f"no img2dataset at {PROGRAM}; `make feeds` installs it, or set IMG2DATASET")


def run_img2dataset(options: Sequence[str], folder: Path | None = None) -> None:
    """Run the program, which must succeed, in a folder."""
    quiet = os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1"}
    ran = subprocess.run([PROGRAM, *options], cwd=folder, env=quiet, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
