"""Take a condition over columns of images apart, and check it, by Spark's own parser and analyser."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.errors import AnalysisException, ParseException, PySparkTypeError
from pyspark.logger import PySparkLogger
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import BooleanType

from runtime.errors import InputError
from runtime.spark import settings

MOST = 60  # conditions: each is a bit of a number
_NAMED = ("Alias", "MultiAlias")
_LOG = "SQLQueryContextLogger"  # pyspark's own, which repeats each error with all of its stack


@dataclass(frozen=True)
class Condition:
    """A part of an expression that AND joins to the others: its text, the columns in it, and what a person reads."""

    text: str
    columns: tuple[str, ...]
    title: str | None = None  # instead of the text

    @property
    def shown(self) -> str:
        """The condition as a person reads it."""
        return self.title or self.text


def conditions(spark: SparkSession, expression: str) -> list[Condition]:
    """Return the conditions that AND joins in an expression, in its order; InputError where Spark cannot parse it.

    >>> [each.text for each in conditions(spark, "width >= 200 AND (nsfw < 0.4 OR nsfw IS NULL)")]  # doctest: +SKIP
    ['width >= 200', 'nsfw < 0.4 OR nsfw IS NULL']
    """
    parser = spark._jsparkSession.sessionState().sqlParser()
    with _silent():
        try:
            tree = parser.parseExpression(expression)
        except ParseException as error:
            raise InputError(f"--keep {expression!r} is no expression of Spark SQL: {_reason(error)}") from None
        if tree.getClass().getSimpleName() in _NAMED:  # what comes behind an expression is taken for its name
            raise InputError(f"--keep {expression!r} is no condition: {tree.name()!r} is too much at its end")
        parts = list(_joined_by_and(tree))
        if len(parts) > MOST:
            raise InputError(f"--keep joins {len(parts)} conditions by AND; join some by OR or CASE: {MOST} at most")
        return [Condition(_text(parser, part, expression), tuple(_columns(part))) for part in parts]


def require_columns(condition: Condition, tables: dict[str, Sequence[str]]) -> None:
    """Refuse a condition over a column that none of the tables (name: columns) has, or several have."""
    for column in condition.columns:
        owners = [name for name, columns in tables.items() if column.lower() in map(str.lower, columns)]
        if len(owners) > 1:
            raise InputError(f"column {column} of --keep is in several tables ({' and '.join(owners)}); rename one")
        if not owners:
            known = "; ".join(f"{name} has {', '.join(columns)}" for name, columns in tables.items())
            raise InputError(f"column {column} of --keep is in no table of images: {known}")
        alike = [name for name in tables[owners[0]] if name.lower() == column.lower()]
        if len(alike) > 1:  # which Spark cannot tell apart
            raise InputError(
                f"column {column} of --keep may be {' or '.join(alike)} of {owners[0]}, alike but for case; rename one"
            )


def require_boolean(spark: SparkSession, condition: Condition, columns: pa.Schema) -> None:
    """Refuse what is not true or false of one row alone, given the columns that it names."""
    try:
        with _silent():
            rows = spark.createDataFrame([], from_arrow_schema(columns))
            checked = rows.select(expr(condition.text))
    except (AnalysisException, PySparkTypeError) as error:
        raise InputError(f"condition {condition.text!r} of --keep cannot be evaluated: {_reason(error)}") from None
    kind = checked.schema[0].dataType
    if kind != BooleanType():
        raise InputError(
            f"{condition.text!r} of --keep is no condition but {kind.simpleString()}; compare it to a value"
        )
    if not _is_of_one_row(checked, rows):
        raise InputError(
            f"condition {condition.text!r} of --keep is not of one image alone; leave out aggregates, windows, "
            "subqueries and chance"
        )


def _joined_by_and(tree: Any) -> Iterator[Any]:
    if tree.getClass().getSimpleName() == "And":
        yield from _joined_by_and(tree.left())
        yield from _joined_by_and(tree.right())
    else:
        yield tree


def _text(parser: Any, part: Any, expression: str) -> str:
    """Return what the user wrote of a part; where Spark does not say which that is, the part as Spark writes it."""
    begin, end = (getattr(part.origin(), name)() for name in ("startIndex", "stopIndex"))
    if begin.isDefined() and end.isDefined():
        text = expression[begin.get() : end.get() + 1]
        try:
            if parser.parseExpression(text).sql() == part.sql():
                return text
        except ParseException:
            pass
    return part.sql()


def _columns(part: Any) -> Iterator[str]:
    """Yield the names of the columns in a part; of a field of a struct, that of the struct."""
    leaves = part.collectLeaves()
    for leaf in map(leaves.apply, range(leaves.size())):
        if leaf.getClass().getSimpleName() == "UnresolvedAttribute":
            yield leaf.nameParts().apply(0)


def _is_of_one_row(checked: DataFrame, rows: DataFrame) -> bool:
    """Say whether a selection looks at no other rows, and always gives the same."""
    plan, source = (each._jdf.queryExecution().analyzed() for each in (checked, rows))
    is_plain = plan.getClass().getSimpleName() == "Project" and plan.child().getClass() == source.getClass()
    return is_plain and plan.deterministic() and not plan.subqueries().size()


def _reason(error: Exception) -> str:
    """Return what Spark says, without its code and the plan behind it."""
    text = str(error).partition("SQLSTATE")[0].strip().removesuffix(".")
    return " ".join(text.partition("] ")[2].split()) or text


def lenient(spark: SparkSession) -> AbstractContextManager[None]:
    """Let what cannot be computed be null, such as x / 0: a row of someone's table should not end a run."""
    return settings(spark, {"spark.sql.ansi.enabled": "false"})


@contextmanager
def _silent() -> Iterator[None]:
    log = PySparkLogger.getLogger(_LOG)
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)
