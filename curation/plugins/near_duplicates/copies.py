"""Find near copies among the hashes of all images, and map each copy to the image that stays for it.

First, images with equal hashes are merged. To find hashes that differ in at most k bits, the bits are cut into k + 1
bands. Each distinct hash is sent to k + 1 tasks, one for the value of each band. These tasks write the pairs of hashes
within the distance k. If there are many pairs, rounds decide most of them; one task sweeps over the rest in order.

Hashes are sorted by their shuffled keys. A *leader* has no earlier leader within the distance; any other hash is a
*copy* of the first leader within the distance. So no two leaders are near each other, every copy is near its leader,
and neither the order nor the files of rows change the result. DESIGN.md gives the reasons, also for the rounds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import require_distance
from curation.image_ids import uid_hashes
from curation.plugins.near_duplicates import index
from curation.plugins.near_duplicates.kernels.hamming import find_leaders
from runtime.arrow import gather_reduced, one_batch
from runtime.buckets import BUCKET_BYTES, Store, group_buckets, keys_in, packed, rows_of_block
from runtime.cogroup import PLACE, SIDE, Grouping, Rows, Side, cogroup
from runtime.engine import Engine, EngineLike, started
from runtime.errors import AGAIN
from runtime.progress import Progress
from runtime.storage.own_files import OwnFile, part_files
from runtime.storage.parquet import batches, part_writer, row_counts
from runtime.storage.paths import local_folder, make_folder, remove
from runtime.tallies import Tallies, TaskResult
from runtime.warming import Call, compile_kernels

PARTITION_HASHES = 1 << 20  # the most hashes that a task compares, if a band has enough distinct values
SENT_HASHES = 1 << 17  # the hashes that a task sends at a time
FIRST_SHARE = 256  # In a first round, the first 256th of all hashes is compared with all hashes.
ONE_ROUND = 1 << 14  # One round compares all hashes if there are no more than this.
SWEPT_PAIRS = 1 << 24  # the most pairs that one task sorts and sweeps over
_ROW_GROUP = 1 << 17
_KEY = pa.field("key", pa.binary())
IMAGES = pa.schema([*PLACE, ("uid", pa.string()), _KEY])  # `key` is the key of an image's hash.
COPIES = IMAGES.append(pa.field("copy_of", pa.string()))  # `copy_of` is the uid of the image that stays.
_DISTINCT = pa.schema([_KEY, ("first", pa.string()), ("copies", pa.int64())])
_SENT = pa.schema([("partition", pa.int64()), _KEY])
_PAIRS = pa.schema([("later", pa.binary()), ("earlier", pa.binary())])
_ENDS = pa.schema([_KEY, ("later", pa.binary())])  # A pair is two rows: (earlier, later) and (later, null).
_LATER = pa.schema([_ENDS.field("later")])
_LED = pa.schema([_KEY, ("leader", pa.binary())])
_GROUPED = pa.schema([*_DISTINCT, ("leader", pa.binary())])
_NAMED = pa.schema([_KEY, COPIES.field("copy_of")])


def leading_bits(rows: pa.RecordBatch, *, column: str, bits: int) -> np.ndarray:
    """Return a uint64 key of each row: the first 64 bits of the hash key, of `bits` bits, in a column."""
    return index.words_of_keys(rows[column], bits)[:, 0].copy()


BucketFunction = Callable[..., Iterable[pa.RecordBatch]]  # Such a function takes the rows of a bucket, and more.


def write_buckets(
    task: int,
    buckets: Iterator[Rows],
    tallies: Tallies,
    folder: Path,
    schema: pa.Schema,
    function: BucketFunction,
    *more: Any,
) -> None:
    """Write the rows that `function(bucket, *more)` yields for a task's buckets to one file; tally them as `rows`."""
    with part_writer(folder / f"{task:05d}.parquet", schema, _ROW_GROUP) as writer:
        for rows in each_bucket(task, buckets, tallies, function, *more):
            writer.write(rows)
    tallies.add("rows", writer.rows)


def each_bucket(task: int, buckets: Iterator[Rows], tallies: Tallies, function: BucketFunction, *more: Any) -> Rows:
    """Yield the rows that `function(bucket, *more)` yields for each bucket of a task."""
    return chain.from_iterable(function(bucket, *more) for bucket in buckets)


def read_columns(_: int, file: OwnFile, tallies: Tallies, names: Mapping[str, str]) -> Rows:
    """Yield the columns of a Parquet file that are keys of `names`, under the new names that are its values."""
    for batch in batches(file, columns=[*names]):
        yield pa.RecordBatch.from_arrays([batch[name] for name in names], [*names.values()])


def _missing(bucket: Rows, column: str) -> Rows:
    """Yield the rows of side 0, without SIDE, whose value in a column is in no row of another side."""
    rows = pa.concat_batches([*bucket])
    is_left = pc.equal(rows[SIDE.name], 0)
    left = rows.filter(is_left).select([name for name in rows.schema.names if name != SIDE.name])
    others = rows[column].filter(pc.invert(is_left))
    yield left.filter(pc.invert(pc.is_in(left[column], value_set=others)))


@dataclass(frozen=True)
class Comparison:
    """A round of comparisons: bits per hash, the largest distance of a pair, and parts per band."""

    bits: int
    distance: int
    parts: int  # a power of two
    indexed_below: bytes | None  # Only hashes with keys below this (None: all hashes) are compared with all hashes.
    folder: Path  # The files of pairs are written to it.

    @property
    def partitions(self) -> int:
        """The number of tasks that compare: one for each part of each band."""
        return (self.distance + 1) * self.parts

    def read(self, _: int, file: OwnFile, tallies: Tallies) -> Rows:
        """Yield rows of _SENT: each key in a file, once for each band, with the number of the task that compares it."""
        for batch in batches(file, SENT_HASHES, ["key"]):
            keys = index.words_of_keys(batch["key"], self.bits)
            words = index.unshuffled(keys)
            binaries = index.binaries_of_keys(keys)
            for band in range(self.distance + 1):
                partitions = band * self.parts + index.band_of(words, band, self.distance) % self.parts
                yield pa.RecordBatch.from_arrays([pa.array(partitions), binaries.cast(pa.binary())], schema=_SENT)

    def keys(self, rows: pa.RecordBatch) -> np.ndarray:
        """Return a sort key, uint64, of each row of _SENT, by which it is sent to the task of its partition."""
        return keys_in(rows["partition"].to_numpy(), self.partitions)

    def compare(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> None:
        """Write the pairs within the distance among the hashes of a task, and tally their number as `pairs`."""
        received = [index.words_of_keys(rows["key"], self.bits) for rows in chain.from_iterable(buckets)]
        keys = np.concatenate([np.empty((0, self.bits // 64), np.uint64), *received])
        keys = keys[np.lexsort(keys.T[::-1])]
        limit = self.indexed_below
        indexed = len(keys)
        if limit is not None:
            indexed = int(np.searchsorted(keys[:, 0], np.uint64(int.from_bytes(limit, "big"))))
        with part_writer(self.folder / f"{task:05d}.parquet", _PAIRS, _ROW_GROUP) as writer:
            for pairs in index.pairs_in_band(index.unshuffled(keys), self.distance, indexed, task // self.parts):
                columns = [index.binaries_of_keys(keys[side]) for side in pairs.T]
                writer.write(pa.RecordBatch.from_arrays(columns, schema=_PAIRS))
        tallies.add("pairs", writer.rows)


def _sweep(task: int, buckets: Iterator[Rows], tallies: Tallies, bits: int, folder: Path) -> None:
    """Write the copies and their leaders, as rows of _LED, to one file, given all pairs in the order of keys."""
    leaders = Leaders(bits // 64)
    with part_writer(folder / f"{task:05d}.parquet", _LED, _ROW_GROUP) as writer:
        for bucket in buckets:
            rows = pa.concat_batches([*bucket])
            later = index.words_of_keys(rows["later"], bits)
            earlier = index.words_of_keys(rows["earlier"], bits)
            order = np.lexsort([*earlier.T[::-1], *later.T[::-1]])
            led = order[leaders.of(later[order], earlier[order])]
            writer.write(pa.RecordBatch.from_arrays(rows.take(pa.array(led)).columns, schema=_LED))


def _read_hashes(_: int, file: OwnFile, tallies: Tallies, name: str, bits: int) -> Rows:
    """Yield uid and key of the images in a file that have a hash, of `bits` bits, in the column `name`."""
    for batch in batches(file, columns=["uid", name]):
        keys = index.keys_of_hashes(index.hash_binaries(batch[name], name), bits).cast(pa.binary())
        rows = pa.RecordBatch.from_arrays([batch["uid"].cast(pa.string()), keys], ["uid", "key"])
        yield rows.filter(keys.is_valid())


def copies_of(
    hashes: str | PathLike[str], column: str, distance: int, output: str | PathLike[str], engine: EngineLike = None
) -> list[Path]:
    """Write the images that belong to a group of copies, with `copy_of`: the uid of the image that stays.

    `hashes` is a folder of Parquet files with one row per image: its `uid`, and its hash in `column`, as bytes or
    hexadecimal digits; an image without a hash has no copies. If images have equal hashes, the image with the smallest
    uid stays. Hashes are near if they differ in at most `distance` bits. `output` is a folder that all machines see.
    Return the Parquet files in it, with the columns `uid` and `copy_of`.
    """
    files = [OwnFile(path, None, AGAIN) for path in part_files(Path(hashes))]
    rows_of_hashes = chain.from_iterable(batches(file, columns=[column]) for file in files)
    bits = index.hash_bits((batch[column] for batch in rows_of_hashes), column)
    folder = make_folder(local_folder(output).absolute())
    images = Side(files, _read_hashes, float(sum(row_counts(files))), more=(column, bits))
    search = NearCopies(started(engine, Progress(), folder), distance, bits, folder / "work")
    schema = pa.schema([COPIES.field(name) for name in ("uid", "copy_of")])
    buckets, tasks = group_buckets(images.rows or 0)
    search.mark(images, Grouping(schema, _keys_of_uids, write_buckets, buckets, tasks, (folder, schema, list)))
    remove(folder / "work")
    return [file.path for file in _files(folder, tasks)]


class NearCopies:
    """A search for near copies, whose intermediate files are in `work`, a folder that all machines see.

    Hashes of `bits` bits are near if they differ in at most `distance` bits.
    """

    def __init__(self, engine: Engine, distance: int, bits: int, work: Path) -> None:
        require_distance(distance, bits)
        self._engine = engine
        self._distance = distance
        self._bits = bits
        self._work = work

    def mark(self, images: Side, after: Grouping) -> TaskResult:
        """Send the images that belong to a group of copies to `after`, with the columns of COPIES that its schema has.

        `images`, which are read twice, have columns of IMAGES; `keys_of_hashes` makes `key`. If images have equal
        hashes, the image with the smallest uid stays. Return the tallies of `after`.
        """
        compile_kernels(COMPARISONS)
        rows = images.rows or 0
        writing, distinct = self._to_files("distinct", IMAGES, "key", _DISTINCT, _merged, rows)
        number = int(cogroup(self._engine, [images], writing)["rows"])
        led = self._led_in_rounds(distinct, number)
        sides = [_side(distinct, number, *_DISTINCT.names), _side(led, number, *_LED.names)]
        leading = self._by("key", _GROUPED, _with_leaders, number)
        writing, named = self._to_files("named", _GROUPED, "leader", _NAMED, _names, number)
        cogroup(self._engine, sides, leading, writing)
        marking = self._by("key", COPIES, _marked, rows, after.schema.names)
        return cogroup(self._engine, [images, _side(named, number, *_NAMED.names)], marking, after)

    def _led_in_rounds(self, distinct: list[OwnFile], number: int) -> list[OwnFile]:
        """Return files of _LED with all copies among `number` distinct hashes."""
        undecided = distinct
        led = list[OwnFile]()
        for share in shares(number):
            limit = (2**64 // share).to_bytes(8, "big") if share > 1 else None
            folder = self._folder(f"pairs-{share}")
            parts = _parts(number, self._distance, self._bits)
            comparison = Comparison(self._bits, self._distance, parts, limit, folder)
            tasks = comparison.partitions
            comparing = Grouping(_SENT, comparison.keys, comparison.compare, tasks, tasks)
            pairs = int(cogroup(self._engine, [Side(undecided, comparison.read)], comparing)["pairs"])
            copies = self._led(_files(folder, tasks), pairs, str(share))
            if limit is not None:
                left = Side(undecided, _read_keys, number, more=(limit,))
                others = [_side(copies, number, "key")]
                undecided, _ = self._without(left, others, "key", pa.schema([_KEY]), "undecided")
            led += copies
        return led

    def _led(self, pairs: list[OwnFile], number: int, name: str) -> list[OwnFile]:
        """Return files of _LED with the copies among `number` pairs, which are in files of _PAIRS.

        If there are many pairs, rounds decide most of them: a hash that is not the later hash of any pair is a leader,
        and the later hashes of its pairs are copies. One task sweeps over the remaining pairs.
        """
        left = pairs
        decided = list[OwnFile]()
        total = number
        while number > SWEPT_PAIRS:
            turn = f"{name}-{len(decided)}"
            writing, copies = self._to_files(f"copies-{turn}", _LATER, "later", _LATER, list, number)
            following = self._by("key", _ENDS, _followers, 2 * number)
            cogroup(self._engine, [Side(left, _read_ends, number)], following, writing)
            for side in _PAIRS.names:
                others = [Side(copies, read_columns, number, more=({"later": side},))]
                left, number = self._without(_side(left, number, *_PAIRS.names), others, side, _PAIRS, f"{side}-{turn}")
            decided += copies
        folder = self._folder(f"swept-{name}")
        keys = partial(leading_bits, column="later", bits=self._bits)
        buckets, _ = group_buckets(number)
        sweeping = Grouping(_PAIRS, keys, _sweep, buckets, 1, (self._bits, folder))
        cogroup(self._engine, [_side(left, number, *_PAIRS.names)], sweeping)
        swept = _files(folder, 1)
        if not decided:
            return swept
        sides = [
            _side(pairs, total, *_PAIRS.names),
            Side(decided, read_columns, total, more=({"later": "earlier"},)),
            Side(swept, read_columns, total, more=({"key": "earlier"},)),
        ]
        writing, led = self._to_files(f"led-{name}", _PAIRS, "later", _LED, _first_leaders, total)
        leading = self._by("earlier", _PAIRS.append(SIDE), _missing, total, "earlier")
        cogroup(self._engine, sides, leading, writing)
        return led

    def _without(
        self, left: Side, others: Sequence[Side], column: str, schema: pa.Schema, name: str
    ) -> tuple[list[OwnFile], int]:
        """Write the rows of `left` whose `column` value is in no row of `others`; return files and number of rows."""
        writing, files = self._to_files(name, schema.append(SIDE), column, schema, _missing, left.rows, column)
        return files, int(cogroup(self._engine, [left, *others], writing)["rows"])

    def _by(self, column: str, schema: pa.Schema, function: BucketFunction, rows: float, *more: Any) -> Grouping:
        """Return the grouping by a column, whose function is called for each bucket; there are about `rows` rows."""
        keys = partial(leading_bits, column=column, bits=self._bits)
        buckets, tasks = group_buckets(rows)
        return Grouping(schema, keys, each_bucket, buckets, tasks, more=(function, *more))

    def _to_files(
        self,
        name: str,
        schema: pa.Schema,
        column: str,
        to: pa.Schema,
        function: BucketFunction,
        rows: float | None,
        *more: Any,
    ) -> tuple[Grouping, list[OwnFile]]:
        """Return a grouping by a column, and the files that it writes to the folder `name`.

        The files have the rows, of the schema `to`, that `function` yields for each bucket.
        """
        folder = self._folder(name)
        buckets, tasks = group_buckets(rows or 0)
        keys = partial(leading_bits, column=column, bits=self._bits)
        writing = Grouping(schema, keys, write_buckets, buckets, tasks, (folder, to, function, *more))
        return writing, _files(folder, tasks)

    def _folder(self, name: str) -> Path:
        remove(self._work / name)
        return make_folder(self._work / name)


def _read_keys(_: int, file: OwnFile, tallies: Tallies, limit: bytes) -> Rows:
    """Yield the keys in a file that are not below `limit`."""
    for batch in batches(file, columns=["key"]):
        yield batch.filter(pc.greater_equal(batch["key"], pa.scalar(limit, pa.binary())))


def _marked(bucket: Rows, names_of_columns: Sequence[str]) -> Rows:
    """Yield, for the images in a bucket that belong to a group of copies, columns of COPIES: `names_of_columns`.

    Any number of images may have the same hash, so the Store holds the images.
    """
    named = [_NAMED.empty_table()]
    with Store() as store:
        for rows in bucket:
            is_name = rows["copy_of"].is_valid()
            named.append(pa.Table.from_batches([rows.filter(is_name).select(_NAMED.names)]))
            images = rows.filter(pc.invert(is_name))
            store.add(0, packed(images.serialize()))
        names = one_batch(pa.concat_tables(named))
        for block in store.take(0):
            images = rows_of_block(block.read(), COPIES)
            indices = pc.index_in(images["key"], value_set=names["key"])
            column = COPIES.get_field_index("copy_of")
            marked = images.set_column(column, COPIES.field(column), names["copy_of"].take(indices))
            yield marked.filter(indices.is_valid()).select(names_of_columns)


def _keys_of_uids(rows: pa.RecordBatch) -> np.ndarray:
    return uid_hashes(rows["uid"]).view(np.uint64)


def _side(files: Sequence[OwnFile], rows: float, *names: str) -> Side:
    return Side(files, read_columns, rows, more=({name: name for name in names},))


def _files(folder: Path, tasks: int) -> list[OwnFile]:
    return [OwnFile(folder / f"{task:05d}.parquet", None, AGAIN) for task in range(tasks)]


def _merged(bucket: Rows) -> Rows:
    """Yield a row of _DISTINCT for each key of the images in a bucket."""
    ones = (
        pa.RecordBatch.from_arrays([rows["key"], rows["uid"], pa.array(np.ones(len(rows), np.int64))], schema=_DISTINCT)
        for rows in bucket
    )
    if held := gather_reduced(ones, _by_key, BUCKET_BYTES):
        yield _by_key(held)


def _by_key(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    groups = pa.Table.from_batches(held).group_by("key", use_threads=False)
    return one_batch(groups.aggregate([("first", "min"), ("copies", "sum")]).rename_columns(_DISTINCT.names))


def _with_leaders(bucket: Rows) -> Rows:
    """Yield the distinct hashes of a bucket with their leaders; a hash that is not a copy is its own leader."""
    rows = pa.concat_batches([*bucket])
    distinct = rows.filter(rows["first"].is_valid())
    led = rows.filter(rows["leader"].is_valid())
    leaders = led["leader"].take(pc.index_in(distinct["key"], value_set=led["key"]))
    columns = [*distinct.columns[: len(_DISTINCT)], pc.coalesce(leaders, distinct["key"])]
    yield pa.RecordBatch.from_arrays(columns, schema=_GROUPED)


def _names(bucket: Rows) -> Rows:
    """Yield the key of each hash in a group of several images, with the uid of the image that stays."""
    rows = pa.concat_batches([*bucket])
    sizes = pa.Table.from_batches([rows]).group_by("leader", use_threads=False).aggregate([("copies", "sum")])
    several = one_batch(sizes.filter(pc.greater(sizes["copies_sum"], 1)))["leader"]
    rows = rows.filter(pc.is_in(rows["leader"], value_set=several))
    leading = rows.filter(pc.equal(rows["key"], rows["leader"]))
    stays = leading["first"].take(pc.index_in(rows["leader"], value_set=leading["key"]))
    yield pa.RecordBatch.from_arrays([rows["key"], stays], schema=_NAMED)


def _read_ends(_: int, file: OwnFile, tallies: Tallies) -> Rows:
    """Yield each pair of a file twice as rows of _ENDS: by its earlier hash, and by its later hash."""
    for batch in batches(file):
        yield pa.RecordBatch.from_arrays([batch["earlier"], batch["later"]], schema=_ENDS)
        yield pa.RecordBatch.from_arrays([batch["later"], pa.nulls(len(batch), pa.binary())], schema=_ENDS)


def _followers(bucket: Rows) -> Rows:
    """Yield the later hashes of pairs whose earlier hash is a leader because it is not the later hash of any pair."""
    rows = pa.concat_batches([*bucket])
    is_pair = rows["later"].is_valid()
    pairs = rows.filter(is_pair)
    later = rows["key"].filter(pc.invert(is_pair))
    yield pairs.filter(pc.invert(pc.is_in(pairs["key"], value_set=later))).select(["later"])


def _first_leaders(bucket: Rows) -> Rows:
    """Yield rows of _LED: each copy with its smallest leader; `bucket` has pairs of copies and leaders."""
    groups = pa.Table.from_batches(bucket).group_by("later", use_threads=False)
    yield one_batch(groups.aggregate([("earlier", "min")]).rename_columns(_LED.names).cast(_LED))


def compare_some() -> None:
    """Find copies among a few hashes, so that Numba compiles the kernels before tasks need them."""
    for words in (1, 4):
        hashes = np.zeros((4, words), np.uint64)
        hashes[:, 0] = np.arange(4)
        keys = index.order_keys(hashes)
        for pairs in index.pairs_in_band(index.unshuffled(keys), 1, len(keys), band=1):
            later, earlier = pairs.T
            Leaders(words).of(keys[later], keys[earlier])


COMPARISONS: dict[Call, int] = {compare_some: 6}  # a call that compiles the six kernels that find near copies


def shares(number: int) -> tuple[int, ...]:
    """Return the divisor d of each round, for a number of hashes.

    The first 1/d of the undecided hashes is compared with all undecided hashes.
    """
    return (1,) if number <= ONE_ROUND else (FIRST_SHARE, 1)


class Leaders:
    """Finds each copy's leader in one sweep over all pairs, which come in batches, sorted by (later, earlier).

    `words` is the number of uint64 in a hash.
    """

    def __init__(self, words: int):
        self._copies = np.empty((1024, words), np.uint64)
        self._number = 0

    def of(self, later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
        """Return a bool per pair: True if the later hash is a copy, and the earlier hash is its leader.

        Both arrays are keys, uint64[pair, word].
        """
        if self._number + len(later) > len(self._copies):
            more = max(len(later), len(self._copies))
            self._copies = np.concatenate([self._copies, np.empty((more, self._copies.shape[1]), np.uint64)])
        out = np.empty(len(later), bool)
        self._number = find_leaders(later, earlier, self._copies, self._number, out)
        return out


def _parts(number: int, distance: int, bits: int) -> int:
    """Return the number of parts of each band, a power of two, so that a task compares about a million hashes."""
    wanted = max(0, -(-number // PARTITION_HASHES) - 1).bit_length()
    return 1 << min(wanted, bits // (distance + 1))
