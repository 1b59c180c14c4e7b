"""The texts of a run before and after balancing, with their languages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from curation.classes import Rows
from runtime.arrow.buffers import parts
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches


def of_pool(files: Iterable[OwnFile]) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Yield all texts of the images that were balanced."""
    for file in files:
        for batch in batches(file, columns=["candidates"]):
            texts = parts(batch["candidates"])[0]
            yield texts.field("text"), texts.field("language")


def of_manifest(files: Iterable[OwnFile]) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Yield the texts that were kept."""
    for file in files:
        for batch in batches(file, columns=["text", "language"]):
            yield batch["text"], batch["language"]


POOL, MANIFEST = "pool", "manifest"
READERS: dict[str, Callable[[Iterable[OwnFile]], Rows]] = {POOL: of_pool, MANIFEST: of_manifest}
