"""Draw N of a run's images by their scores, each with a falling chance of being drawn again: soft cap sampling.

As in FLYT (arXiv 2503.08805): an image i has the logit s_i, a weighted sum of columns of scores. The draws are
sequential; at each, the probability of image i is proportional to exp(s_i - penalty * k_i), where k_i is the number of
times that it was drawn before. FLYT draws batches of G images without repeats, and subtracts the penalty after each
batch; this is G = 1.

No task holds the pool. Each image has a clock of its own (`kernels.clocks`): E_1, E_2, … from Exp(1), functions of
(seed, uid, k), and is drawn at the times t_ij, the sum over k = 1 … j of E_k / exp(s_i - penalty * (k - 1)).
Exponential variables have no memory, so the first N times of all images are the N draws.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.image_ids import KEY
from curation.joins.image_tables import File, ImageTable, Paths, is_number
from curation.joins.uid_join import Join, Table, first_by, images_in
from curation.leaves.export.kernels import clocks as kernels
from curation.outputs.derived import Derived, Made
from runtime.buckets import TURNS
from runtime.cogroup import RowStream
from runtime.draws import draw_hashes
from runtime.engine import Engine, spread
from runtime.errors import InputError, no_column, require_integer, require_number, require_seed, typed
from runtime.progress import advancing
from runtime.storage.own_files import OwnFile, written_files
from runtime.storage.parquet import batches, part_writer, read_table, row_count, write_rows
from runtime.storage.paths import make_folder
from runtime.tallies import TaskResult
from runtime.warming import Call
from runtime.wording import counted

EXPECTED = "tables of scores: Parquet files with the columns uid (or url) and columns of numbers"
_SCORE = "score "  # prefix of a joined field, followed by the column's name: no other joined field has it

LOGITS = pa.schema([pa.field("uid", pa.string()), pa.field("key", pa.uint64()), pa.field("logit", pa.float64())])
SUMS = pa.schema([pa.field("number", pa.int64())])
NUMBERS = LOGITS.names[1:]  # columns that are read if uids are not needed
BINS = 1 << 16  # intervals in which a pass counts times
FEW = 4096  # number of times that the driver sorts itself
BATCH_ROWS = 1 << 16
_SPARE = 0.1  # share of the draws by which the expected number of draws may be wrong
_TIMES = "times"  # facts: a time, the uid of the image that is drawn, and how often it was drawn before

MOST_DRAWS = 10**11  # more than the longest trainings, of 40 billion samples
MOST_WEIGHT = sys.float_info.max  # images with an infinite sum are counted and left out
MOST_PENALTY = 100.0  # at this penalty, an image is drawn again only after its equals
WEIGHTS = "weights"  # name of the part of the output
WEIGHED = pa.schema([pa.field("uid", pa.string()), pa.field("weight", pa.int64())])
GROUP_ROWS = 1 << 16
PURPOSE = "soft cap"  # purpose of the hashes that seed the clocks
WITHOUT, NOT_FINITE, GREATEST = "without a score", "not finite", "greatest"  # two counts, and the logits of files


@typed
@dataclass(frozen=True)
class SoftCap:
    """The options of soft cap sampling: columns of scores with their weights in the logit, draws, penalty and seed."""

    weights: Mapping[str, float]  # column → weight
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
        """The factor exp(-penalty), rounded the same on all machines."""
        return float((-Decimal(float(self.penalty))).exp())

    def logits(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Return the weighted sum of columns of scores, float64[image]; `rows` has one array per column, by name."""
        total = np.zeros(len(rows[0]))
        with np.errstate(over="ignore", invalid="ignore"):
            for (_, weight), scores in zip(sorted(self.weights.items()), rows, strict=True):
                total += weight * scores
        return total

    def draw(self, files: Sequence[OwnFile], scores: Sequence[Table], folder: Derived) -> SoftCapDraw:
        """Draw images of the files; write the drawn ones with their numbers of draws, as rows of WEIGHED, to WEIGHTS.

        InputError if no image has a finite score.
        """
        to = folder.parts.begin("logits")
        with folder.progress.stage(f"join scores to {counted(len(files), 'file')}"):
            result = Join(images_in(files), scores).write(folder.engine, _write_logits, list(files), to, self)
        logits = written_files(to, result.files)
        without, not_finite = (int(result[name]) for name in (WITHOUT, NOT_FINITE))
        greatest = max(result.noted(GREATEST), default=None)
        if greatest is None:
            raise InputError(
                f"of {counted(without + not_finite, 'image')} none has a finite score; give tables with the uids of "
                "the run, and weights of columns that have numbers"
            )
        clocks = Clocks(float(self.penalty), self.decay, greatest)
        with folder.progress.stage("find the last draw"):
            last = clocks.last(folder.engine, logits, self.draws, folder.parts.begin("times"))
        drawn = folder.each_file("draw images", logits, partial(_write_drawn, clocks=clocks, last=last), WEIGHTS)
        return SoftCapDraw(written_files(folder.path, drawn.files), without, not_finite)


@dataclass(frozen=True)
class SoftCapDraw:
    """Files of the drawn images (schema WEIGHED), and numbers of images left out: no score, or not a finite one."""

    files: list[OwnFile]
    without: int
    not_finite: int

    def __str__(self) -> str:
        """Return, in brackets, the number of images drawn and the numbers of images left out."""
        images = f"of {counted(sum(map(row_count, self.files)), 'image')}"
        left = f"{self.without:,} without a score and {self.not_finite:,} with one that is not finite are left out"
        return f" ({images}; {left})"


def weights_of(options: Sequence[str]) -> dict[str, float]:
    """Return the weight of each column of scores, given as NAME=NUMBER; InputError for anything else."""
    weights: dict[str, float] = {}
    for option in options:
        name, _, number = option.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not name or name in weights or not math.isfinite(weight):
            raise InputError(f"{option!r} is no weight of a column of scores; give each column once, as NAME=NUMBER")
        weights[name] = weight
    return weights


def _write_logits(
    number: int, stream: RowStream, files: Sequence[OwnFile], folder: Path, soft_cap: SoftCap
) -> TaskResult:
    """Write rows of LOGITS for the images in a file; count the images left out; note the greatest logit."""
    path, result, greatest = folder / files[number].path.name, TaskResult(), -math.inf
    fields = [*map(score_field, sorted(soft_cap.weights))]
    images = batches(files[number], GROUP_ROWS, ["uid"])
    with part_writer(path, LOGITS, GROUP_ROWS) as writer:
        for batch, scores in stream.beside(number, advancing(images), fields):
            is_known = np.all([column.is_valid().to_numpy(zero_copy_only=False) for column in scores], axis=0)
            logits = soft_cap.logits([column.to_numpy(zero_copy_only=False) for column in scores])
            is_finite = is_known & np.isfinite(logits)
            uids, finite = batch["uid"].filter(pa.array(is_finite)), logits[is_finite]
            columns = [uids, draw_hashes(soft_cap.seed, PURPOSE, uids), finite]
            writer.write(pa.RecordBatch.from_arrays([*map(pa.array, columns)], schema=LOGITS))
            result.add(WITHOUT, int((~is_known).sum()))
            result.add(NOT_FINITE, int((is_known & ~is_finite).sum()))
            greatest = max(greatest, finite.max(initial=-math.inf))
    if writer.rows:
        result.note(GREATEST, float(greatest))
    result.files[path.name] = writer.checksum
    return result


def _write_drawn(file: OwnFile, made: Made, clocks: Clocks, last: LastDraw) -> None:
    """Write the images in a file of LOGITS that are drawn up to the draw `last`, as rows of WEIGHED."""
    name = file.path.name
    with part_writer(made.path(WEIGHTS, name), WEIGHED, GROUP_ROWS) as writer:
        for uids, number in clocks.drawn(file, last):
            rows = pa.RecordBatch.from_arrays([uids, pa.array(number)], schema=WEIGHED)
            writer.write(rows.filter(pa.array(number > 0)))
    made.wrote(WEIGHTS, name, writer.checksum)


@dataclass(frozen=True)
class LastDraw:
    """The time of the last draw; `without` has, by uid, how many draws at this time come after it and do not count."""

    time: int
    without: dict[str, int] = field(default_factory=dict)  # by uid


@dataclass(frozen=True)
class Clocks:
    """Computes when images are drawn, from the distance of each logit to the greatest one, and the penalty."""

    penalty: float
    decay: float  # exp(-penalty)
    greatest: float

    def last(self, engine: Engine, files: Sequence[OwnFile], draws: int, folder: Path) -> LastDraw:
        """Return the time of the last of `draws` draws, exactly, given files of LOGITS; tasks write to `folder`.

        A time is a uint64 that sorts as the logarithm of the time does. The first pass over the logits counts times in
        65,536 equal intervals around the expected time of the last draw. Each further pass splits one interval of the
        pass before, until that interval holds few times. Times that are equal in all bits are sorted by uid, and then
        by number.
        """
        low, high = self._expected(_summed(engine, files, self.distances, folder / "distances"), draws)
        while True:
            shift = max(0, (high - low).bit_length() - BINS.bit_length() + 1)
            times = Interval(self, low, high, shift)
            until = np.cumsum(_summed(engine, files, times.counted, folder / f"{low}-{high}"))
            at = int(np.searchsorted(until, draws))
            if at == 0:
                low = 1  # 1 is before any time
            elif at == len(until):
                high = _bits(_number(high) + max(1.0, _number(high) - _number(max(low, _bits(-1.0)))))
            else:
                low, high = low + (at - 1 << shift), min(high, low + (at << shift) - 1)
                if until[at] - until[at - 1] <= FEW or not shift:
                    listed = engine.run(list(files), Interval(self, low, high, shift).listed, TURNS)
                    return _last(listed.noted(_TIMES), draws - int(until[at - 1]))

    def distances(self, file: OwnFile) -> np.ndarray:
        """Return int64[BINS]: a file's images, counted by how far their logits are below the greatest one."""
        counts = np.zeros(BINS, np.int64)
        for _, below, _ in self.rows(file, NUMBERS):
            kernels.count_distances(below, counts)
        return counts

    def drawn(self, file: OwnFile, last: LastDraw) -> Iterator[tuple[pa.Array, np.ndarray]]:
        """Yield batches of uids of a file of LOGITS, with the number of draws of each up to the draw `last`."""
        for keys, below, rows in self.rows(file):
            number = self.until(keys, below, last.time)
            if last.without:
                number -= np.array([last.without.get(uid, 0) for uid in rows["uid"].to_pylist()], np.int64)
            yield rows["uid"], number

    def until(self, keys: np.ndarray, below: np.ndarray, last: int) -> np.ndarray:
        """Return how often each image is drawn up to the time `last`, int64[image]; 0 is before all times.

        `keys` seed the images' clocks, `below` are the distances of their logits from the greatest one.
        """
        counts = np.empty(len(keys), np.int64)
        kernels.count_until(keys, below, self.penalty, self.decay, np.uint64(last), counts)
        return counts

    def rows(
        self, file: OwnFile, columns: list[str] = LOGITS.names
    ) -> Iterator[tuple[np.ndarray, np.ndarray, pa.RecordBatch]]:
        """Yield the keys of a file's images, the distances of their logits from the greatest one, and the rows."""
        for batch in advancing(batches(file, BATCH_ROWS, columns)):
            with np.errstate(over="ignore"):
                below = self.greatest - batch["logit"].to_numpy()
            yield batch["key"].to_numpy(), below, batch

    def _expected(self, counts: np.ndarray, draws: int) -> tuple[int, int]:
        """Return bounds between which the time of the last draw is expected.

        `counts` has the number of images in each bin of distance. An image has about log(1 + penalty * x) / penalty
        times up to x / exp(its logit).
        """
        bins = np.flatnonzero(counts)
        images, below = counts[bins], np.exp2((bins + 0.5) / 512) - 1

        def times(until: float) -> float:
            x = until - below
            with np.errstate(over="ignore"):
                per_image = np.logaddexp(0, x + np.log(self.penalty)) / self.penalty if self.penalty else np.exp(x)
            return float(images @ per_image)

        spare = _SPARE * draws + 10 * draws**0.5
        return _bits(_solved(times, draws - spare)) if draws > spare else 1, _bits(_solved(times, draws + spare))


def warm_clocks() -> None:
    """Warm the kernels of clocks with a few images, so that Numba compiles them before tasks need them."""
    keys = np.arange(3, dtype=np.uint64)
    below = np.zeros(3)
    keys.flags.writeable = False  # as columns of Arrow are
    clocks = Clocks(penalty=0.5, decay=math.exp(-0.5), greatest=0.0)
    kernels.count_distances(below, np.zeros(BINS, np.int64))
    clocks.until(keys, below, 1)
    bounds = (np.uint64(1), np.uint64(2), np.uint64(0))
    kernels.count_times(keys, below, clocks.penalty, clocks.decay, *bounds, np.zeros(1 + BINS, np.int64))
    kernels.times_of(keys[0], below[0], clocks.penalty, clocks.decay, np.int64(0), np.empty(1, np.uint64))


CLOCKS: dict[Call, int] = {warm_clocks: 4}


@dataclass(frozen=True)
class Interval:
    """The times from `low` to `high` of clocks, in parts of 2^shift."""

    clocks: Clocks
    low: int
    high: int
    shift: int

    def counted(self, file: OwnFile) -> np.ndarray:
        """Return how often a file's images are drawn before `low`, and in each part: int64[1 + BINS]."""
        counts = np.zeros(1 + BINS, np.int64)
        for keys, below, _ in self.clocks.rows(file, NUMBERS):
            bounds = map(np.uint64, (self.low, self.high, self.shift))
            kernels.count_times(keys, below, self.clocks.penalty, self.clocks.decay, *bounds, counts)
        return counts

    def listed(self, file: OwnFile) -> TaskResult:
        """Note each time from `low` to `high` at which an image of a file is drawn, with its uid and a number.

        The number is how often the image was drawn before.
        """
        result = TaskResult()
        for keys, below, rows in self.clocks.rows(file):
            begin, end = (self.clocks.until(keys, below, time) for time in (self.low - 1, self.high))
            for row in np.flatnonzero(end > begin).tolist():
                times = np.empty(end[row] - begin[row], np.uint64)
                clock = keys[row], below[row], self.clocks.penalty, self.clocks.decay
                kernels.times_of(*clock, begin[row], times)
                uid = rows["uid"][row].as_py()
                result.note(_TIMES, *((time, uid, number) for number, time in enumerate(times.tolist(), begin[row])))
        return result


def _summed(
    engine: Engine, files: Sequence[OwnFile], count: Callable[[OwnFile], np.ndarray], folder: Path
) -> np.ndarray:
    """Return the sum of the arrays that `count` returns for files; each task writes its own sum to `folder`."""
    write = partial(_write_sum, count=count, folder=make_folder(folder))
    sums = engine.run([*enumerate(spread(files, engine))], write)
    return np.sum([read_table(file)["number"] for file in written_files(folder, sums.files)], axis=0)


def _write_sum(numbered: tuple[int, list[OwnFile]], count: Callable[[OwnFile], np.ndarray], folder: Path) -> TaskResult:
    """Write the sum over some files."""
    number, files = numbered
    total = np.sum([count(file) for file in files], axis=0)
    return write_rows(folder / f"{number:05d}.parquet", SUMS, GROUP_ROWS, [pa.record_batch([total], SUMS)])


def _solved(times: Callable[[float], float], wanted: float) -> float:
    """Return approximately the argument at which an increasing function reaches `wanted`."""
    low, high = -64.0, 64.0
    while times(high) < wanted:
        high *= 2
    for _ in range(64):
        middle = (low + high) / 2
        low, high = (middle, high) if times(middle) < wanted else (low, middle)
    return high


def _last(times: list[tuple[int, str, int]], draws: int) -> LastDraw:
    """Return the last of `draws` draws, given the times of an interval (see `Clocks.listed`)."""
    listed = sorted(times)
    last = listed[draws - 1][0]
    return LastDraw(last, dict(Counter(uid for time, uid, _ in listed[draws:] if time == last)))


def _bits(number: float) -> int:
    """Return the bits of a float64 as an integer that sorts as the number does, like `ordered` of `kernels.clocks`."""
    bits = int(np.float64(number).view(np.uint64))
    return bits ^ (2**64 - 1) if bits >> 63 else bits | 1 << 63


def _number(bits: int) -> float:
    """Return the float64 that `_bits` maps to these bits."""
    return float(np.uint64(bits ^ 1 << 63 if bits >> 63 else bits ^ (2**64 - 1)).view(np.float64))


def score_field(name: str) -> pa.Field:
    """Return the field under which the column `name` of scores is joined; null for an image without a row or score."""
    return pa.field(f"{_SCORE}{name}", pa.float64())


def score_tables(paths: Paths, names: Sequence[str]) -> list[Table]:
    """Return tables with the columns `names` of scores, for a join; paths with the same score columns form one table.

    If an image has several rows, the first one counts. InputError for a column that no path has, or that is in tables
    with different columns.
    """
    paths_by_columns: dict[tuple[str, ...], list[str]] = {}
    for path in map(str, paths):
        table = ImageTable.find([path], EXPECTED)
        columns = tuple(name for name in names if name in table.columns.names)
        if not columns:
            remedy = "weigh one of its columns of numbers, or leave out this table"
            raise no_column(table.name, names, table.columns.names, remedy)
        paths_by_columns.setdefault(columns, []).append(path)
    taken = [name for columns in paths_by_columns for name in columns]
    for name in names:
        if taken.count(name) != 1:
            fault = "several tables with other columns" if name in taken else "no table"
            raise InputError(f"column {name} of scores is in {fault}; give it in one table, or in parts of it")
    return [_table(ImageTable.find(of_columns, EXPECTED), columns) for columns, of_columns in paths_by_columns.items()]


def _table(table: ImageTable, names: Sequence[str]) -> Table:
    for name, kind in zip(names, table.row_schema(names).types[len(KEY) :], strict=True):
        if not is_number(kind):
            raise InputError(f"column {name} of {table.name} is {kind}; scores are numbers")
    floats = [pa.field(column.name, pa.float64()) if column.name in names else column for column in table.columns]
    table = replace(table, columns=pa.schema(floats))
    place = pa.field(f"place of {names[0]}", pa.int64())  # in the table
    fields = [score_field(name) for name in names]
    rows = ScoreRows(table, names, pa.schema([*KEY, *fields, place]))
    return Table([*enumerate(table.files)], table.rows, rows.read, rows.first_of_image, fields, [place])


@dataclass(frozen=True)
class ScoreRows:
    """Reads rows of scores as rows of `schema`, whose last column is the row's place in the table."""

    table: ImageTable
    names: Sequence[str]
    schema: pa.Schema

    def read(self, numbered: tuple[int, File]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file."""
        number, file = numbered
        row = number << 40
        for batch in self.table.read(file, self.names):
            place = pa.array(np.arange(row, row := row + len(batch)))
            yield pa.RecordBatch.from_arrays([*batch.columns, place], schema=self.schema)

    def first_of_image(self, rows: pa.RecordBatch, images: np.ndarray) -> np.ndarray:
        """Return the index of the row of each image that comes first in the table."""
        return first_by(rows, images, self.schema.names[-1:])
