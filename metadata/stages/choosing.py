"""Group rows of many languages by a string, find exact percentiles, and write the best rows of each language to a file.

Neither a task nor the driver holds all rows of a language. In rows that travel between tasks a language is a number,
its index in languages.csv: codes would be a fifth of all packed bytes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metadata.languages import LANGUAGES
from metadata.words import RATED, by_language
from runtime.arrow import gather_reduced, one_batch, string_buffers
from runtime.buckets import Block, Packer, buckets_for, by_bucket, unpack
from runtime.engine import Engine, spread
from runtime.errors import AGAIN
from runtime.kernels.hashes import xxhash
from runtime.storage.own_files import OwnFile, recorded
from runtime.storage.parquet import batches, part_writer, read_table
from runtime.storage.paths import make_folder
from runtime.tallies import Tallies

LANGUAGE = pa.field("language", pa.int16())

BUCKET_BYTES = 8 << 20  # of a build's files for each bucket, whose rows then take some 20 MB
TASK_BYTES = 4 * BUCKET_BYTES  # of a build's files for each task, which takes its buckets in turn: a few seconds
HELD_BYTES = 64 << 20  # of rows in memory, after which rows of the same key are combined

_CODES = pa.array([language.code for language in LANGUAGES])

CHOSEN = pa.schema([("entry", pa.string()), ("score", pa.float64())])

FINENESS = 256  # ranges per unit of the values, for the first count of rows

_ROWS = 1 << 20  # of a row group
_HELD_BYTES = 64 << 20  # of rows in memory, after which all but the best are dropped
_KEYS = pa.schema([LANGUAGE, ("key", pa.float64()), ("count", pa.int64())])
_SUMS = {"count": "sum"}

Rows = Callable[[], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class CountMeeting:
    """A way to group rows: each goes to a bucket by the hash of its language and of its string in `column`."""

    schema: pa.Schema
    column: str
    size: int  # bytes of all files that are read

    @property
    def buckets(self) -> int:
        """The number of buckets, a power of two."""
        return buckets_for(self.size, BUCKET_BYTES)

    @property
    def partitions(self) -> int:
        """The number of tasks among which the buckets are divided, a power of two."""
        return buckets_for(self.size, TASK_BYTES)

    def dealt(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Block]:
        """Yield the rows of all batches as packed blocks; all rows of a block belong to one bucket."""
        packer = Packer(self.buckets)
        for batch in batches:
            yield from packer.deal(batch, self._keys(batch))
        yield from packer.finish()

    def met(self, blocks: Iterable[bytes]) -> Iterator[Iterator[pa.RecordBatch]]:
        """Yield, for each bucket that has rows in `blocks`, an iterator over batches of its rows."""
        return by_bucket(blocks, self.buckets, self.schema, self._keys)

    def _keys(self, rows: pa.RecordBatch) -> np.ndarray:
        offsets, data = string_buffers(rows[self.column])
        out = np.empty(rows.num_rows, np.uint64)
        xxhash(data, offsets, rows["language"].to_numpy().astype(np.uint64), out)
        return out


def combined(batches: Iterable[pa.RecordBatch], values: Mapping[str, str]) -> pa.RecordBatch:
    """Return one row for each group of rows that agree in all columns except those in `values`.

    `values` maps a column to the name of its aggregation.
    """
    combine = partial(_combined, values=values)
    return combine(gather_reduced(batches, combine, HELD_BYTES))


def _combined(batches: list[pa.RecordBatch], values: Mapping[str, str]) -> pa.RecordBatch:
    schema = batches[0].schema
    key = [name for name in schema.names if name not in values]
    groups = pa.Table.from_batches(batches).group_by(key, use_threads=False)
    found = groups.aggregate([*values.items()])
    columns = [found[f"{name}_{values[name]}" if name in values else name] for name in schema.names]
    return one_batch(pa.table(columns, schema=schema))


def numbers_of(codes: pa.Array) -> pa.Array:
    """Return the index in languages.csv of each language code, as int16; null for null and for an unknown code."""
    return pc.index_in(codes, _CODES).cast(LANGUAGE.type)


def codes_of(rows: pa.RecordBatch) -> pa.Array:
    """Return the language code of each row, given rows whose column `language` has indices in languages.csv."""
    return _CODES.take(rows["language"])


@dataclass(frozen=True)
class Percentile:
    """A percentile, `value`, of a language's values; `number` is how many values the language has."""

    number: int
    value: float


def percentiles(engine: Engine, files: list[OwnFile], percent: float, work: Path) -> dict[str, Percentile]:
    """Return, by language, the `percent`th percentile of the float64 column `value` of files, as NumPy computes it.

    A first pass counts rows by narrow ranges of values. A second pass counts rows by value, but only in the ranges that
    hold the two neighbours of the percentile. `work` is a folder for these counts.
    """
    numbers, before, holding = {}, {}, {}
    for code, keys, ends in _counted(engine, files, _range, make_folder(work / "ranges")):
        numbers[code] = int(ends[-1])
        first, last = np.searchsorted(ends, percentile_ranks(numbers[code], percent), side="right").tolist()
        before[code] = ends[first - 1] if first else 0
        holding[code] = keys[[first, last]]
    found = {}
    for code, values, ends in _counted(engine, files, partial(_value, holding=holding), make_folder(work / "values")):
        ranks = percentile_ranks(numbers[code], percent) - before[code]
        low, high = values[np.searchsorted(ends, ranks, side="right")].tolist()
        found[code] = Percentile(numbers[code], percentile((low, high), numbers[code], percent))
    return found


def _counted(
    engine: Engine, files: list[OwnFile], keys_of: Callable[[str, np.ndarray], np.ndarray], folder: Path
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each language's code, distinct keys in ascending order, and the cumulative number of rows up to each key.

    A row's key is computed from its column `value` by `keys_of(code, values)`. Tasks write counts to files in `folder`.
    """
    items = spread(files, engine)
    partitions = min(len(items), len(LANGUAGES))
    engine.exchange(items, partial(_send_keys, keys_of=keys_of), partial(_add_up, folder=folder), partitions)
    for partition in range(partitions):
        counts = read_table(file_of(folder, partition)).sort_by([("language", "ascending"), ("key", "ascending")])
        for number in counts["language"].unique().to_pylist():
            own = counts.filter(pc.equal(counts["language"], number))
            yield LANGUAGES[number].code, own["key"].to_numpy(), np.cumsum(own["count"])


def _send_keys(files: list[OwnFile], _: Tallies, keys_of: Callable[[str, np.ndarray], np.ndarray]) -> Iterator[Block]:
    sums: dict[str, Counter[float]] = defaultdict(Counter)
    for code, rows in by_language(rows_of(files, ["language", "value"])):
        keys, counts = np.unique(keys_of(code, rows["value"].to_numpy()), return_counts=True)
        sums[code].update(dict(zip(keys.tolist(), counts.tolist(), strict=True)))
    packer = Packer(len(LANGUAGES))
    for code, own in sums.items():
        number = np.repeat(numbers_of(pa.array([code])).to_numpy(), len(own))
        rows = pa.RecordBatch.from_arrays([pa.array(number), [*own], [*own.values()]], schema=_KEYS)
        yield from packer.add(rows, number)
    yield from packer.finish()


def _add_up(partition: int, blocks: Iterator[bytes], folder: Path) -> Tallies:
    with part_writer(file_of(folder, partition).path, _KEYS, _ROWS) as writer:
        rows = [unpack(block, _KEYS) for block in blocks]
        if rows:
            writer.write(combined(rows, _SUMS))
    return Tallies()


def file_of(folder: Path, partition: int) -> OwnFile:
    """Return the Parquet file in `folder` that the task of a partition writes, without a checksum."""
    return OwnFile(folder / f"{partition:05}.parquet", None, AGAIN)


def _range(_: str, values: np.ndarray) -> np.ndarray:
    return np.floor(values * FINENESS)


def _value(code: str, values: np.ndarray, holding: Mapping[str, np.ndarray]) -> np.ndarray:
    return values[np.isin(_range(code, values), holding[code])]


def rows_of(files: list[OwnFile], columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
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
    (low, high), place = neighbours, (number - 1) * (percent / 100)
    share = place - int(place)
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


def write_best(engine: Engine, candidates: Sequence[Rows], name: str, taken: Mapping[str, int], path: Path) -> Tallies:
    """Write the rows with the highest scores of each language to a file; ties go to the entry that sorts first.

    `candidates` are functions that yield batches with the schema RATED, of any languages. `taken` maps each language to
    the number of rows to write. `path` has {language} for the code. Return tallies: the number of written rows under
    `name`, and the files' checksums.
    """
    codes = sorted(taken)
    if not codes:
        return Tallies()
    receive = partial(_write, codes=codes, name=name, taken=taken, pattern=str(path))
    return engine.exchange([*candidates], partial(_send_rated, codes=codes), receive, len(codes))


def _send_rated(rows: Rows, _: Tallies, codes: list[str]) -> Iterator[Block]:
    packer, known = Packer(len(codes)), pa.array(codes)
    for batch in rows():
        yield from packer.add(batch, pc.index_in(batch["language"], known).to_numpy())
    yield from packer.finish()


def _write(
    partition: int, blocks: Iterator[bytes], codes: list[str], name: str, taken: Mapping[str, int], pattern: str
) -> Tallies:
    code, tallies = codes[partition], Tallies()
    best = partial(_best, most=taken[code])
    found = gather_reduced((unpack(block, RATED) for block in blocks), best, _HELD_BYTES)
    if found:
        path = Path(pattern.replace("{language}", code))
        with part_writer(path, CHOSEN, _ROWS) as writer:
            writer.write(best(found).select(CHOSEN.names).cast(CHOSEN))
        tallies.add(name, writer.rows, code)
        tallies.add(*recorded(path.name, writer.checksum), code)
    return tallies


def _best(batches: list[pa.RecordBatch], most: int) -> pa.RecordBatch:
    """Return the `most` rows with the highest scores, sorted by descending score and then by entry."""
    rows = pa.Table.from_batches(batches)
    order = pc.sort_indices(rows, [("score", "descending"), ("entry", "ascending")])
    return one_batch(rows.take(order.slice(0, most)))
