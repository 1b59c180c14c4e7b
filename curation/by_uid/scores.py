"""Columns of scores in a user's tables by uid, as they are joined to images on Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa

from curation.by_uid.join import Table, first
from curation.by_uid.tables import KEY, ImageTable, Paths
from runtime.errors import InputError
from runtime.storage.versions import Version

EXPECTED = "tables of scores: Parquet files with the columns uid (or url) and columns of numbers"
ROW_BYTES = 16  # of a table at least: those of a uid
_SCORE = "score "  # before the name of a column: no name of a column that joins have
_File = tuple[str, Version]


def score_field(name: str) -> pa.Field:
    """Return the field in which a column of scores is joined: null without a row or value."""
    return pa.field(f"{_SCORE}{name}", pa.float64())


def score_tables(paths: Paths, names: Sequence[str]) -> list[Table]:
    """Return the tables that have these columns; paths with the same ones are one table.

    Of several rows of an image the first counts. A column that no path has, or that some have beside others of these
    columns, is refused.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for path in map(str, paths):
        table = ImageTable.find([path], EXPECTED)
        own = tuple(name for name in names if name in table.columns.names)
        if not own:
            raise InputError(f"{table.name} has none of the columns {', '.join(names)}; leave it out, or weigh others")
        found.setdefault(own, []).append(path)
    given = [name for own in found for name in own]
    for name in names:
        if given.count(name) != 1:
            fault = "several tables with other columns" if name in given else "no table"
            raise InputError(f"column {name} of scores is in {fault}; give it in one table, or in parts of it")
    return [_table(ImageTable.find(own, EXPECTED), columns) for columns, own in found.items()]


def _table(table: ImageTable, names: Sequence[str]) -> Table:
    for name, kind in zip(names, table.row_schema(names).types[len(KEY) :], strict=True):
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise InputError(f"column {name} of {table.name} is {kind}; scores are numbers")
    floats = [pa.field(each.name, pa.float64()) if each.name in names else each for each in table.columns]
    table = replace(table, columns=pa.schema(floats))
    place = pa.field(f"place of {names[0]}", pa.int64())  # in the table
    fields = [score_field(name) for name in names]
    read = partial(_rows, table=table, names=names, schema=pa.schema([*KEY, *fields, place]))
    once = partial(_first, place=place.name)
    return Table([*enumerate(table.files)], table.bytes // ROW_BYTES, read, once, fields, [place])


def _rows(
    numbered: tuple[int, _File], table: ImageTable, names: Sequence[str], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    number, file = numbered
    row = number << 40
    for batch in table.read(file, names):
        place = pa.array(np.arange(row, row := row + len(batch)))
        yield pa.RecordBatch.from_arrays([*batch.columns, place], schema=schema)


def _first(rows: pa.RecordBatch, images: np.ndarray, place: str) -> np.ndarray:
    order = np.lexsort((rows[place].to_numpy(), images))
    return order[first(rows, images[order])]
