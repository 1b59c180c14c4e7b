"""Keep a hidden record beside a fetched file: its version at the server, then its size and time once it is checked."""

from __future__ import annotations

import json
import os
from pathlib import Path


class Record:
    """The record of the file at `target`, as JSON.

    While the file is fetched it holds `validator`, by which the server recognises the version of the partial file.
    Afterwards it holds `size`, `mtime_ns` and `check`, by which the whole file is recognised.
    """

    def __init__(self, target: Path):
        self._target = target
        self._path = target.with_name(f".{target.name}.record")

    def read(self) -> dict:
        """Return the content, empty where there is no readable record."""
        try:
            content = json.loads(self._path.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write(self, content: dict) -> None:
        """Replace the content in one step."""
        new = self._path.with_name(f"{self._path.name}.new")
        new.write_text(json.dumps(content), "utf-8")
        os.replace(new, self._path)

    def is_of_target(self, content: dict) -> bool:
        """Return whether the whole file exists, and is untouched since `content` was written."""
        if not self._target.is_file() or "check" not in content:
            return False
        stat = self._target.stat()
        return (stat.st_size, stat.st_mtime_ns) == (content.get("size"), content.get("mtime_ns"))


def proof(path: Path, check: str) -> dict:
    """Return the content that recognises a file which has passed a check."""
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "check": check}
