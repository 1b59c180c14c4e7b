"""Count what checks remove: the rows that fail each of them, those that fail no other, and those that fail it first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from runtime.tallies import Tallies


class Failures:
    """The rows that fail each of some checks, bool[row] of each."""

    def __init__(self, failed: Sequence[np.ndarray], rows: int):
        self.failed, self.rows = failed, rows

    @cached_property
    def first(self) -> np.ndarray:
        """The number of the first check that each row fails; that of all checks if it passes."""
        first = np.full(self.rows, len(self.failed), np.int32)
        for number in reversed(range(len(self.failed))):
            first[self.failed[number]] = number
        return first

    def tally(self, first: np.ndarray, prefix: str, tallies: Tallies) -> None:
        """Tally `failed`, `alone` and `removed` of each check; a row is removed by check `first`, if there is such."""
        checks = len(self.failed)
        once = sum(self.failed, start=np.zeros(self.rows, np.int16)) == 1
        removed = np.bincount(first[(first >= 0) & (first < checks)], minlength=checks)
        for number, failed in enumerate(self.failed):
            tallies.add(f"{prefix}failed.{number}", int(np.count_nonzero(failed)))
            tallies.add(f"{prefix}alone.{number}", int(np.count_nonzero(failed & once)))
            tallies.add(f"{prefix}removed.{number}", int(removed[number]))


def tally_languages_by(languages: pa.Array, kinds: np.ndarray, names: Sequence[str], tallies: Tallies) -> None:
    """Tally texts by their language under the name of the kind of each; those of other kinds are not counted."""
    rows = np.flatnonzero(kinds < len(names))
    encoded = languages.take(pa.array(rows)).dictionary_encode()
    known = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(len(known)).to_numpy()
    shape = (len(names), len(known) + 1)
    counts = np.bincount(kinds[rows] * shape[1] + codes, minlength=shape[0] * shape[1]).reshape(shape)
    for kind, code in np.argwhere(counts[:, : len(known)]).tolist():
        tallies.add(names[kind], int(counts[kind, code]), known[code])
