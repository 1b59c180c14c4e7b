"""Find near copies among the hashes of all images, on Spark, and map each copy to the image that stays for it.

First, images with equal hashes are merged. To find hashes that differ in at most k bits, the bits are cut into k + 1
bands. Each distinct hash is sent to k + 1 tasks, one for the value of each band. These tasks write the pairs of hashes
within the distance k. If there are many pairs, joins in rounds decide most of them; one task sweeps over the rest in
order.

Hashes are sorted by their shuffled keys. A *leader* has no earlier leader within the distance; any other hash is a
*copy* of the first leader within the distance. So no two leaders are near each other, every copy is near its leader,
and neither the order nor the partitions of rows change the result. DESIGN.md gives the reasons, also for the rounds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from curation.config import require_distance
from curation.kernels.images import find_leaders
from curation.leaves.near_duplicates.index import (
    band_of,
    binaries_of_keys,
    hash_binaries,
    in_order,
    keys_of_hashes,
    pairs_in_band,
    shuffled,
    unshuffled,
    words_of_keys,
)
from runtime.buckets import Block, Packer, unpack
from runtime.engine.spark import Spark, map_batches, rows_in, stored
from runtime.errors import AGAIN, InputError
from runtime.shipping import require_shared
from runtime.storage.own_files import OwnFile, part_files
from runtime.storage.parquet import batches, part_writer
from runtime.storage.paths import make_folder, remove
from runtime.tallies import Tallies
from runtime.warming import compile_kernels

PARTITION_HASHES = 1 << 20  # the most hashes that a task compares, if a band has enough distinct values
SENT_HASHES = 1 << 17  # hashes that a task sends at a time
FIRST_SHARE = 256  # in a first round, the first 256th of all hashes is compared with all hashes
ONE_ROUND = 1 << 14  # the most hashes that are compared in one round
SWEPT_PAIRS = 1 << 24  # the most pairs that one task sorts and sweeps over
_ROW_GROUP = 1 << 17
_PAIRS = pa.schema([pa.field("later", pa.binary()), pa.field("earlier", pa.binary())])
_COPIES = pa.schema([pa.field("key", pa.binary()), pa.field("leader", pa.binary())])
_KEYED = pa.schema([pa.field("uid", pa.string()), pa.field("key", pa.binary())])
_SENT = pa.schema([_COPIES.field("key")])


@dataclass(frozen=True)
class Comparison:
    """A round of comparisons: the bits of a hash, the largest distance of a pair, and the number of parts of a band."""

    bits: int
    distance: int
    parts: int  # a power of two
    indexed_below: bytes | None  # only hashes with keys below this are compared with all hashes; None: all

    @property
    def partitions(self) -> int:
        """The number of tasks that compare: one for each part of each band."""
        return (self.distance + 1) * self.parts


def copies_of(images: DataFrame, distance: int, work: str | Path, bits: int = 64) -> DataFrame:
    """Return the images that belong to a group of copies, with `copy_of`: the uid of the image that stays.

    `images` has one row per image, with `uid` and `hash` (bytes or hexadecimal digits of `bits` bits); an image without
    a hash has no copies. Instead of `hash` it may have `key` (from `keys_of_hashes`) and any other columns, which are
    kept. `images` is read several times. Of images with equal hashes, the one with the smallest uid stays. Hashes are
    near if they differ in at most `distance` bits. `work` is a local folder that all machines share, for intermediate
    files, from which the result is read.
    """
    require_distance(distance, bits)
    if "key" not in images.columns:
        return copies_of(_keyed(images, bits), distance, work, bits).select("uid", "copy_of")
    folder = make_folder(Path(work).absolute())
    require_shared(images.sparkSession, folder)
    compile_kernels({compare_some: 1})
    grouped = images.groupBy("key").agg({"uid": "min", "key": "count"}).select("key", "min(uid)", "count(key)")
    distinct = stored(grouped.toDF("key", "first", "copies"), folder / "distinct")
    return _named(images, distinct, _copies(distinct, distance, folder, bits))


def _keyed(images: DataFrame, bits: int) -> DataFrame:
    """Return uid and key of the images that have a hash; InputError if a column is missing."""
    if missing := {"uid", "hash"} - {*images.columns}:
        raise InputError(f"the images have no column {' and '.join(sorted(missing))}; give uid and hash of each")
    return map_batches(images.select("uid", "hash"), partial(_with_keys, bits=bits), _KEYED)


def _with_keys(rows: Iterable[pa.RecordBatch], bits: int) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        keys = keys_of_hashes(hash_binaries(batch["hash"], "hash"), bits)
        yield pa.RecordBatch.from_arrays([batch["uid"], keys], schema=_KEYED).filter(keys.is_valid())


def compare_some() -> None:
    """Find copies among a few hashes, so that Numba compiles the kernels before tasks need them."""
    for words in (1, 4):
        hashes = np.zeros((4, words), np.uint64)
        hashes[:, 0] = np.arange(4)
        keys = shuffled(hashes)
        for later, earlier in (pairs.T for pairs in pairs_in_band(unshuffled(keys), 1, len(keys), band=1)):
            Leaders(words).of(keys[later], keys[earlier])


def shares(number: int) -> tuple[int, ...]:
    """Return the divisor d of each round, for so many hashes.

    The first 1/d of the undecided hashes is compared with all undecided ones.
    """
    return (1,) if number <= ONE_ROUND else (FIRST_SHARE, 1)


class Leaders:
    """Finds each copy's leader in one sweep over all pairs, which come in batches, sorted by (later, earlier).

    `words` is the number of uint64 in a hash.
    """

    def __init__(self, words: int):
        self._copies, self._number = np.empty((1024, words), np.uint64), 0

    def of(self, later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
        """Return a bool per pair: True if the later hash is a copy, and the earlier one its leader.

        Both arrays are keys, uint64[pair, word].
        """
        if self._number + len(later) > len(self._copies):
            more = max(len(later), len(self._copies))
            self._copies = np.concatenate([self._copies, np.empty((more, self._copies.shape[1]), np.uint64)])
        out = np.empty(len(later), bool)
        self._number = find_leaders(later, earlier, self._copies, self._number, out)
        return out


def _copies(distinct: DataFrame, distance: int, folder: Path, bits: int) -> DataFrame:
    """Return the columns key and leader of the distinct hashes that are copies; both columns are keys."""
    spark, number, found = distinct.sparkSession, distinct.count(), []
    undecided, files = distinct.select("key"), folder / "distinct"
    for share in shares(number):
        limit = (2**64 // share).to_bytes(8, "big") if share > 1 else None
        comparison = Comparison(bits, distance, _parts(number, distance, bits), limit)
        remove(folder / f"pairs-{share}")
        pairs = make_folder(folder / f"pairs-{share}")
        send, receive = partial(_send, comparison=comparison), partial(_compare, comparison=comparison, folder=pairs)
        counted = Spark(spark).exchange(part_files(files), send, receive, comparison.partitions)
        rows, work = rows_in(spark, pairs, from_arrow_schema(_PAIRS)), folder / f"rounds-{share}"
        found.append(stored(_led(rows, int(counted["pairs"]), work, bits), folder / f"copies-{share}"))
        if limit is not None:
            left = undecided.where(f"key >= x'{limit.hex()}'").join(found[-1], on="key", how="left_anti")
            undecided = stored(left, files := folder / f"undecided-{share}")
    return reduce(DataFrame.union, found)


def _led(pairs: DataFrame, number: int, work: Path, bits: int) -> DataFrame:
    """Return the columns key and leader of the copies among `number` pairs, which have the columns later and earlier.

    If there are many pairs, joins decide most of them in rounds: a hash that is not the later one of any pair is a
    leader, and the later hashes of its pairs are copies. One task sweeps over the remaining pairs.
    """
    left, decided = pairs, list[DataFrame]()
    while number > SWEPT_PAIRS:
        leaders = _keys(left, "earlier").distinct().join(_keys(left, "later"), on="key", how="left_anti")
        copies = _keys(left.join(leaders, on=left["earlier"] == leaders["key"], how="left_semi"), "later").distinct()
        decided.append(stored(copies, work / f"copies-{len(decided)}"))
        for side in ("later", "earlier"):
            left = left.join(decided[-1], on=left[side] == decided[-1]["key"], how="left_anti")
        left = stored(left, work / f"left-{len(decided)}")
        number = left.count()
    swept = map_batches(
        left.repartition(1).sortWithinPartitions("later", "earlier"), partial(_swept, bits=bits), _COPIES
    )
    if not decided:
        return swept
    copies = reduce(DataFrame.union, [*decided, swept.select("key")])
    leading = pairs.join(copies, on=pairs["earlier"] == copies["key"], how="left_anti")
    return leading.groupBy("later").agg({"earlier": "min"}).toDF("key", "leader")


def _keys(pairs: DataFrame, side: str) -> DataFrame:
    return pairs.selectExpr(f"{side} as key")


def _named(images: DataFrame, distinct: DataFrame, copies: DataFrame) -> DataFrame:
    """Return the images that belong to a group of copies, with `copy_of`, the uid of the image that stays.

    `distinct` has key, first (uid) and copies (number of images) of each hash, `copies` the key and leader of each
    copy.
    """
    led = distinct.join(copies, on="key", how="left").selectExpr("key", "copies", "coalesce(leader, key) as leader")
    sizes = led.groupBy("leader").agg({"copies": "sum"}).toDF("leader", "size").where("size > 1")
    staying = distinct.selectExpr("key as leader", "first as copy_of")
    of_key = led.select("key", "leader").join(sizes, on="leader", how="inner").join(staying, on="leader", how="inner")
    return images.join(of_key.select("key", "copy_of"), on="key", how="inner")


def _parts(number: int, distance: int, bits: int) -> int:
    """Return the number of parts of each band, a power of two, so that a task compares about a million hashes."""
    wanted = max(0, -(-number // PARTITION_HASHES) - 1).bit_length()
    return 1 << min(wanted, bits // (distance + 1))


def _send(file: Path, _: Tallies, comparison: Comparison) -> Iterator[Block]:
    """Yield the keys in a file of distinct hashes, once for each band, in blocks by the value of the band."""
    packer = Packer(comparison.partitions)
    for batch in batches(OwnFile(file, None, AGAIN), SENT_HASHES, ["key"]):
        keys = words_of_keys(batch["key"], comparison.bits)
        words = unshuffled(keys)
        for band in range(comparison.distance + 1):
            partitions = band * comparison.parts + band_of(words, band, comparison.distance) % comparison.parts
            yield from packer.add(pa.RecordBatch.from_arrays([binaries_of_keys(keys)], schema=_SENT), partitions)
    yield from packer.finish()


def _compare(partition: int, blocks: Iterator[bytes], comparison: Comparison, folder: Path) -> Tallies:
    """Write the pairs within the distance among the hashes of a partition, and tally their number as `pairs`."""
    bits, limit = comparison.bits, comparison.indexed_below
    received = [words_of_keys(unpack(block, _SENT)["key"], bits) for block in blocks]
    keys = np.concatenate([np.empty((0, bits // 64), np.uint64), *received])
    keys = keys[in_order(keys)]
    indexed = len(keys) if limit is None else int(np.searchsorted(keys[:, 0], np.uint64(int.from_bytes(limit, "big"))))
    band = partition // comparison.parts
    with part_writer(folder / f"{partition:05d}.parquet", _PAIRS, _ROW_GROUP) as writer:
        for pairs in pairs_in_band(unshuffled(keys), comparison.distance, indexed, band):
            columns = [binaries_of_keys(keys[side]) for side in pairs.T]
            writer.write(pa.RecordBatch.from_arrays(columns, schema=_PAIRS))
    return Tallies([{"name": "pairs", "language": None, "value": writer.rows}])


def _swept(rows: Iterable[pa.RecordBatch], bits: int) -> Iterator[pa.RecordBatch]:
    """Yield each copy with its leader, as rows of _COPIES, given all pairs sorted by (later, earlier)."""
    leaders = Leaders(bits // 64)
    for batch in rows:
        is_led = leaders.of(words_of_keys(batch["later"], bits), words_of_keys(batch["earlier"], bits))
        yield pa.RecordBatch.from_arrays(list(batch.filter(pa.array(is_led)).columns), schema=_COPIES)
