"""Tell texts whose letters are all of scripts in which a language is not written."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pyarrow as pa

from curation.kernels.texts import find_bits, find_foreign
from metadata.languages import LANGUAGES, of_label
from metadata.rules.characters import letter_table
from runtime.arrow.buffers import string_buffers

SCRIPTS = tuple(sorted({script for language in LANGUAGES for script in language.scripts}))
_LATIN = 1 << SCRIPTS.index("Latn")
_EVERY = -1  # all bits: of languages of which no script is known, and of `other`
_OF_LABEL = re.compile(r"_([A-Z][a-z]{3})$")


def is_foreign(texts: pa.Array, labels: pa.DictionaryArray) -> np.ndarray:
    """Return whether all letters of each text are of scripts in which the language of its label is not written.

    A text without letters is not foreign, and neither is a null.
    """
    offsets, data = string_buffers(texts)
    offsets.flags.writeable = data.flags.writeable = False  # one type, so one compilation
    every = np.array([*map(_written, labels.dictionary.to_pylist()), _EVERY], np.int64)
    foreign = np.empty(len(texts), bool)
    find_foreign(offsets, data, *letter_table(SCRIPTS), every[labels.indices.fill_null(-1).to_numpy()], foreign)
    return foreign


def can_write(texts: pa.Array, languages: pa.DictionaryArray) -> np.ndarray:
    """Return whether each text may be in its language: some letter is of its scripts, if any, and all but Latin ones.

    Latin letters spell brands in texts of any language. A null may be in any.
    """
    offsets, data = string_buffers(texts)
    offsets.flags.writeable = data.flags.writeable = False  # one type, so one compilation
    written = np.array([*map(_written, languages.dictionary.to_pylist()), _EVERY], np.int64)
    own, letters = written[languages.indices.fill_null(-1).to_numpy()], np.empty(len(texts), np.int64)
    find_bits(offsets, data, *letter_table(SCRIPTS), letters)
    others = letters & ~own
    return (others == 0) | ((others == _LATIN) & (letters != others))


@cache
def _written(label: str) -> int:
    """Return the bits of the scripts that a label admits: its language's scripts, and the script in its name."""
    scripts = {*of_label(label).scripts, *_OF_LABEL.findall(label)}
    if not of_label(label).scripts:
        return _EVERY
    return sum(1 << number for number, script in enumerate(SCRIPTS) if script in scripts)
