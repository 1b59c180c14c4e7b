"""Second opinions on texts whose language is doubtful: what each witness says, and whose word counts.

A witness is a function from texts that are in question to languages. It says nothing (null) where it knows nothing.
The first in the order that a run states counts, unless the text cannot be in the language that it names, by the
scripts of its letters: then the next one is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import DOUBTFUL_SCORE, SURE_SCORE
from curation.kernels.texts import find_bits
from curation.language.scripts import can_write
from metadata.rules.han import CHINESE, JAPANESE, han_table
from runtime.arrow.buffers import string_buffers

_OF_HAN = pa.array(["zh", "ja"])
_LATIN, _OWN = r"\p{Latin}", r"[\p{Han}\p{Hiragana}\p{Katakana}]"
_LETTERS = 3  # of the Latin script, that say about as much as a character of Han or kana


@dataclass(frozen=True)
class Stated:
    """What an input says of the languages of its texts, as codes; null where it says nothing."""

    pages: pa.StringArray  # that the pages of the texts state
    hosts: pa.StringArray  # that most sure texts of their hosts are in

    @classmethod
    def nothing(cls, rows: int) -> Stated:
        """Return what an input says that says nothing."""
        return cls(pa.nulls(rows, pa.string()), pa.nulls(rows, pa.string()))

    def take(self, rows: pa.Array) -> Stated:
        """Return the same of some rows."""
        return Stated(self.pages.take(rows), self.hosts.take(rows))


@dataclass(frozen=True)
class Question:
    """Texts with the languages and scores that the model gave them, and what their input says."""

    texts: pa.Array
    languages: pa.StringArray
    scores: np.ndarray
    stated: Stated


def _host(asked: Question) -> pa.StringArray:
    """Return the language of the host of each text that is not sure."""
    return _where(asked.scores < SURE_SCORE, asked.stated.hosts)


def _page(asked: Question) -> pa.StringArray:
    """Return the language that the page of each doubtful text states."""
    return _where(asked.scores < DOUBTFUL_SCORE, asked.stated.pages)


def _han(asked: Question) -> pa.StringArray:
    """Return Chinese or Japanese where a text has characters of one of them alone, kana among them.

    A text that is labelled otherwise may only name something so, beside more that is said in Latin letters.
    """
    offsets, data = string_buffers(asked.texts)
    offsets.flags.writeable = data.flags.writeable = False  # one type, so one compilation
    bits = np.empty(len(asked.texts), np.int64)
    find_bits(offsets, data, *han_table(), bits)
    known = (bits == CHINESE) | (bits == JAPANESE)
    others = np.flatnonzero(known & ~pc.is_in(asked.languages, _OF_HAN).to_numpy(zero_copy_only=False))
    latin, own = (pc.count_substring_regex(asked.texts.take(pa.array(others)), of) for of in (_LATIN, _OWN))
    known[others] = latin.to_numpy() <= _LETTERS * own.to_numpy()
    return _OF_HAN.take(pa.array((bits == JAPANESE).astype(np.int8), mask=~known))


WITNESSES: dict[str, Callable[[Question], pa.StringArray]] = {"han": _han, "host": _host, "page": _page}


def opinions(asked: Question, may_ask: np.ndarray, witnesses: Sequence[str]) -> tuple[pa.StringArray, pa.StringArray]:
    """Return the language that a witness gives each text, and the name of that witness; null where none decides.

    Asked are those of a score below SURE_SCORE, and of whatever score those labelled Chinese or Japanese. To agree
    with a sure label is to decide nothing.
    """
    sure = asked.scores >= SURE_SCORE
    rows = np.flatnonzero(may_ask & (~sure | pc.is_in(asked.languages, _OF_HAN).to_numpy(zero_copy_only=False)))
    places = pa.array(rows)
    some = Question(
        asked.texts.take(places), asked.languages.take(places), asked.scores[rows], asked.stated.take(places)
    )
    languages, names = pa.nulls(len(rows), pa.string()), pa.nulls(len(rows), pa.string())
    for name in witnesses:
        said = WITNESSES[name](some)
        counts = pc.or_(pa.array(~sure[rows]), pc.not_equal(said, some.languages)).fill_null(False)
        counts = pc.and_(pc.and_(said.is_valid(), names.is_null()), counts)
        counts = pc.and_(counts, pa.array(can_write(some.texts, said.dictionary_encode())))
        languages, names = pc.if_else(counts, said, languages), pc.if_else(counts, pa.scalar(name), names)
    back = np.full(len(sure), -1)
    back[rows] = np.arange(len(rows))
    places = pa.array(back, mask=back < 0)
    return languages.take(places), names.take(places)


def _where(mask: np.ndarray, languages: pa.StringArray) -> pa.StringArray:
    return pc.if_else(pa.array(mask), languages, None)
