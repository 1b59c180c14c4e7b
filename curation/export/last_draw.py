"""Find the N-th time of all clocks, exactly, in a few passes over logits: each counts times in 65,536 equal intervals.

A time is a uint64 that compares as the logarithm of the time does. The first pass looks at the times around the one
that the logits let expect, and each further pass at one interval of the last, until that holds few times. Of times that
are equal in all bits the one of the smaller uid comes first, and of one image the one of the smaller number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa

from curation.kernels import clocks as kernels
from curation.run.sizes import TURNS
from runtime.engine.interface import Engine
from runtime.progress import counted as advanced
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.tallies import Tallies

LOGITS = pa.schema([pa.field("uid", pa.string()), pa.field("key", pa.uint64()), pa.field("logit", pa.float64())])
NUMBERS = LOGITS.names[1:]  # what is read where images are not named
BINS = 1 << 16  # of a pass
FEW = 4096  # times that the driver looks at one by one
BATCH_ROWS = 1 << 16
_SPARE = 0.1  # of the draws, by which those that are expected may be too many or too few
_TIME = "time."  # before a time, a number and a uid: the name of a tally


@dataclass(frozen=True)
class LastDraw:
    """The last time that counts; of some images times that are equal to it do not."""

    time: int
    without: dict[str, int] = field(default_factory=dict)  # by uid


@dataclass(frozen=True)
class Clocks:
    """The clocks of all images: their logits are below the greatest one, and fall by the penalty."""

    penalty: float
    decay: float  # exp(-penalty)
    greatest: float

    def last(self, engine: Engine, files: Sequence[OwnFile], draws: int) -> LastDraw:
        """Return the time of the last one of so many draws, given files of LOGITS."""
        low, high = self._expected(engine.added(list(files), self.distances, TURNS), draws)
        while True:
            shift = max(0, (high - low).bit_length() - BINS.bit_length() + 1)
            count = partial(self.counted, low=low, high=high, shift=shift)
            until = np.cumsum(engine.added(list(files), count, TURNS))
            at = int(np.searchsorted(until, draws))
            if at == 0:
                low = 1  # before any time
            elif at == len(until):
                high = _bits(_number(high) + max(1.0, _number(high) - _number(max(low, _bits(-1.0)))))
            else:
                low, high = low + (at - 1 << shift), min(high, low + (at << shift) - 1)
                if until[at] - until[at - 1] <= FEW or not shift:
                    times = engine.run(list(files), partial(self.listed, low=low, high=high), TURNS)
                    return _last(times, draws - int(until[at - 1]))

    def distances(self, file: OwnFile) -> np.ndarray:
        """Return how many logits of a file are at each distance from the greatest one."""
        found = np.zeros(BINS, np.int64)
        for _, below, _ in self._rows(file, NUMBERS):
            kernels.count_distances(below, found)
        return found

    def counted(self, file: OwnFile, low: int, high: int, shift: int) -> np.ndarray:
        """Return how many times of a file are before `low`, and in each interval from there to `high`."""
        found = np.zeros(1 + BINS, np.int64)
        for keys, below, _ in self._rows(file, NUMBERS):
            kernels.count_times(keys, below, *self._falling, *map(np.uint64, (low, high, shift)), found)
        return found

    def drawn(self, file: OwnFile, last: LastDraw) -> Iterator[tuple[pa.Array, np.ndarray]]:
        """Yield uids of a file, and how often each is drawn."""
        for keys, below, rows in self._rows(file):
            number = self.until(keys, below, last.time)
            if last.without:
                number -= np.array([last.without.get(uid, 0) for uid in rows["uid"].to_pylist()], np.int64)
            yield rows["uid"], number

    def until(self, keys: np.ndarray, below: np.ndarray, last: int) -> np.ndarray:
        """Return how many times each image has up to `last`, of which 0 is before all."""
        found = np.empty(len(keys), np.int64)
        kernels.count_until(keys, below, *self._falling, np.uint64(last), found)
        return found

    def listed(self, file: OwnFile, low: int, high: int) -> Tallies:
        """Tally each time of a file from `low` to `high`, with its number and uid."""
        tallies = Tallies()
        for keys, below, rows in self._rows(file):
            begin, end = (self.until(keys, below, time) for time in (low - 1, high))
            for row in np.flatnonzero(end > begin).tolist():
                times = np.empty(end[row] - begin[row], np.uint64)
                kernels.times_of(keys[row], below[row], *self._falling, begin[row], times)
                for number, time in enumerate(times, begin[row]):
                    tallies.add(f"{_TIME}{time:016x} {number} {rows['uid'][row]}")
        return tallies

    def below(self, logits: np.ndarray) -> np.ndarray:
        """Return how far logits are below the greatest one."""
        with np.errstate(over="ignore"):
            return self.greatest - logits

    @property
    def _falling(self) -> tuple[float, float]:
        return self.penalty, self.decay

    def _rows(
        self, file: OwnFile, columns: list[str] = LOGITS.names
    ) -> Iterator[tuple[np.ndarray, np.ndarray, pa.RecordBatch]]:
        for batch in advanced(batches(file, BATCH_ROWS, columns)):
            yield batch["key"].to_numpy(), self.below(batch["logit"].to_numpy()), batch

    def _expected(self, found: np.ndarray, draws: int) -> tuple[int, int]:
        """Return bounds between which the last draw is expected, given numbers of images by distance.

        An image has about log(1 + penalty * x) / penalty times up to x / exp(its logit).
        """
        bins = np.flatnonzero(found)
        images, below = found[bins], np.exp2((bins + 0.5) / 512) - 1

        def times(until: float) -> float:
            x = until - below
            with np.errstate(over="ignore"):
                each = np.logaddexp(0, x + np.log(self.penalty)) / self.penalty if self.penalty else np.exp(x)
            return float(images @ each)

        spare = _SPARE * draws + 10 * draws**0.5
        return _bits(_solved(times, draws - spare)) if draws > spare else 1, _bits(_solved(times, draws + spare))


def _solved(times: Callable[[float], float], wanted: float) -> float:
    """Return about where a function that rises is so large."""
    low, high = -64.0, 64.0
    while times(high) < wanted:
        high *= 2
    for _ in range(64):
        middle = (low + high) / 2
        low, high = (middle, high) if times(middle) < wanted else (low, middle)
    return high


def _last(times: Tallies, draws: int) -> LastDraw:
    """Return the last of so many draws, given the times of an interval."""
    listed = []
    for name, _ in times.take(_TIME).items():
        time, number, uid = name.split(" ", 2)
        listed.append((time, uid, int(number)))
    listed.sort()
    last = listed[draws - 1][0]
    return LastDraw(int(last, 16), dict(Counter(uid for time, uid, _ in listed[draws:] if time == last)))


def _bits(number: float) -> int:
    """Return the bits of a number as `kernels.clocks` has them."""
    bits = int(np.float64(number).view(np.uint64))
    return bits ^ (2**64 - 1) if bits >> 63 else bits | 1 << 63


def _number(bits: int) -> float:
    """Return the number of such bits."""
    return float(np.uint64(bits ^ 1 << 63 if bits >> 63 else bits ^ (2**64 - 1)).view(np.float64))
