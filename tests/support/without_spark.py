"""Run clip-hash in this process, its tasks one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from curation.plugins.hashing import clip_hash as hash_images
from runtime.engine.local import Local


@contextmanager
def without_spark() -> Iterator[None]:
    """Let clip-hash start no process."""
    with patch.object(hash_images, "engine_for", lambda args, name: Local(1)):
        yield
