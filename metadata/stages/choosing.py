"""Group rows of many languages by a string, find exact percentiles, and write the best rows of each language to a file.

Neither a task nor the driver holds all rows of a language. In rows that travel between tasks a language is a number,
its index in languages.csv: codes would be a fifth of all packed bytes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metadata.languages import LANGUAGES
from metadata.words import RATED, best, by_language
from runtime.arrow import gather_reduced, one_batch, string_buffers
from runtime.buckets import buckets_for, keys_in
from runtime.cogroup import Function, Grouping, Rows, Side, cogroup
from runtime.engine import Engine, spread
from runtime.errors import AGAIN
from runtime.kernels.hashes import xxhash
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, part_writer, read_table, write_rows
from runtime.storage.paths import make_folder
from runtime.tallies import Tallies, TaskResult

LANGUAGE = pa.field("language", pa.int16())

BUCKET_BYTES = 8 << 20  # bytes of a build's files per bucket; the rows of such a bucket take some 20 MB
TASK_BYTES = (
    4 * BUCKET_BYTES
)  # bytes of a build's files for each task, which takes its buckets in turn in a few seconds
HELD_BYTES = 64 << 20  # Once rows in memory have this number of bytes, rows with the same key are combined.

_CODES = pa.array([language.code for language in LANGUAGES])

CHOSEN = pa.schema([("entry", pa.string()), ("score", pa.float64())])

RANGES_PER_UNIT = 256  # The first pass of `percentiles` divides each interval of length 1 into 256 ranges.

_GROUP_ROWS = 1 << 20  # rows of a row group
_HELD_RATED_BYTES = 64 << 20  # Once rows in memory have this number of bytes, all except the best rows are dropped.
_KEYS = pa.schema([LANGUAGE, ("key", pa.float64()), ("count", pa.int64())])
_SUMS = {"count": "sum"}


def _string_keys(rows: pa.RecordBatch, column: str) -> np.ndarray:
    """Return the key of each row, uint64[row]: the hash of the language and of the string in `column`."""
    offsets, data = string_buffers(rows[column])
    out = np.empty(rows.num_rows, np.uint64)
    xxhash(data, offsets, rows["language"].to_numpy().astype(np.uint64), out)
    return out


def by_string(schema: pa.Schema, column: str, size: int, function: Function) -> Grouping:
    """Return the grouping of rows by language and by the string in `column`; `size` is the bytes of all files read."""
    keys = partial(_string_keys, column=column)
    return Grouping(schema, keys, function, buckets_for(size, BUCKET_BYTES), tasks_for(size))


def tasks_for(size: int) -> int:
    """Return the number of tasks, a power of two, for the rows of `size` bytes of files."""
    return buckets_for(size, TASK_BYTES)


def combined(batches: Iterable[pa.RecordBatch], values: Mapping[str, str]) -> pa.RecordBatch:
    """Return one row for each group of rows that agree in all columns except the columns in `values`.

    `values` maps the name of a column to the aggregation of its values, such as "sum" or "max".
    """

    def combine(held: list[pa.RecordBatch]) -> pa.RecordBatch:
        schema = held[0].schema
        key = [name for name in schema.names if name not in values]
        groups = pa.Table.from_batches(held).group_by(key, use_threads=False).aggregate([*values.items()])
        names = {name: f"{name}_{how}" for name, how in values.items()}
        columns = [groups[names.get(name, name)] for name in schema.names]
        return one_batch(pa.table(columns, schema=schema))

    return combine(gather_reduced(batches, combine, HELD_BYTES))


def numbers_of(codes: pa.Array) -> pa.Array:
    """Return the index in languages.csv of each language code, as int16; null for null and for an unknown code."""
    return pc.index_in(codes, _CODES).cast(LANGUAGE.type)


def codes_of(rows: pa.RecordBatch) -> pa.Array:
    """Return the language code of each row, given rows whose column `language` has indices in languages.csv."""
    return _CODES.take(rows["language"])


@dataclass(frozen=True)
class Percentile:
    """A percentile of a language's values: `value` is the percentile, `number` is the number of values."""

    number: int
    value: float


def percentiles(engine: Engine, files: list[OwnFile], percent: float, work: Path) -> dict[str, Percentile]:
    """Return, by language, the `percent`th percentile of the float64 column `value` of files, as NumPy computes it.

    A first pass counts rows by narrow ranges of values. A second pass counts rows by value, but only in the ranges that
    hold the two neighbours of the percentile. `work` is a folder for these counts.
    """
    # By language: the number of values, the number of values below the two ranges, and the two ranges.
    numbers, before, holding = {}, {}, {}
    for code, keys, ends in _counted(engine, files, _range, make_folder(work / "ranges")):
        numbers[code] = int(ends[-1])
        first, last = np.searchsorted(ends, percentile_ranks(numbers[code], percent), side="right").tolist()
        before[code] = ends[first - 1] if first else 0
        holding[code] = keys[[first, last]]
    percentile_by_code = {}
    within = ValueRanges(holding)
    for code, values, ends in _counted(engine, files, within.values, make_folder(work / "values")):
        ranks = percentile_ranks(numbers[code], percent) - before[code]
        low, high = values[np.searchsorted(ends, ranks, side="right")].tolist()
        percentile_by_code[code] = Percentile(numbers[code], percentile((low, high), numbers[code], percent))
    return percentile_by_code


def _counted(
    engine: Engine, files: list[OwnFile], keys_of: Callable[[str, np.ndarray], np.ndarray], folder: Path
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each language's code, distinct keys in ascending order, and the cumulative number of rows up to each key.

    A row's key is computed from its column `value` by `keys_of(code, values)`. Tasks write counts to files in `folder`.
    """
    items = spread(files, engine)
    tasks = max(1, min(len(items), len(LANGUAGES)))
    counting = KeyCounts(keys_of, folder)
    adding = Grouping(_KEYS, _keys_of_languages, counting.write, len(LANGUAGES), tasks)
    cogroup(engine, [Side(items, counting.read)], adding)
    for task in range(tasks):
        counts = read_table(file_of(folder, task)).sort_by([("language", "ascending"), ("key", "ascending")])
        for number in counts["language"].unique().to_pylist():
            of_language = counts.filter(pc.equal(counts["language"], number))
            yield LANGUAGES[number].code, of_language["key"].to_numpy(), np.cumsum(of_language["count"])


def _keys_of_languages(rows: pa.RecordBatch) -> np.ndarray:
    return keys_in(rows["language"].to_numpy(), len(LANGUAGES))


@dataclass(frozen=True)
class KeyCounts:
    """Counts rows by language and by the key that `keys_of(code, values)` makes of the column `value`."""

    keys_of: Callable[[str, np.ndarray], np.ndarray]
    folder: Path

    def read(self, _: int, files: list[OwnFile], tallies: Tallies) -> Rows:
        """Yield the number of rows in `files` by language and key, with the schema _KEYS."""
        sums: dict[str, Counter[float]] = defaultdict(Counter)
        for code, rows in by_language(all_rows(files, ["language", "value"])):
            keys, counts = np.unique(self.keys_of(code, rows["value"].to_numpy()), return_counts=True)
            sums[code].update(dict(zip(keys.tolist(), counts.tolist(), strict=True)))
        for code, sum_by_key in sums.items():
            numbers = np.repeat(numbers_of(pa.array([code])).to_numpy(), len(sum_by_key))
            yield pa.RecordBatch.from_arrays([pa.array(numbers), [*sum_by_key], [*sum_by_key.values()]], schema=_KEYS)

    def write(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> None:
        """Add up the counts of each language and key in `buckets`, and write the sums to the file of `task`."""
        write_rows(file_of(self.folder, task).path, _KEYS, _GROUP_ROWS, (combined(rows, _SUMS) for rows in buckets))


def file_of(folder: Path, task: int) -> OwnFile:
    """Return the Parquet file in `folder` that a task writes, without a checksum."""
    return OwnFile(folder / f"{task:05}.parquet", None, AGAIN)


def _range(_: str, values: np.ndarray) -> np.ndarray:
    return np.floor(values * RANGES_PER_UNIT)


@dataclass(frozen=True)
class ValueRanges:
    """Narrow ranges of values by language; a range is the index that `_range` gives to its values."""

    ranges: Mapping[str, np.ndarray]

    def values(self, code: str, values: np.ndarray) -> np.ndarray:
        """Return the values of a language that are in one of its ranges."""
        return values[np.isin(_range(code, values), self.ranges[code])]


def read_rows(_: int, files: list[OwnFile], tallies: Tallies) -> Rows:
    """Yield the rows of all `files`, which are the files of one item."""
    return all_rows(files)


def all_rows(files: list[OwnFile], columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all files, file by file; `columns` limits them to these columns."""
    return chain.from_iterable(batches(file, columns=columns) for file in files)


def percentile_ranks(number: int, percent: float) -> np.ndarray:
    """Return the ranks, from 0, of the two neighbours between which the percentile of `number` sorted values lies."""
    low = int((number - 1) * (percent / 100))
    return np.array([low, min(low + 1, number - 1)])


def percentile(neighbours: tuple[float, float], number: int, percent: float) -> float:
    """Return the percentile of `number` values by linear interpolation between its two neighbours, as NumPy does.

    >>> values = [1.0, 2.0, 4.0, 8.0]
    >>> low, high = (values[rank] for rank in percentile_ranks(4, 30))
    >>> bool(percentile((low, high), 4, 30) == np.percentile(values, 30))
    True
    """
    low, high = neighbours
    position = (number - 1) * (percent / 100)
    share = position - int(position)
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


@dataclass(frozen=True)
class EntryChoice:
    """Chooses the rows of RATED with the highest scores of each language; ties go to the entry that sorts first.

    `taken` maps each language to the number of rows to write. `file` is the path in `folder`, in which `{language}`
    stands for the language's code. The number of written rows is counted as `name`. An entry has at most `longest`
    characters.
    """

    name: str
    taken: Mapping[str, int]
    longest: int
    folder: Path
    file: str

    @cached_property
    def codes(self) -> list[str]:
        """The codes of the languages, sorted; each language has its own task."""
        return sorted(self.taken)

    def run(self, engine: Engine, sides: Sequence[Side]) -> TaskResult:
        """Write the best rows of all `sides`, whose batches may mix languages; return counts and checksums of files."""
        if not self.codes:
            return TaskResult()
        sides = [replace(side, combine=self.among) for side in sides]
        return cogroup(engine, sides, Grouping(RATED, self.keys, self.write, len(self.codes), len(self.codes)))

    def among(self, rows: Iterable[pa.RecordBatch]) -> Rows:
        """Yield the rows, among those that a task reads, that may be the best of their language (`words.best`)."""
        return best(rows, self.taken, self.longest)

    def keys(self, rows: pa.RecordBatch) -> np.ndarray:
        """Return the key of each row; all rows of a language have the same key, so that one task gets them."""
        return keys_in(pc.index_in(rows["language"], pa.array(self.codes)).to_numpy(), len(self.codes))

    def write(self, task: int, buckets: Iterator[Rows], result: TaskResult) -> None:
        """Write the best rows of the language of `task`, an index in `codes`."""
        code = self.codes[task]

        def reduce(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
            return _best_rows(batches, self.taken[code])

        if held := gather_reduced(chain.from_iterable(buckets), reduce, _HELD_RATED_BYTES):
            file = self.file.replace("{language}", code)
            with part_writer(self.folder / file, CHOSEN, _GROUP_ROWS) as writer:
                writer.write(reduce(held).select(CHOSEN.names).cast(CHOSEN))
            result.add(self.name, writer.rows, language=code)
            result.files[file] = writer.checksum


def _best_rows(batches: list[pa.RecordBatch], most: int) -> pa.RecordBatch:
    """Return the `most` rows with the highest scores, sorted by descending score and then by entry."""
    rows = pa.Table.from_batches(batches)
    order = pc.sort_indices(rows, [("score", "descending"), ("entry", "ascending")])
    return one_batch(rows.take(order.slice(0, most)))
