"""Open wordnet files, plain or compressed, and look up the language of a wordnet's code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import fsspec
from fsspec.core import OpenFile

from metadata.languages import OTHER, Language, of_label, of_wordnet
from runtime.redaction import with_secrets

EXPECTED = "a wordnet is a folder, zip or tar with data.noun …, a tab file of OMW, or WN-LMF (.xml)"


@dataclass(frozen=True)
class WordnetFile:
    """One file of lemmas of one language; a file of WN-LMF with lexicons of two languages is two of these."""

    path: str  # a path or an fsspec URL, perhaps into an archive
    form: str  # a key of formats.FORMATS
    language: Language


def opened(path: str) -> OpenFile:
    """Return a context that opens a file, unpacked by its ending."""
    return fsspec.open(with_secrets(path), "rb", compression="infer")


def lines(path: str, tally: Counter) -> Iterator[str]:
    """Yield the lines of a file; those that are not UTF-8 are dropped, and counted."""
    with opened(path) as file:
        for line in file:
            tally["lines"] += 1
            try:
                yield line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                tally["dropped.encoding"] += 1


def language_of(code: str) -> Language:
    """Return the language that wordnets call `code`: ISO 639-3 in tab files, a tag such as pt-BR in WN-LMF."""
    plain = code.replace("_", "-").partition("-")[0].lower()
    by_label = of_label(plain)
    return of_wordnet(plain) if len(plain) == 3 or by_label is OTHER else by_label
