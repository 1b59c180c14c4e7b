"""Draw N of a run's images by their scores, each with a falling chance of being drawn again: soft cap sampling.

As in FLYT (arXiv 2503.08805): an image i has the logit s_i, a weighted sum of columns of scores. At each of the N
draws, one after the other, its chance is in proportion to exp(s_i - penalty * k_i), where k_i is how often it was drawn
before. FLYT draws batches of G images without repeats, and takes the penalty off after each batch; this is G = 1.

No task holds the pool. Each image has a clock of its own (`kernels.batches`): E_1, E_2, … from Exp(1), functions of
(seed, uid, k), and is drawn at the times t_ij, the sum over k = 1 … j of E_k / exp(s_i - penalty * (k - 1)).
Exponential variables have no memory, so the first N times of all images are the N draws.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.kernels import batches as kernels
from curation.leaves.by_uid.by_key import RowStream
from curation.leaves.by_uid.join import Join, Table, images_in
from curation.leaves.by_uid.joined_tables import score_field
from curation.report.languages import counted
from curation.run.ledger import TURNS
from curation.run.making import Derived, Made
from runtime.draws import hashes
from runtime.engine.interface import Engine
from runtime.errors import AGAIN, InputError, require_integer, require_number, require_seed, typed
from runtime.progress import counted as advanced
from runtime.storage.own_files import OwnFile, checksums_in, tally
from runtime.storage.parquet import batches, part_writer, rows_of
from runtime.tallies import Tallies

LOGITS = pa.schema([pa.field("uid", pa.string()), pa.field("key", pa.uint64()), pa.field("logit", pa.float64())])
NUMBERS = LOGITS.names[1:]  # what is read where images are not named
BINS = 1 << 16  # of a pass
FEW = 4096  # times that the driver looks at one by one
BATCH_ROWS = 1 << 16
_SPARE = 0.1  # of the draws, by which those that are expected may be too many or too few
_TIME = "time."  # before a time, a number and a uid: the name of a tally

MOST_DRAWS = 10**11  # the longest trainings saw 40 billion samples
MOST_WEIGHT = sys.float_info.max  # sums that are not finite are counted
MOST_PENALTY = 100.0  # with it an image comes again when all of its kind have come as often
WEIGHTS = "weights"  # a part
WEIGHED = pa.schema([pa.field("uid", pa.string()), pa.field("weight", pa.int64())])
GROUP_ROWS = 1 << 16
PURPOSE = "soft cap"  # of the clocks
WITHOUT, NOT_FINITE, GREATEST = "without a score", "not finite", "greatest "  # names of tallies; the last is of a file


@typed
@dataclass(frozen=True)
class SoftCap:
    """How many images are drawn, and by which weighted sum of columns of scores."""

    weights: Mapping[str, float]  # of columns
    draws: int
    penalty: float = 0.15  # as in FLYT
    seed: int = 0

    def __post_init__(self) -> None:
        for column, weight in self.weights.items():
            require_number(f"the weight of {column}", weight, -MOST_WEIGHT, MOST_WEIGHT)
        require_integer("draws", self.draws, 1, MOST_DRAWS)
        require_number("penalty", self.penalty, 0, MOST_PENALTY)
        require_seed(self.seed)

    @property
    def decay(self) -> float:
        """The factor exp(-penalty), rounded alike on all machines."""
        return float((-Decimal(float(self.penalty))).exp())

    def logits(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Return the weighted sum of columns of scores, given in the order of their names."""
        total = np.zeros(len(rows[0]))
        with np.errstate(over="ignore", invalid="ignore"):
            for (_, weight), scores in zip(sorted(self.weights.items()), rows, strict=True):
                total += weight * scores
        return total

    def draw(self, files: Sequence[OwnFile], scores: Sequence[Table], folder: Derived) -> SoftCapDraw:
        """Write how often each image of the files is drawn, in the part WEIGHTS: rows of WEIGHED of those that are."""
        logits, tallies = self._logits(files, scores, folder)
        without, not_finite = (int(tallies[name]) for name in (WITHOUT, NOT_FINITE))
        greatest = max(tallies.beginning(GREATEST).values(), default=None)
        if greatest is None:
            raise InputError(
                f"of {counted(without + not_finite, 'image')} none has a finite score; give tables with the uids of "
                "the run, and weights of columns that have numbers"
            )
        clocks = Clocks(float(self.penalty), self.decay, float(greatest))
        with folder.progress.stage("find the last draw"):
            last = clocks.last(folder.engine, logits, self.draws)
        make = partial(_write_drawn, clocks=clocks, last=last)
        names = checksums_in(folder.each_file("draw images", logits, make, WEIGHTS))
        files = [OwnFile(folder.path / name, checksum, AGAIN) for name, checksum in names.items()]
        return SoftCapDraw(files, without, not_finite)

    def _logits(
        self, files: Sequence[OwnFile], scores: Sequence[Table], folder: Derived
    ) -> tuple[list[OwnFile], Tallies]:
        """Write LOGITS of the images of each file that have finite scores, in its order."""
        to = folder.parts.begin("logits")
        with folder.progress.stage(f"join scores to {counted(len(files), 'file')}"):
            write = partial(_write_logits, files=list(files), folder=to, soft_cap=self)
            tallies = Join(images_in(files), scores).write(folder.engine, write)
        return [OwnFile(to / name, checksum, AGAIN) for name, checksum in checksums_in(tallies).items()], tallies


@dataclass(frozen=True)
class SoftCapDraw:
    """Files of WEIGHED, and how many images were left out."""

    files: list[OwnFile]
    without: int
    not_finite: int

    def __str__(self) -> str:
        """Say of how many images the draws are, in brackets."""
        images = f"of {counted(sum(map(rows_of, self.files)), 'image')}"
        left = f"{self.without:,} without a score and {self.not_finite:,} with one that is not finite are left out"
        return f" ({images}; {left})"


def weights_of(given: Sequence[str]) -> dict[str, float]:
    """Return the weight of each column of scores, given as NAME=NUMBER."""
    weights: dict[str, float] = {}
    for each in given:
        name, _, number = each.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not name or name in weights or not math.isfinite(weight):
            raise InputError(f"{each!r} is no weight of a column of scores; give each column once, as NAME=NUMBER")
        weights[name] = weight
    return weights


def _write_logits(number: int, stream: RowStream, files: Sequence[OwnFile], folder: Path, soft_cap: SoftCap) -> Tallies:
    """Write LOGITS of a file, and tally the images that are left out and its greatest logit."""
    file, begin, tallies, greatest = files[number], 0, Tallies(), -math.inf
    path, fields = folder / file.path.name, [score_field(name) for name in sorted(soft_cap.weights)]
    with part_writer(path, LOGITS, GROUP_ROWS) as writer:
        for batch in advanced(batches(file, GROUP_ROWS, ["uid"])):
            scores = stream.columns(number, begin, begin := begin + batch.num_rows, fields)
            is_known = np.all([each.is_valid().to_numpy(zero_copy_only=False) for each in scores], axis=0)
            logits = soft_cap.logits([each.to_numpy(zero_copy_only=False) for each in scores])
            is_finite = is_known & np.isfinite(logits)
            uids, own = batch["uid"].filter(pa.array(is_finite)), logits[is_finite]
            columns = [uids, hashes(soft_cap.seed, PURPOSE, uids), own]
            writer.write(pa.RecordBatch.from_arrays([*map(pa.array, columns)], schema=LOGITS))
            tallies.add(WITHOUT, int((~is_known).sum()))
            tallies.add(NOT_FINITE, int((is_known & ~is_finite).sum()))
            greatest = max(greatest, own.max(initial=-math.inf))
    if writer.rows:
        tallies.add(f"{GREATEST}{path.name}", float(greatest))
    tally(tallies, path, writer.checksum)
    return tallies


def _write_drawn(file: OwnFile, made: Made, clocks: Clocks, last: LastDraw) -> None:
    """Write WEIGHED of the images of a file of LOGITS that are drawn."""
    name = file.path.name
    with part_writer(made.path(WEIGHTS, name), WEIGHED, GROUP_ROWS) as writer:
        for uids, number in clocks.drawn(file, last):
            is_drawn = pa.array(number > 0)
            rows = pa.RecordBatch.from_arrays([uids, pa.array(number)], schema=WEIGHED)
            writer.write(rows.filter(is_drawn))
    made.wrote(WEIGHTS, name, writer.checksum)


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
        """Return the time of the last one of so many draws, exactly, given files of LOGITS.

        A time is a uint64 that compares as the logarithm of the time does. The first pass over the logits counts times
        in 65,536 equal intervals around the one that the logits let expect, and each further pass in one interval of
        the last, until that holds few. Of times that are equal in all bits the one of the smaller uid comes first, and
        of one image the one of the smaller number.
        """
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
    """Return the bits of a number as `kernels.batches` has them."""
    bits = int(np.float64(number).view(np.uint64))
    return bits ^ (2**64 - 1) if bits >> 63 else bits | 1 << 63


def _number(bits: int) -> float:
    """Return the number of such bits."""
    return float(np.uint64(bits ^ 1 << 63 if bits >> 63 else bits ^ (2**64 - 1)).view(np.float64))
