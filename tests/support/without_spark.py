"""Run clip-hash in this process: its tasks one after the other, as Spark's workers would."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from curation.commands import hash_images
from curation.hashing import pipeline


@contextmanager
def without_spark() -> Iterator[None]:
    """Let clip-hash start no Spark."""

    def run(session: object, tasks: Iterable[list], function: Callable[[list], object]) -> None:
        for task in tasks:
            function(task)

    with (
        patch.multiple(pipeline, run=run, require_shared=lambda *args: None),
        patch.object(hash_images, "session", lambda name: None),
    ):
        yield
