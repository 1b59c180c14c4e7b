"""Find the exact texts of evaluation sets, such as class prompts and captions, among the texts of images."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.exclusion.lists import KeySet, url_keys
from curation.inputs.candidates import clean_array
from curation.inputs.tables.columns import RECOGNISED, recognised
from curation.inputs.tables.parquet import is_table, opened, table_batches, text_lines
from curation.leaves.gate.checks import Rule
from curation.run.request import Context
from runtime.arrow import Strings, string_array
from runtime.errors import InputError
from runtime.shipping import Shipped
from runtime.storage.arrays import open_arrays, save_arrays
from runtime.storage.own_files import OwnFile

VERSION = 1
_HEADER = "evaluation_texts.json"


@dataclass(frozen=True, eq=False)
class EvaluationTexts:
    """Texts that no image may have, as keys of 16 bytes.

    A key is that of a whole text, which is cleaned like alt texts, case-folded and in NFC.
    """

    keys: KeySet

    @classmethod
    def read(cls, paths: Iterable[str | PathLike[str]]) -> EvaluationTexts:
        """Return the texts in files: one a line, or in the column text or caption of Parquet, CSV or TSV.

        Files may be packed (.gz, .zst). InputError for a file that cannot be read, or that holds no text.
        """
        return cls(KeySet.of([keys for path in paths for keys in _read(str(path))]))

    @classmethod
    def of(cls, texts: Strings) -> EvaluationTexts:
        """Return the set of these texts.

        >>> texts = EvaluationTexts.of(["A photo of a dog. ", "Straße"])
        >>> texts.fails(pa.array(["a Photo of a Dog.", "a photo of a dog", "STRASSE", None])).tolist()
        [True, False, True, False]
        """
        return cls(KeySet.of([_keys(clean_array(string_array(texts, "texts")))]))

    def __len__(self) -> int:
        """Return the number of distinct texts."""
        return len(self.keys)

    def fails(self, texts: pa.Array) -> np.ndarray:
        """Return a mask, bool[text]: which texts are in this set; false for null.

        The texts must be cleaned as the texts of images are.
        """
        strings = string_array(texts, "texts")
        return self.keys.contains(url_keys(_folded(strings))) & _is_text(strings)

    def save(self, directory: str | PathLike[str]) -> str:
        """Write the keys of the texts to a folder, for workers to open; return the path of the folder."""
        arrays = {"keys": self.keys.keys, "starts": self.keys.starts}
        save_arrays(Path(directory), _HEADER, {"version": VERSION}, arrays)
        return str(directory)

    @classmethod
    def open(cls, directory: str | PathLike[str]) -> EvaluationTexts:
        """Map saved texts into memory, which all processes of a machine share; InputError for damaged ones."""
        _, arrays = open_arrays(Path(directory), _HEADER, VERSION)
        try:
            return cls(KeySet(arrays["keys"], arrays["starts"]))
        except KeyError as error:
            raise InputError(f"{directory} holds no whole evaluation texts ({error}): build them again") from None


def find_texts(context: Context, images: Sequence[OwnFile], texts: EvaluationTexts) -> Rule:
    """Return the rule that removes these texts; `images` are not needed for it."""
    texts.save(folder := context.output.artefacts / "evaluation_texts")
    return partial(is_of_evaluation, known=context.engine.ship(folder))


def is_of_evaluation(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch, known: Shipped) -> np.ndarray:
    """Return a mask, bool[text]: which texts are in `known`, the shipped EvaluationTexts."""
    return known.opened(EvaluationTexts.open).fails(texts.field("text"))


def _read(path: str) -> list[np.ndarray]:
    """Return the keys of the texts in a file, batch by batch; InputError for a file without text."""
    with opened(path, "the file of evaluation texts") as file:
        found = [_keys(clean_array(texts)) for texts in _texts(file, path)]
    if not any(map(len, found)):
        raise InputError(f"{path} holds no text; give a file with a text a line, or a table with a column text")
    return found


def _texts(file: BinaryIO, path: str) -> Iterator[pa.Array]:
    if is_table(path):
        batches = table_batches(file, path, partial(_column, path=path))
        return (batch.column(0) for batch in batches)
    return (lines for _, lines in text_lines(file, path))


def _column(names: list[str], path: str) -> list[str]:
    found = recognised("text", names, path)
    if found is None:
        wanted = " or ".join(RECOGNISED["text"])
        raise InputError(f"{path} has the columns {', '.join(names) or '(none)'}; expected one named {wanted}")
    return [found]


def _keys(texts: pa.Array) -> np.ndarray:
    """Return the keys, uint64[text, 2], of the texts that are neither null nor empty."""
    return url_keys(_folded(texts.filter(pa.array(_is_text(texts)))))


def _is_text(texts: pa.Array) -> np.ndarray:
    return pc.not_equal(texts, "").fill_null(False).to_numpy(zero_copy_only=False)


def _folded(texts: pa.Array) -> pa.Array:
    """Return texts case-folded and in NFC; a null stays null."""
    folded = pc.ascii_lower(texts)
    foreign = pc.invert(pc.string_is_ascii(texts)).fill_null(False)
    if not pc.any(foreign).as_py():
        return folded
    others = [unicodedata.normalize("NFC", text.casefold()) for text in texts.filter(foreign).to_pylist()]
    return pc.replace_with_mask(folded, foreign, pa.array(others, folded.type))
