"""Embed the texts of a run's images in Spark tasks, into Parquet files; finished files stay for the next run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.clustering.encoder import Encoder
from curation.clustering.texts import COLUMNS, texts_of
from curation.runs.recorded import stamp_of
from runtime.progress import advance
from runtime.spark import Shipped
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import PartWriter, batches
from runtime.storage.paths import names
from runtime.storage.whole import write_json
from runtime.tallies import Tallies

SPAN = 4096  # images of a file that one task embeds: a minute of a core
TEXTS_AT_ONCE = 2048
_ROW_GROUP = 8192


@dataclass(frozen=True)
class Span:
    """Some rows of a file of images, and the name of the file with their embeddings."""

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


def embeddings_schema(dimension: int) -> pa.Schema:
    """Return the schema of files of embeddings: half precision changes a distance of 1 by 0.0005 at most."""
    return pa.schema([pa.field("uid", pa.string()), pa.field("embedding", pa.list_(pa.float16(), dimension))])


def missing_spans(files: Sequence[OwnFile], rows: Sequence[int], folder: Path) -> tuple[list[Span], int]:
    """Return the spans of files with so many rows that have no embeddings in a folder, and the number of all spans."""
    spans = [
        Span(file, begin, min(begin + SPAN, end), f"{number:05d}-{begin // SPAN:05d}.parquet")
        for number, (file, end) in enumerate(zip(files, rows, strict=True))
        for begin in range(0, end, SPAN)
    ]
    done = names(folder)
    return [span for span in spans if not {span.name, stamp_of(span.name)} <= done], len(spans)


def embed(span: Span, how: Embedding) -> Tallies:
    """Write the embeddings of a span, and then their checksum to a file beside them."""
    encoder = how.encoder.opened(Encoder)
    schema = embeddings_schema(encoder.dimension)
    with PartWriter(how.folder / span.name, schema, _ROW_GROUP) as writer:
        for rows in _texts(span, how):
            vectors = encoder.encode(rows["text"].to_pylist())
            column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float16).ravel()), vectors.shape[1])
            writer.write(pa.RecordBatch.from_arrays([rows["uid"], column], schema=schema))
            advance(rows=rows.num_rows)
    write_json(how.folder / stamp_of(span.name), {"checksums": {span.name: writer.checksum}})
    return Tallies()


def _texts(span: Span, how: Embedding) -> Iterator[pa.RecordBatch]:
    row = 0
    for batch in batches(span.file, TEXTS_AT_ONCE, COLUMNS[how.texts]):
        begin, end = max(span.begin - row, 0), min(span.end - row, batch.num_rows)
        if begin < end:
            yield texts_of(batch.slice(begin, end - begin), how.seed)
        row += batch.num_rows
        if row >= span.end:
            return
