"""Folders of this checkout, and the folder of real data beside it."""

import inspect
import os
import re
import sys
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from pkgutil import resolve_name

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
SHARED = Path(os.environ.get("SHARED_DATA") or ROOT.parent / "shared" / "data")


def commands() -> dict[str, str]:
    """Return the module of each command line, by the name that is installed."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    lines = setup["options.entry_points"]["console_scripts"].split("\n")
    programs = [line.split(" = ") for line in lines if line]
    return {name: module_of(resolve_name(place)) for name, place in programs}


def module_of(start: Callable[[], None]) -> str:
    """Return the module whose `main` the function of a console script runs, without importing it."""
    (module,) = re.findall("from (.+) import main", inspect.getsource(start))
    return module


def of_a_user(**more: str) -> dict[str, str]:
    """Return the environment of a user who has activated the virtual environment, whose kernels check no bounds."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return own | {"PATH": path, "LANG": "C.UTF-8"} | more


def program(name: str) -> str:
    """Return the path of a command, as the installation beside this Python brought it."""
    return str(Path(sys.executable).with_name(name))
