"""Join what tables say of images to the images, and bring the verdicts to the tasks that rewrite the images' files.

Of several rows of an image the one that meets the most conditions counts: of several tries, one that succeeded.
Conditions over columns of tables are evaluated with Spark's SQL, row by row; tables that one condition names are joined
before, the others are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from curation.by_uid.by_key import Groups, Places, buckets_of, deal, send_images
from curation.by_uid.tables import KEY_NAMES, comparable, comparable_schema
from curation.gate.checks import VERDICTS, Checks, rewrite_one
from curation.gate.expressions import lenient
from curation.gate.plan import FAILED, FOUND, NO_STATUS, NOT_TRIED, ROW, STATUS, SUCCESS, Table
from curation.gate.steps import StepFolder
from curation.gate.table_rows import Asked, Part, Rows, facts_schema
from curation.run.ledger import group_buckets, senders, sending
from runtime.buckets import Block, Packer
from runtime.engine.interface import Engine, Relay
from runtime.engine.spark import BLOCKS, SHUFFLED_JOINS, as_row, map_batches, over, settings
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import row_counts
from runtime.tallies import Tallies

WHY = "--keep is evaluated by Spark"
_LIMITS = np.iinfo(np.int64)
ROWS_OF_IMAGE = 2  # about so many are joined for an image


@dataclass(frozen=True)
class VerdictJoin:
    """How images meet rows of tables: in how many buckets and tasks, the tables in parts, whether any has downloads."""

    buckets: int
    tasks: int
    places: Places
    parts: Sequence[Part]
    tables: int
    has_status: bool

    @classmethod
    def of(cls, images: Sequence[OwnFile], asked: Asked, parts: Sequence[Part]) -> VerdictJoin:
        """Return how the images of files meet the tables."""
        places = Places.of(row_counts(images))
        buckets, tasks = group_buckets(ROWS_OF_IMAGE * places.images)
        return cls(buckets, tasks, places, parts, len(asked.tables), asked.plan.results is not None)

    @property
    def schema(self) -> pa.Schema:
        """The columns of what is joined."""
        return facts_schema(self.tables)


def rewritten(
    engine: Engine,
    join: VerdictJoin,
    rows: Sequence[Rows],
    images: Sequence[OwnFile],
    checks: Checks,
    folder: StepFolder,
    blocks: DataFrame | None = None,
) -> Tallies:
    """Rewrite all files with the images that pass the checks, given `rows` of tables, and more of them in `blocks`."""
    send, relay = partial(_send, join=join), Relay(partial(_pass_on, join=join), join.places.relays(join.tasks))
    write = partial(rewrite_one, images=list(images), change=checks, folder=folder)
    receive = partial(join.places.written, schema=VERDICTS, write=write)
    items: list[Any] = senders([*enumerate(images)], join.places.images, join.buckets)
    items += senders([(-1, each) for each in rows], join.places.images, join.buckets)
    if blocks is None:
        return engine.exchange(items, send, receive, join.places.tasks, [relay])
    sql = engine.sql(WHY)
    return sql.exchange(items, send, receive, join.places.tasks, [relay], blocks)


def _send(items: Sequence[tuple[int, Any]], _: Tallies, join: VerdictJoin) -> Iterator[Block]:
    """Yield the places of the images of files, and rows of tables, where the number is negative."""
    packer = sending(join.buckets)
    for number, each in items:
        if number >= 0:
            yield from send_images(number, each, join.schema, packer)
            continue
        for known in each():
            yield from deal(packer, known, join.schema, len(known[KEY_NAMES[0]]))
    yield from packer.finish()


def _pass_on(partition: int, blocks: Iterator[bytes], _: Tallies, join: VerdictJoin) -> Iterator[Block]:
    """Yield the verdicts of images by file."""
    packer = Packer(join.places.tasks)
    for rows, groups in buckets_of(blocks, join.buckets, join.schema):
        verdicts = judged(rows, groups, join)
        yield from packer.deal(verdicts, join.places.keys(verdicts))
    yield from packer.finish()


def judged(rows: pa.RecordBatch, groups: Groups, join: VerdictJoin) -> pa.RecordBatch:
    """Return VERDICTS of the images among rows that are grouped by image."""
    numbers = {name: rows[name].fill_null(0).to_numpy()[groups.order] for name in ("met", "found", "sets")}
    met = np.zeros(len(groups.starts), np.int64)
    for part in join.parts:
        met |= _best(numbers["met"], numbers["found"] & part.tables != 0, part, groups)
    file = rows["file"].fill_null(-1).to_numpy()[groups.order]
    images = np.flatnonzero(file >= 0)
    group = groups.group[images]
    columns = {
        "file": file[images],
        "row": rows["row"].fill_null(-1).to_numpy()[groups.order[images]],
        "met": met[group],
        "found": groups.reduced(np.bitwise_or, numbers["found"])[group],
        "sets": groups.reduced(np.bitwise_or, numbers["sets"])[group],
        "status": _smallest(rows["status"], groups, join.has_status).take(pa.array(group)),
        "differing": _differing(rows, groups, join.tables)[group],
    }
    return pa.RecordBatch.from_arrays([pa.array(columns[field.name]) for field in VERDICTS], schema=VERDICTS)


def _best(met: np.ndarray, is_own: np.ndarray, part: Part, groups: Groups) -> np.ndarray:
    """Return the conditions of a part that the best row of each group meets: the most, and of as many the last ones."""
    numbers = np.where(is_own, _ones(met), -1)
    most = groups.reduced(np.maximum, numbers)
    best = groups.reduced(np.maximum, np.where(numbers == most[groups.group], met, 0))
    return np.where(most < 0, part.unmet, best)


def _ones(numbers: np.ndarray) -> np.ndarray:
    """Return how many bits of each number are set."""
    return np.unpackbits(numbers.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1, dtype=np.int64)


def _smallest(statuses: pa.Array, groups: Groups, has_status: bool) -> pa.Array:
    """Return the smallest status of each group: an empty one stands for success, none for an image without tries."""
    if not has_status:
        return pa.nulls(len(groups.starts), pa.string())
    codes = statuses.dictionary_encode()
    order = pc.sort_indices(codes.dictionary).to_numpy()
    ranks = np.empty(len(order) + 1, np.int64)
    ranks[order], ranks[-1] = np.arange(len(order)), len(order)
    own = ranks[codes.indices.fill_null(len(order)).to_numpy()][groups.order]
    named = [SUCCESS if each == "" else each for each in codes.dictionary.take(pa.array(order)).to_pylist()]
    return pa.array([*named, NOT_TRIED]).take(pa.array(groups.reduced(np.minimum, own)))


def _differing(rows: pa.RecordBatch, groups: Groups, tables: int) -> np.ndarray:
    """Return, as bits, the tables in which rows of a group differ."""
    out = np.zeros(len(groups.starts), np.int64)
    for number in range(tables):
        hashes = rows[f"{ROW}{number}"]
        if hashes.null_count < len(hashes):
            least, most = (hashes.fill_null(end).to_numpy()[groups.order] for end in (_LIMITS.max, _LIMITS.min))
            differs = groups.reduced(np.minimum, least) < groups.reduced(np.maximum, most)
            out |= np.where(differs, 1 << number, 0)
    return out


def facts(spark: SparkSession, asked: Asked, join: VerdictJoin) -> DataFrame:
    """Return BLOCKS of KEY and some columns of `facts_schema`, of the joined rows of each part of the tables."""
    frames = [
        map_batches(
            _joined(spark, asked, part).selectExpr(*KEY_NAMES, *_facts(asked, part)),
            partial(_packed, join=join, found=part.tables),
            BLOCKS,
        )
        for part in join.parts
    ]
    return reduce(DataFrame.union, frames)


@contextmanager
def evaluating(spark: SparkSession) -> Iterator[None]:
    """Let Spark evaluate conditions as `expressions` checked them, and join all tables by its shuffle."""
    with lenient(spark), settings(spark, SHUFFLED_JOINS):
        yield


def with_unmet(spark: SparkSession, asked: Asked) -> list[Part]:
    """Return the parts, with the conditions that an image meets which no table has: all columns are null."""
    tables = zip(asked.tables, asked.columns, strict=True)
    fields = {name: kind for table, columns in tables for name, kind in _sql_types(table.row_schema(columns)).items()}
    nulls = [f"cast(null as {kind}) as {_quoted(name)}" for name, kind in fields.items()]
    nulls += [f"cast(null as boolean) as {FOUND}{number}" for number in range(len(asked.tables))]
    met = _met(asked, -1)
    ((unmet,),) = spark.range(1).selectExpr(*nulls).selectExpr(met).collect()
    return [replace(part, unmet=unmet & part.conditions) for part in asked.parts]


def _joined(spark: SparkSession, asked: Asked, part: Part) -> DataFrame:
    """Return the rows of the tables of a part, joined by image."""
    tables = enumerate(zip(asked.tables, asked.columns, asked.compared, strict=True))
    frames = [_rows_of(spark, *table, number) for number, table in tables if part.tables >> number & 1]
    return reduce(lambda one, other: one.join(other, KEY_NAMES, "full"), frames)


def _rows_of(
    spark: SparkSession, table: Table, columns: Sequence[str], compared: Sequence[str], number: int
) -> DataFrame:
    """Return some columns of a table, with one that says that it has the image, and a hash of the `compared` ones."""
    wanted = [*dict.fromkeys([*columns, *compared])]
    schema = comparable_schema(table.row_schema(wanted))
    rows = over(spark, list(table.files), partial(_read, table=table, columns=wanted), schema)
    names, row = map(_quoted, columns), _hash([schema.field(name) for name in compared])
    return rows.selectExpr(*KEY_NAMES, *names, f"true as {FOUND}{number}", f"{row} as {ROW}{number}")


def _hash(columns: Sequence[pa.Field]) -> str:
    """Return the expression of a row's hash; null for one that says nothing: all is null, or the download failed."""
    values = {_quoted(field.name): field.type for field in columns}
    if not values:
        return "cast(null as bigint)"
    hashed = [f"cast({name} as string)" if pa.types.is_nested(kind) else name for name, kind in values.items()]
    nulls = [f"{name} is null" for name in values]  # which no hash tells
    failed = [f"startswith(cast({name} as string), '{FAILED}')" for name in values if name.lower() == f"`{STATUS}`"]
    says_nothing = " or ".join([f"({' and '.join(nulls)})", *failed])
    return f"if({says_nothing}, null, xxhash64({', '.join([*hashed, *nulls])}))"


def _facts(asked: Asked, part: Part) -> list[str]:
    """Return the expressions of facts over a joined row of the tables of a part."""
    own = [number for number in range(len(asked.tables)) if part.tables >> number & 1]
    expressions = {"met": _met(asked, part.conditions)}
    if len(own) > 1:
        expressions["found"] = _sum([f"if({FOUND}{number}, {1 << number}L, 0L)" for number in own])
    if asked.plan.results and 0 in own:
        # The smallest of several: an empty string, which stands for success, comes before all others.
        named = f"if({STATUS} = '{SUCCESS}', '', coalesce(cast({STATUS} as string), '{NO_STATUS}'))"
        expressions["status"] = f"if({FOUND}0, {named}, null)"
    compared = [*asked.compared]
    expressions |= {f"{ROW}{number}": f"{ROW}{number}" for number in own if compared[number]}
    return [f"{expression} as {name}" for name, expression in expressions.items()]


def _met(asked: Asked, conditions: int) -> str:
    chosen = ((bit, each) for bit, each in enumerate(asked.conditions) if conditions >> bit & 1)
    return _sum([f"if({each.evaluated}, {1 << bit}L, 0L)" for bit, each in chosen])


def _sql_types(columns: pa.Schema) -> dict[str, str]:
    return {field.name: field.dataType.simpleString() for field in from_arrow_schema(comparable_schema(columns))}


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _sum(terms: Sequence[str]) -> str:
    return " + ".join(terms) or "0L"


def _read(file: Any, table: Table, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for batch in table.read(file, columns):
        schema = comparable_schema(batch.schema)
        yield pa.RecordBatch.from_arrays([comparable(column, table.name) for column in batch.columns], schema=schema)


def _packed(rows: Iterable[pa.RecordBatch], join: VerdictJoin, found: int) -> Iterator[pa.RecordBatch]:
    """Yield BLOCKS of facts, which are of the tables `found` where rows do not say."""
    packer = sending(join.buckets)
    for batch in rows:
        known = {"found": pa.repeat(pa.scalar(found, pa.int64()), batch.num_rows)}
        known |= dict(zip(batch.schema.names, batch.columns, strict=True))
        yield from map(as_row, deal(packer, known, join.schema, batch.num_rows))
    yield from map(as_row, packer.finish())
