"""The text by which each image is embedded, and its language: that of the manifest, or the one that sampling draws."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curation.runs.finished import curated_files, matched_files
from curation.runs.results import Results
from runtime.arrow.lists import parts
from runtime.draws import draws
from runtime.storage.own_files import OwnFile

TEXT = pa.schema([pa.field(name, pa.string()) for name in ("uid", "text", "language")])
COLUMNS = {"curated": ["uid", "text", "language"], "pool": ["uid", "candidates"]}


def files_of(run: Results, texts: str) -> list[OwnFile]:
    """Return the files of the images that get a cluster."""
    return curated_files(run) if texts == "curated" else matched_files(run)


def texts_of(batch: pa.RecordBatch, seed: int) -> pa.RecordBatch:
    """Return the TEXT rows of a CURATED batch, or of a MATCHED one, of whose texts the run's seed draws one."""
    if "text" in batch.schema.names:
        return batch.select(TEXT.names)
    texts, offsets = parts(batch["candidates"])
    drawn = offsets[:-1] + (draws(seed, "text", batch["uid"]) * np.diff(offsets)).astype(np.int64)
    columns = [texts.field(name).take(pa.array(drawn)) for name in ("text", "language")]
    return pa.RecordBatch.from_arrays([batch["uid"], *columns], schema=TEXT)
