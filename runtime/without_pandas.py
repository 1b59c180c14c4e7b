"""Keep pyarrow from importing pandas when it first converts a list: the import takes each process 0.4 s.

Importing this module is enough. Commands import it, and so do their workers: none of their arrays is made of pandas
objects. Programs that import this library are not affected.
"""

import sys
from typing import Any

import pyarrow as pa


class _Hidden:
    """A finder of modules that hides pandas."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> None:
        """Raise ModuleNotFoundError for pandas; leave all other modules to the other finders."""
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


if "pandas" not in sys.modules:
    sys.meta_path.insert(0, _Hidden)
    try:
        pa.array([0])  # pyarrow looks for pandas only once, here.
    finally:
        sys.meta_path.remove(_Hidden)
