"""Keep pyarrow from importing pandas, for 0.4 s of each process, when the first list becomes an array.

To import this module is all that it takes. Commands do, and their workers as they: no array of theirs is made of pandas
objects. A program that imports this library is left alone.
"""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa


class _Hidden:
    """Hides pandas from whoever imports it."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> None:
        """Refuse pandas alone."""
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


if "pandas" not in sys.modules:
    sys.meta_path.insert(0, _Hidden)
    try:
        pa.array([0])  # pyarrow looks for pandas once
    finally:
        sys.meta_path.remove(_Hidden)
