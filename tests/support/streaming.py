"""mosaicml-streaming, which has an environment of its own: it pins older releases of what other tests need."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkout import ROOT

PYTHON = Path(os.environ.get("STREAMING_PYTHON", ROOT / ".venv-streaming" / "bin" / "python"))


def is_installed() -> bool:
    """Say whether there is the package, which has no wheels of what it needs for the newest Python."""
    return any(PYTHON.parents[1].glob("lib/python*/site-packages/streaming"))


def require_streaming() -> None:
    """Skip the test where the package is not installed, and say what installs it."""
    if not is_installed():
        pytest.skip(f"no Python with streaming at {PYTHON}; `make feeds` makes it, or set STREAMING_PYTHON")


def start(code: str, folder: Path, *given: Any, **environment: str) -> subprocess.Popen[str]:
    """Start code in a folder; it finds what it is given as the JSON of its first argument."""
    command, quiet = [PYTHON, "-c", code, json.dumps(given, default=str)], {"PYTHONWARNINGS": "ignore"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=os.environ | quiet | environment, **pipes)


def printed(process: subprocess.Popen[str]) -> str:
    """Return what code printed, which must succeed."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out
