"""Report the progress of a run, stage by stage."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Progress(Protocol):
    """Whoever is told of stages."""

    def stage(self, title: str, items: int | None = None) -> AbstractContextManager[None]:
        """Return a context that lasts as long as the stage."""


class _Silent:
    def stage(self, title: str, items: int | None = None) -> AbstractContextManager[None]:
        return nullcontext()


SILENT: Progress = _Silent()
