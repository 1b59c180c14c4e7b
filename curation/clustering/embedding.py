"""Embed the texts of a run's images in Spark tasks, and write Parquet files; a rerun keeps the finished files.

An image of the manifest has its text there. An image of the pool (before balancing) gets the text that sampling draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.clustering.encoder import Encoder
from curation.run.finished import curated_files, matched_files
from curation.run.recorded import recorded, stamp_of
from curation.run.results import Results
from runtime.arrow.buffers import parts
from runtime.draws import draws
from runtime.errors import AGAIN, InputError
from runtime.progress import advance
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile, is_sound
from runtime.storage.parquet import batches, part_writer
from runtime.storage.paths import in_threads, make_folder, names, remove
from runtime.storage.whole import STAMP, read_json, write_json
from runtime.tallies import Tallies

TEXT = pa.schema([pa.field(name, pa.string()) for name in ("uid", "text", "language")])
COLUMNS = {"curated": TEXT.names, "pool": ["uid", "candidates"]}
SPAN = 4096  # images of a file that one task embeds: a minute of a core
TEXTS_AT_ONCE = 2048
_ROW_GROUP = 8192


@dataclass(frozen=True)
class Span:
    """A range of rows of a file of images, and the name of the file with their embeddings."""

    file: OwnFile
    begin: int
    end: int
    name: str


@dataclass(frozen=True)
class Embedding:
    """How texts are embedded, and into which folder."""

    encoder: Shipped
    texts: str
    seed: int
    folder: Path


def embeddings_folder(folder: Path, stamp: dict, overwrite: bool) -> Path:
    """Return the folder for embeddings made as the stamp says; refuse, or with `overwrite` empty, any other."""
    made = read_json(folder / STAMP)
    if made is not None and made != stamp:
        if not overwrite and names(folder) != {STAMP}:
            what = ", ".join(name for name in stamp if made.get(name) != stamp[name])
            raise InputError(f"{folder} holds other embeddings ({what}); give another folder, or --overwrite")
        remove(folder)
    write_json(make_folder(folder) / STAMP, stamp)
    return folder


def missing_spans(files: Sequence[OwnFile], rows: Sequence[int], folder: Path) -> tuple[list[Span], int]:
    """Return the spans of files with so many rows that have no embeddings in a folder, and the number of all spans."""
    spans = [
        Span(file, begin, min(begin + SPAN, end), f"{number:05d}-{begin // SPAN:05d}.parquet")
        for number, (file, end) in enumerate(zip(files, rows, strict=True))
        for begin in range(0, end, SPAN)
    ]
    checksums = recorded([str(folder / span.name) for span in spans])
    own = [OwnFile(folder / span.name, checksums.get(str(folder / span.name)), AGAIN) for span in spans]
    sound = in_threads(lambda file: file.checksum is not None and is_sound(file), own)
    return [span for span, is_done in zip(spans, sound, strict=True) if not is_done], len(spans)


def embed(span: Span, how: Embedding) -> Tallies:
    """Write the embeddings of a span, and then their checksum to a file beside them."""
    encoder = how.encoder.opened(Encoder)
    # Half precision changes a distance of 1 by 0.0005 at most.
    embedding = pa.field("embedding", pa.list_(pa.float16(), encoder.dimension))
    schema = pa.schema([TEXT.field("uid"), embedding])
    with part_writer(how.folder / span.name, schema, _ROW_GROUP) as writer:
        for rows in _texts(span, how):
            vectors = encoder.encode(rows["text"].to_pylist()).astype(np.float16)
            column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
            writer.write(pa.RecordBatch.from_arrays([rows["uid"], column], schema=schema))
            advance(rows=rows.num_rows)
    write_json(how.folder / stamp_of(span.name), {"checksums": {span.name: writer.checksum}})
    return Tallies()


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


def _texts(span: Span, how: Embedding) -> Iterator[pa.RecordBatch]:
    row = 0
    for batch in batches(span.file, TEXTS_AT_ONCE, COLUMNS[how.texts]):
        begin, end = max(span.begin - row, 0), min(span.end - row, batch.num_rows)
        if begin < end:
            yield texts_of(batch.slice(begin, end - begin), how.seed)
        row += batch.num_rows
        if row >= span.end:
            return
