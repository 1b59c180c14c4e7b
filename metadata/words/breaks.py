"""Learn from ICU a table of its word boundaries, for the scripts that need no dictionary.

Asked through Python, ICU finds three million boundaries a second; a kernel with this table, over fifteen million.
Nothing of the rules (UAX #29) is written here: characters that ICU treats alike share a class, and how classes meet is
how ICU treats one example of each. A character that is like no example is left to ICU.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from operator import itemgetter

import numpy as np
from icu4py.breakers import WordBreaker

from metadata.kernels.segments import HARD

LOCALE = "root"  # ICU 78 cuts words alike in every language of languages.csv; a test asks it

# One character of each class, in the order of kernels.segments: space, newline, ignored, other, then letters, Hebrew,
# digits, connectors, and the marks that stand inside words or numbers.
EXAMPLES = " \n\u0301!aא1_·,.'\""
# Texts before and after a character that show how ICU treats it. They distinguish the classes of UAX #29, also those
# without an example: Katakana, pictographs (after a joiner), regional indicators, the joiner itself.
CONTEXTS = (
    *((c, c) for c in "a1א_カ "),
    ("", "\u0301"),
    ("א", " "),
    ("a.", ""),
    ("1.", ""),
    ('א"', ""),
    ("\u200d", ""),
    ("", "\U0001f600"),
    ("\U0001f1e6", "\U0001f1e6"),
)
# Latin to Malayalam and Sinhala; Georgian and Ethiopic; more Latin and Greek, punctuation. All below U+10000.
LEARNED = (*range(0x0E00), *range(0x10A0, 0x1100), *range(0x1200, 0x13A0), *range(0x1E00, 0x2070))


@dataclass(frozen=True)
class BreakTable:
    """`classes` (uint8) by code point, `joins` and `bridges` (bool) by two and three classes: see kernels.segments."""

    classes: np.ndarray
    joins: np.ndarray
    bridges: np.ndarray


def segment_ends(text: str) -> np.ndarray:
    """Return the end of each of ICU's segments in a text, in UTF-16 units, as int32."""
    return np.fromiter(map(itemgetter(1), WordBreaker(text, LOCALE).segments()), np.int32)


@lru_cache(maxsize=1)
def break_table() -> BreakTable:
    """Return the table of the ICU in use; learning it takes a twentieth of a second."""
    treatments = _treatments(map(chr, LEARNED))
    by_treatment = {t.tobytes(): i for i, t in enumerate(_treatments(EXAMPLES))}
    classes = np.full(LEARNED[-1] + 1, HARD, np.uint8)
    classes[list(LEARNED)] = [by_treatment.get(treatment.tobytes(), HARD) for treatment in treatments]
    joins = _unbroken(2)
    return BreakTable(classes, joins, _unbroken(3) & ~joins[None, :, :])


def _treatments(characters: Iterable[str]) -> np.ndarray:
    """Return one row per character: whether ICU sees a boundary at each position of each context."""
    characters = [*characters]
    columns = [_boundaries([before + c + after for c in characters]) for before, after in CONTEXTS]
    return np.concatenate(columns, axis=1)


def _boundaries(samples: list[str]) -> np.ndarray:
    """Return one row per sample, all of one length: whether a segment ends after each unit."""
    text = "".join(sample + "\n" for sample in samples)
    found = np.zeros(len(text.encode("utf-16-le")) // 2, bool)
    found[segment_ends(text) - 1] = True
    return found.reshape(len(samples), -1)[:, :-1]


def _unbroken(length: int) -> np.ndarray:
    """Return for each sequence of examples whether ICU leaves it in one piece."""
    samples = ["".join(sample) for sample in product(EXAMPLES, repeat=length)]
    whole = ~_boundaries(samples)[:, :-1].any(axis=1)
    return whole.reshape((len(EXAMPLES),) * length)
