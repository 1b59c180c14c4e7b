"""Find the columns of pairs in Spark tables, and copy tables of a catalog to Parquet files that a run reads as inputs.

Copied files are named by a digest of their content, so an unchanged table gives the same inputs in every run.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pyarrow as pa
from pyspark import TaskContext
from pyspark.errors import PySparkException, PySparkTypeError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructField, StructType

from curation.inputs.files import checked_parts
from curation.inputs.tables.columns import FLAG, TABLE_PREFIX, TableOptions, folder_of, named_columns
from curation.inputs.tables.parquet_tables import string_columns
from runtime.arrow import as_bytes
from runtime.engine import Engine
from runtime.engine.spark import Spark, map_batches
from runtime.errors import InputError
from runtime.folders.descriptor import Kind, complete
from runtime.folders.stamps import Input
from runtime.messages import no_column
from runtime.redaction import hidden
from runtime.session import session
from runtime.storage.checksums import checksum_of, content_digest
from runtime.storage.parquet import part_writer
from runtime.storage.paths import files, make_folder, remove
from runtime.storage.scratch import staged
from runtime.storage.whole import whole
from runtime.terminal import say

ROW_GROUP = 100_000
TABLE = Kind("a copied table", "clip-curate")
COPIED = pa.schema([pa.field("name", pa.string()), pa.field("size", pa.int64()), pa.field("checksum", pa.string())])


def session_for(engine: Engine, tables: Sequence[str]) -> SparkSession:
    """Return the session that reads tables: the engine's, the active one, or one that starts now."""
    if isinstance(engine, Spark):
        return engine.session
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    say(f"Spark starts now, because it reads {TABLE_PREFIX}{tables[0]}")
    return session("curate")


def copied_inputs(spark: SparkSession, table: str, columns: TableOptions, tables: Path) -> list[Input]:
    """Copy a table's columns of pairs into a folder below `tables`; return the files as inputs.

    The folder is named after the table. Each non-empty partition becomes one Parquet file. Files of an earlier copy
    that this copy did not write are removed. InputError if Spark cannot read the table or the table has no such
    columns.
    """
    rows, schema = _columns(_opened(spark, table), columns, f"{TABLE_PREFIX}{table}")
    folder = make_folder(tables / folder_of(table))
    remove(folder / TABLE.descriptor)
    written = map_batches(rows, lambda batches: _copy(batches, schema, folder), COPIED).collect()
    copied = {row["name"]: row["size"] for row in written}
    checksums = {row["name"]: row["checksum"] for row in written}
    for path in files(folder):
        if path.name not in copied:
            remove(path)
    complete(folder, TABLE.content(hidden(table), checksums, {}))
    inputs = (
        Input(hidden(str(folder / name)), "parquet", size, file_size=size) for name, size in sorted(copied.items())
    )
    return [*chain.from_iterable(checked_parts(source, columns) for source in inputs)]


def _opened(spark: SparkSession, table: str) -> DataFrame:
    try:
        return spark.table(table)
    except PySparkException as error:
        if "TABLE_OR_VIEW_NOT_FOUND" in str(error):
            remedy = "check the spelling, or also name its catalog and database, as in table:CATALOG.DATABASE.TABLE"
            raise InputError(f"Spark's catalog has no table {table}; {remedy}") from None
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"Spark cannot read {TABLE_PREFIX}{table} as a table: {reason}") from None


def _columns(frame: DataFrame, options: TableOptions, name: str) -> tuple[DataFrame, pa.Schema]:
    """Return the columns of pairs, renamed to c0, c1, ..., and the schema of the copy, with the original names."""
    names = list(dict.fromkeys(pair_columns(frame, options, name, FLAG).values()))
    schema = pa.schema([pa.field(name, pa.binary()) for name in names])
    return selected(frame, ((f"c{number}", column) for number, column in enumerate(names))), schema


def _copy(batches: Iterable[pa.RecordBatch], schema: pa.Schema, folder: Path) -> Iterator[pa.RecordBatch]:
    """Write one partition into a Parquet file; yield one row with the file's name and size in bytes.

    Strings are copied as bytes. An empty partition writes no file and yields nothing.
    """
    with staged() as local:
        path = local / "part"
        with part_writer(path, schema, ROW_GROUP) as writer:
            for batch in batches:
                columns = [as_bytes(column).cast(pa.binary()) for column in batch.columns]
                writer.write(pa.RecordBatch.from_arrays(columns, schema=schema))
        if not writer.rows:
            return
        digest = content_digest(path)
        checksum = checksum_of(path)
        size = path.stat().st_size
        task = TaskContext.get()
        name = f"{task.partitionId() if task else 0:05d}-{digest}.parquet"
        if not (folder / name).exists() or content_digest(folder / name) != digest:
            with whole(folder / name) as partial_file:
                shutil.move(path, partial_file)
    yield pa.RecordBatch.from_pydict({"name": [name], "size": [size], "checksum": [checksum]}, schema=COPIED)


def pair_columns(frame: DataFrame, options: TableOptions, name: str, naming: str) -> dict[str, str]:
    """Return the name of the DataFrame's column for each field of a pair, such as `url`, by field.

    InputError if the table has no such columns or if a column does not hold strings. The error calls the table
    `name`, and tells a user with the phrase `naming` how to name a column.
    """
    wanted = set(named_columns(frame.columns, options, name, naming).values())
    fields = [_arrow_field(field, name) for field in frame.schema.fields if field.name in wanted]
    return string_columns(pa.schema(fields), options, name, naming)


def selected(frame: DataFrame, columns: Iterable[tuple[str, str]]) -> DataFrame:
    """Return a DataFrame with these columns, given as pairs (new name, existing name).

    Columns are selected by position: by name, Spark would take url and URL for the same column, and a dot for a
    struct's member.
    """
    numbers = {name: number for number, name in enumerate(frame.columns)}
    numbered = frame.toDF(*(f"c{number}" for number in range(len(numbers))))
    return numbered.selectExpr(*(f"c{numbers[old]} as `{new}`" for new, old in columns))


def require_columns(frame: DataFrame, names: Iterable[str], maker: str) -> None:
    """Refuse a DataFrame that lacks one of the columns `names`, which the function `maker` would have written."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise no_column("the DataFrame", missing, frame.columns, f"pass the result of curation.dataframes.{maker}")


def _arrow_field(field: StructField, name: str) -> pa.Field:
    kind = field.dataType.simpleString()
    if "timestamp" not in kind:  # Some versions of pyspark need a time zone for timestamps.
        with suppress(PySparkTypeError):
            return to_arrow_schema(StructType([field])).field(0)
    raise InputError(f"column {field.name} of {name} has the type {kind}; expected strings: name another column")
