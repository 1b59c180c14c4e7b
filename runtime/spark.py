"""Run functions over items as Spark tasks, and ship artefacts to all machines.

Workers get numbers, paths and artefacts (`Shipped`, `Placed`) and open what these name. Stages that end in files write
them in the worker and return tallies (`run`), so that no rows go back through the JVM.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path
from socket import gethostname
from typing import Any
from uuid import uuid4

import pyarrow as pa
from pyspark import Accumulator, Broadcast, SparkFiles
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from runtime.counting import counting, follow
from runtime.errors import InputError
from runtime.failures import AGAIN
from runtime.own_folders import cache_folder
from runtime.shipping import pack, put, unpacked
from runtime.storage.addresses import known, learn
from runtime.storage.own_files import OwnFile, checksum_of, compared
from runtime.storage.paths import as_path, is_url, make_folder
from runtime.tallies import Tallies

NAMED = 3  # machines that a sentence names
SHARED = "give a folder that all machines share, or a URL"
# What tasks make of a few numbers (`over`) looks small to Spark, whatever its size: it would send all to each machine.
SHUFFLED_JOINS = {"spark.sql.autoBroadcastJoinThreshold": "-1"}
BLOCK = 16 << 20  # bytes of a row group that a JVM holds: Parquet's 128 MB are too many for two cores with 1 GB


Batches = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Shipped:
    """An artefact, a folder or a file, that workers open wherever they run."""

    source: Path  # on the driver's disk
    tar: str | None = None  # as Spark ships it; None where workers open the source itself
    checksum: str | None = None  # of a file; in folders the files that are mapped have their own

    def path(self) -> Path:
        """Return its path on this machine, in a worker; a file that is damaged since it was shipped is refused."""
        if self.tar is None:
            return compared(OwnFile(self.source, self.checksum, AGAIN))
        return self._in(unpacked(Path(SparkFiles.get(self.tar)), cache_folder()))

    def opened(self, open: Callable[[Path], Any]) -> Any:
        """Return what `open` makes of it, in a worker; a process opens it once."""
        return _opened(open, self.path())

    def _in(self, copy: Path) -> Path:
        """Return its path in a copy of this machine, which later jobs use, too: a damaged one is refused."""
        return compared(OwnFile(copy / self.source.name, self.checksum, f"delete {copy} and {AGAIN}"))


@dataclass(frozen=True)
class Placed(Shipped):
    """An artefact that lies, packed, where all machines see it: `tar` is its path or URL."""

    def path(self) -> Path:
        """Return its path on this machine, in a worker; each machine unpacks it once."""
        tar = as_path(str(self.tar))
        try:
            copy = unpacked(tar, cache_folder())
        except FileNotFoundError as error:
            raise InputError(f"{tar} is not seen by {gethostname()}; {SHARED}") from error
        return self._in(copy)


def sender(spark: SparkSession, folder: str | PathLike[str] | None, own: Path) -> Callable[[Path], Shipped]:
    """Return a function that brings artefacts of the local folder `own` to the workers of any session.

    They go through `folder`, a folder or URL that all machines see. Where it is None, Spark ships them; a session of
    Spark Connect can only if its workers see this machine's disk. InputError where workers do not see what they should.
    """
    if folder is not None:
        shared = as_path(folder)
        shared = shared if is_url(shared) else shared.absolute()
        make_folder(shared)
        require_shared(spark, shared)
        return lambda source: Placed(source, str(put(source, shared)), _checksum(source))
    if is_connect(spark):
        require_shared(spark, own, "name a folder that they see as `artefacts`, or a URL")
        return _opened_itself
    return partial(ship, spark)


def ship(spark: SparkSession, source: Path) -> Shipped:
    """Return an artefact for workers to open, which must not change any more; a local master's open `source` itself."""
    if is_local(spark):
        return _opened_itself(source)
    # Spark serves files from its root directory and removes them with the job; folders it can add in local mode only.
    tar = pack(source, Path(SparkFiles.getRootDirectory()))
    spark.sparkContext.addFile(str(tar))
    return Shipped(source, tar.name, _checksum(source))


def _opened_itself(source: Path) -> Shipped:
    return Shipped(source, checksum=_checksum(source))


def _checksum(source: Path) -> str | None:
    return checksum_of(source) if source.is_file() else None


@lru_cache(maxsize=8)
def _opened(open: Callable[[Path], Any], path: Path) -> Any:
    return open(path)


@contextmanager
def settings(spark: SparkSession, values: dict[str, str]) -> Iterator[None]:
    """Give a session these settings while a block runs."""
    before = {name: str(spark.conf.get(name)) for name in values}
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


def is_local(spark: SparkSession) -> bool:
    """Return whether the workers are processes of this machine that see all the driver sees."""
    if is_connect(spark):  # the server may be on any machine
        return False
    master = spark.sparkContext.master or ""
    return master == "local" or master.startswith("local[")


def is_connect(spark: SparkSession) -> bool:
    """Return whether a session is one of Spark Connect, which has neither a SparkContext nor a JVM of its own."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def require_shared(spark: SparkSession, folder: Path, remedy: str = SHARED) -> None:
    """Refuse a folder that workers on other machines do not see; a URL means the same to all."""
    if is_local(spark) or "://" in str(folder):
        return
    token = folder / f".seen-{uuid4().hex}"
    token.touch()
    try:
        hosts = spark.range(0, 1 << 20).mapInArrow(partial(_blind_hosts, token=str(token)), "host string")
        blind = sorted({row["host"] for row in hosts.collect()})
    finally:
        token.unlink(missing_ok=True)
    if blind:
        more = f" and {len(blind) - NAMED} more" if len(blind) > NAMED else ""
        raise InputError(f"{folder} is not seen by the workers on {', '.join(blind[:NAMED])}{more}; {remedy}")


def map_batches(rows: DataFrame, function: Batches, schema: pa.Schema) -> DataFrame:
    """Return the rows that `function` makes of the batches of each partition."""
    return rows.mapInArrow(function, from_arrow_schema(schema))


def stored(rows: DataFrame, folder: Path) -> DataFrame:
    """Write rows to a local folder that all machines share; return them as they are read from there.

    Unlike rows that Spark persists, they are not made again when an executor is lost.
    """
    rows.write.option("parquet.block.size", BLOCK).parquet(f"file://{folder.absolute()}", mode="overwrite")
    return rows_in(rows.sparkSession, folder, rows.schema)


def rows_in(spark: SparkSession, folder: Path, schema: StructType) -> DataFrame:
    """Return the rows of the Parquet files in a local folder that all machines share."""
    # Spark takes a path that it reads, not one that it writes, for a glob.
    escaped = re.sub(r"([\[\]{}*?\\])", r"\\\1", f"file://{folder.absolute()}")
    return spark.read.schema(schema).parquet(escaped)


def over(
    spark: SparkSession, items: list[Any], function: Callable[[Any], Iterator[pa.RecordBatch]], schema: pa.Schema
) -> DataFrame:
    """Return the rows that `function(item)` yields for each item, with one task an item."""
    numbers = spark.range(0, len(items), 1, max(1, len(items)))
    # A broadcast is unpacked once in a worker, the arguments of a function once in each task.
    each = spark.sparkContext.broadcast((items, function, known()))
    return map_batches(numbers, partial(_each, each=each, counter=follow(spark, items)), schema)


def run(
    spark: SparkSession, items: list[Any], function: Callable[[Any], Tallies], tasks_per_core: int | None = None
) -> Tallies:
    """Return the sums of what `function(item)` tallies.

    Each item has a task of its own. `tasks_per_core` limits their number, and tasks then take several items in turn: a
    task costs the JVM a tenth of a second, as much as a short item costs the worker.

    This is no DataFrame: the JVM takes longer to plan and compile one than many a stage runs.
    """
    each = spark.sparkContext.broadcast((items, function, known()))
    most = tasks_per_core * spark.sparkContext.defaultParallelism if tasks_per_core else len(items)
    numbers = spark.sparkContext.parallelize(range(len(items)), max(1, min(len(items), most)))
    rows_of = partial(_rows_of, each=each, counter=follow(spark, items))
    return Tallies(row for rows in numbers.map(rows_of).collect() for row in rows)


def collected(rows: DataFrame) -> Tallies:
    """Return the tallies in the rows of a stage."""
    return Tallies(row.asDict() for row in rows.collect())


def _blind_hosts(batches: Iterable[pa.RecordBatch], token: str) -> Iterator[pa.RecordBatch]:
    """Yield the name of this machine if it does not see the driver's file."""
    for _ in batches:
        pass
    if not Path(token).exists():
        yield pa.RecordBatch.from_pydict({"host": [gethostname()]})


def _rows_of(number: int, each: Broadcast, counter: Accumulator) -> list[dict]:
    # After each task Spark lets Python look for garbage, among all objects there are: what libraries made stays, and
    # looking at it again and again takes a tenth of a worker's time.
    gc.freeze()
    items, function, addresses = each.value
    learn(addresses)
    with counting(items[number], counter):
        return function(items[number]).rows()


def _each(batches: Iterable[pa.RecordBatch], each: Broadcast, counter: Accumulator) -> Iterator[pa.RecordBatch]:
    items, function, addresses = each.value
    learn(addresses)
    for batch in batches:
        for number in batch["id"].to_pylist():
            with counting(items[number], counter):
                yield from function(items[number])
