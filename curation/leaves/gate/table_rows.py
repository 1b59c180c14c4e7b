"""Read the rows of tables of images, with the conditions that the rows meet, for `verdicts`.

`joined_tables` evaluates conditions written in SQL; all others are evaluated here, row by row of one table. The tallies
of tasks say which images a table has; a table of other images, or with differing rows of too many images, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.inputs.limits import rounded_up
from curation.leaves.by_uid.by_key import ROWS
from curation.leaves.by_uid.tables import KEY, ImageTable, comparable
from curation.leaves.gate.evaluation import EMBEDDING, EvaluationSets
from curation.leaves.gate.expression_text import Condition
from curation.leaves.gate.pictures import value_bytes
from curation.leaves.gate.plan import (
    FAILED,
    FOUND,
    NO_STATUS,
    ROW,
    STATUS,
    SUCCESS,
    GatePlan,
    Table,
)
from runtime.arrow import string_buffers
from runtime.errors import InputError
from runtime.kernels.hashes import xxhash
from runtime.shipping import Shipped
from runtime.tallies import Tallies

FACTS = {"met": pa.int64(), "found": pa.int64(), "sets": pa.int64(), "status": pa.string()}

Rows = Callable[[], Iterator[dict[str, pa.Array]]]  # yields KEY and some columns of `facts_schema`, in batches


@dataclass(frozen=True)
class Part:
    """Some tables, and the conditions over their columns, both as bits.

    `unmet` are the conditions that hold for an image in no table.
    """

    tables: int
    conditions: int
    unmet: int = 0


@dataclass(frozen=True)
class Asked:
    """The conditions on tables, in the order of their bits, and the columns that they name."""

    plan: GatePlan
    conditions: Sequence[Condition]

    @property
    def tables(self) -> Sequence[Table]:
        """The tables of the plan, in the order of their bits."""
        return self.plan.tables

    @property
    def columns(self) -> Iterator[list[str]]:
        """The columns of each table that conditions name."""
        needed = {column.lower() for condition in self.conditions for column in condition.columns}
        for _, columns in self.plan.columns:
            yield [name for name in columns.names if name.lower() in needed]

    @property
    def compared(self) -> Iterator[list[str]]:
        """The columns of each table in which rows of one image must not differ: all that any option needs.

        A table by URL has none, as it may have a row per text.
        """
        plan = self.plan
        same = [(plan.pictures.table, plan.pictures.same.column)] if plan.pictures else []
        hashes = [name for name in plan.evaluation.columns if name != EMBEDDING] if plan.evaluation else []
        asked = [*same, *((table, name) for name in hashes for table in plan.tables_with(name))]
        for table, columns in zip(self.tables, self.columns, strict=True):
            names = dict.fromkeys([*columns, *(name for own, name in asked if own is table)])
            yield [*names] if isinstance(table, ImageTable) and table.is_uid else []

    @property
    def parts(self) -> list[Part]:
        """The tables in parts: tables of which one condition names columns are in the same part."""
        parts = [Part(1 << number, 0) for number in range(len(self.tables))]
        columns = [{*map(str.lower, names)} for names in self.columns]
        for bit, condition in enumerate(self.conditions):
            names = {*map(str.lower, condition.columns)}
            own = [n for n, known in enumerate(columns) if names & known or condition.text == f"{FOUND}{n}"] or [0]
            joined = [part for part in parts if any(part.tables >> n & 1 for n in own)]
            tables, conditions = (sum(getattr(part, name) for part in joined) for name in ("tables", "conditions"))
            parts = [part for part in parts if part not in joined] + [Part(tables, conditions | 1 << bit)]
        return parts


def facts_schema(tables: int) -> pa.Schema:
    """Return the schema of facts about an image: conditions it meets, tables and sets it is in, and hashes of rows."""
    hashes = [pa.field(f"{ROW}{number}", pa.int64()) for number in range(tables)]  # one per table
    return pa.schema([*ROWS, *(pa.field(name, kind) for name, kind in FACTS.items()), *hashes])


def rows_of_tables(asked: Asked) -> list[Rows]:
    """Return for each file of the tables a function that yields its rows; no condition may be written in SQL."""
    given = zip(asked.tables, asked.compared, strict=True)
    return [
        partial(_rows_of, file, table=table, asked=asked, number=number, compared=tuple(compared))
        for number, (table, compared) in enumerate(given)
        for file in table.files
    ]


def rows_of_sets(plan: GatePlan, sets: Shipped) -> list[Rows]:
    """Return for each file of tables with hashes a function that yields the images that are in evaluation sets."""
    return [
        partial(_in_sets, file, table=table, column=column, sets=sets)
        for column in (plan.evaluation.columns if plan.evaluation else ())
        for table in plan.tables_with(column)
        for file in table.files
    ]


def _rows_of(
    file: Any, table: Table, asked: Asked, number: int, compared: Sequence[str]
) -> Iterator[dict[str, pa.Array]]:
    is_download = bool(asked.plan.results) and number == 0
    for batch in table.read(file, [*dict.fromkeys([*compared, *([STATUS] if is_download else [])])]):
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        known = {field.name: columns[field.name] for field in KEY}
        known["found"] = pa.repeat(pa.scalar(1 << number, pa.int64()), len(batch))
        known["met"] = _met(asked, number, columns, len(batch))
        if is_download:
            # Of several statuses the smallest counts: an empty string stands for success, and is smaller than others.
            status = pc.fill_null(columns[STATUS].cast(pa.string()), NO_STATUS)
            known["status"] = pc.if_else(pc.equal(status, SUCCESS), "", status)
        if compared:
            known[f"{ROW}{number}"] = _hashes([comparable(columns[name], table.name) for name in compared], compared)
        yield known


def _met(asked: Asked, number: int, columns: dict[str, pa.Array], rows: int) -> pa.Array:
    """Return the bits, int64[row], of conditions that rows meet: the table has the image, its download succeeded."""
    met = np.zeros(rows, np.int64)
    for bit, condition in enumerate(asked.conditions):
        if condition.text == f"{FOUND}{number}":
            met |= 1 << bit
        elif condition.columns == (STATUS,) and number == 0:
            is_success = pc.fill_null(pc.equal(columns[STATUS].cast(pa.string()), SUCCESS), False)
            met |= is_success.to_numpy(zero_copy_only=False).astype(np.int64) << bit
    return pa.array(met)


def _hashes(columns: Sequence[pa.Array], names: Sequence[str]) -> pa.Array:
    """Return a hash of each row, int64; null if all columns are null or the download failed."""
    hashes, says_nothing = np.zeros(len(columns[0]), np.uint64), np.ones(len(columns[0]), bool)
    for column in columns:
        is_null = column.is_null().to_numpy(zero_copy_only=False)
        says_nothing &= is_null
        offsets, data = string_buffers(pc.fill_null(value_bytes(column), b"").view(pa.string()))
        seeds = hashes * np.uint64(2) + is_null.astype(np.uint64)
        hashes = np.empty_like(seeds)
        xxhash(data, offsets, seeds, hashes)
    for column, name in zip(columns, names, strict=True):
        if name.lower() == STATUS:
            is_failed = pc.fill_null(pc.starts_with(column.cast(pa.string()), FAILED), False)
            says_nothing |= is_failed.to_numpy(zero_copy_only=False)
    return pa.array(hashes.view(np.int64), mask=says_nothing)


def _in_sets(file: Any, table: ImageTable, column: str, sets: Shipped) -> Iterator[dict[str, pa.Array]]:
    for batch in table.read(file, [column]):
        *keys, hashes = batch.columns
        found = getattr(sets.opened(EvaluationSets.open), f"by_{column}")(hashes)
        names = [*(field.name for field in KEY), "sets"]
        rows = pa.RecordBatch.from_arrays([*keys, pa.array(found.astype(np.int64))], names=names)
        kept = rows.filter(pa.array(found != 0))
        yield dict(zip(names, kept.columns, strict=True))


def of_table(number: int, counted: Tallies) -> dict[str, Any]:
    """Return the number of images in a table and, if rows of some images differ, their number and an example."""
    differing = counted[f"differing.{number}"]
    examples = counted.beginning(f"differing_uid.{number}.")
    return {"found": counted[f"found.{number}"]} | (
        {"differing": differing, "example": min(examples)} if differing else {}
    )


def require_found(table: Table, number: int, counted: Tallies) -> None:
    """Refuse a table that has none of the images."""
    if not counted[f"found.{number}"]:
        raise InputError(
            f"{table.name} has none of the matched images: its {table.identity}s are not those of this run; "
            "give a table with the column uid of matched/, or url"
        )


def require_own_rows(
    table: Table, columns: Sequence[str], number: int, counted: Tallies, config: CurationConfig
) -> None:
    """Refuse a table in which rows of too many images differ in columns that are asked for."""
    found = of_table(number, counted)
    differing = found.get("differing", 0)
    if differing > config.max_shared_uids * found["found"]:
        raise InputError(
            f"{table.name} has several rows of {differing:,} of {found['found']:,} images, such as "
            f"{found['example']}, that differ in {', '.join(columns)}; expected one image a "
            f"{table.identity}: leave one row of each, or allow more with --max-shared-uids "
            f"{rounded_up(differing / found['found'])}"
        )
