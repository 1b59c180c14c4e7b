"""A made-up package, installed in a folder of its own with entry points."""

import importlib
from pathlib import Path

import pytest


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, code: str, entry_points: str) -> None:
    """Make the module `name` of this code importable, as a distribution with these lines of entry_points.txt."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text(entry_points, "utf-8")
    (folder / f"{name}.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
