"""Read tars with the texts of their images: those of the tars, or those that a run matched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from curation.by_uid.joined_tars import joined_tars, tars_at
from curation.inputs.files import Input
from curation.run.results import MATCHED_PART, Results
from curation.tars.samples import samples, texts
from runtime.storage.own_files import OwnFile


class Tar(NamedTuple):
    """A tar, and the texts of each of its samples with their languages, where these are known."""

    source: Input
    samples: pa.RecordBatch  # of SAMPLES
    texts: list[list[str]]
    languages: list[list[str]] | None = None


def find(paths: Sequence[str]) -> list[Input]:
    """Return the tars that files, folders and globs name, by path."""
    found = [(str(path), path.stat()) for path in tars_at(paths)]
    return [Input(path, "tar", stat.st_size, stat.st_mtime_ns, file_size=stat.st_size) for path, stat in found]


def with_own_texts(tars: Sequence[Input]) -> Iterator[Tar]:
    """Yield tars with the `txt` of each sample."""
    for tar in tars:
        path = Path(tar.path)
        yield Tar(tar, samples(path), [_of_bytes(text) for text in texts(path)])


def with_texts_of(run: Results, tars: Sequence[Input], work: Path) -> Iterator[Tar]:
    """Yield tars with all texts that a run matched, before any gate; `work` is a folder for temporary files."""
    found = joined_tars([Path(tar.path) for tar in tars], matched(run), work, most_damaged=1.0)
    for tar, (scanned, rows) in zip(tars, found, strict=True):
        candidates = dict(zip(rows["offset"].to_pylist(), rows["candidates"].to_pylist(), strict=True))
        own = [candidates.get(offset, []) for offset in scanned["offset"].to_pylist()]
        yield Tar(
            tar,
            scanned,
            [[each["text"] for each in some] for some in own],
            [[each["language"] for each in some] for some in own],
        )


def matched(run: Results) -> list[OwnFile]:
    """Return the files of all images that a run matched."""
    return run.files(MATCHED_PART)


def _of_bytes(text: bytes | None) -> list[str]:
    decoded = (text or b"").decode("utf-8", "replace")
    return [decoded] if decoded.strip() else []
