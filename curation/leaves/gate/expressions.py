"""Split an expression over columns of images into conditions, and check these with Spark's parser and analyser.

`expression_text` scans the text before: its length, its depth, and the columns that it names.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, ParseException, PySparkTypeError
from pyspark.logger import PySparkLogger
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import BooleanType, DoubleType, FloatType

from curation.leaves.by_uid.tables import comparable_schema
from curation.leaves.gate.expression_text import (
    NOT_OF_ONE,
    Condition,
    beginnings,
    names_a_day_of_the_run,
    require_columns,
)
from runtime.engine.spark import settings
from runtime.errors import InputError

MOST = 60  # conditions of an expression: each is a bit of a number
_NAMED = ("Alias", "MultiAlias")
_LOG = "SQLQueryContextLogger"  # pyspark's own logger, which repeats each error with its stack trace
_OF_MANY_ROWS = (  # Spark's names of its errors about an aggregate, a window or a generator beside columns
    "AGGREGATE_FUNCTION_WITH_NONDETERMINISTIC_EXPRESSION",
    "MISSING_GROUP_BY",
    "NESTED_AGGREGATE_FUNCTION",
    "UNSUPPORTED_GENERATOR",
    "UNSUPPORTED_GROUPING_EXPRESSION",
    "WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE",
)
_ARITHMETIC = ("Add", "Subtract", "Multiply", "Divide", "Remainder", "UnaryMinus")
_FUNCTIONS = ("UnresolvedFunction", "UnresolvedExtractValue", "Cast")
_FLOATS = (DoubleType, FloatType)
_TIMES = ("date", "timestamp", "timestamp_ntz")


def checked(
    spark: SparkSession, expression: str, tables: Sequence[pa.Schema], names: Mapping[str, Sequence[str]]
) -> list[Condition]:
    """Return the conditions of an expression over the columns of tables, in the form that Spark evaluates.

    `tables` are the schemas of the tables; `names` has their columns by the users' names of the tables. InputError for
    a condition that cannot be evaluated for one image alone.
    """
    found = []
    with lenient(spark):
        for condition in conditions(spark, expression):
            require_columns(condition.columns, names)
            wanted = set(map(str.lower, condition.columns))
            fields = [field for columns in tables for field in columns if field.name.lower() in wanted]
            schema = comparable_schema(pa.schema(fields))
            require_boolean(spark, condition, schema)
            found.append(nan_is_null(spark, condition, schema))
    return found


def conditions(spark: SparkSession, expression: str) -> list[Condition]:
    """Return the conditions that AND joins in an expression, in order; InputError if Spark cannot parse it.

    >>> [each.text for each in conditions(spark, "width >= 200 AND (nsfw < 0.4 OR nsfw IS NULL)")]  # doctest: +SKIP
    ['width >= 200', 'nsfw < 0.4 OR nsfw IS NULL']
    """
    parser = spark._jsparkSession.sessionState().sqlParser()
    with _silent():
        try:
            tree = parser.parseExpression(expression)
        except ParseException as error:
            raise InputError(f"--keep {expression!r} is no expression of Spark SQL: {_reason(error)}") from None
        if tree.getClass().getSimpleName() in _NAMED:  # Spark reads a word behind an expression as its name
            raise InputError(f"--keep {expression!r} is no condition: {tree.name()!r} is too much at its end")
        if tree.containsPattern(_pattern(spark, "PLAN_EXPRESSION")):
            raise InputError(f"--keep {expression!r} {NOT_OF_ONE}")
        parts = list(_joined_by_and(tree))
        if len(parts) > MOST:
            raise InputError(f"--keep joins {len(parts)} conditions by AND; join some by OR or CASE: {MOST} at most")
        return [Condition(_text(parser, part, expression), tuple(_columns(part))) for part in parts]


def require_boolean(spark: SparkSession, condition: Condition, columns: pa.Schema) -> None:
    """Refuse a condition that is not true or false for a single row; `columns` are those that it names."""
    try:
        with _silent():
            rows = spark.createDataFrame([], from_arrow_schema(columns))
            checked = rows.select(expr(condition.text))
    except (AnalysisException, PySparkTypeError, Py4JJavaError) as error:  # the last: a bug of Spark's analyser
        if (getattr(error, "getCondition", str)() or "").partition(".")[0] in _OF_MANY_ROWS:
            raise InputError(f"condition {condition.text!r} of --keep {NOT_OF_ONE}") from None
        raise InputError(f"condition {condition.text!r} of --keep cannot be evaluated: {_reason(error)}") from None
    kind = checked.schema[0].dataType
    if kind != BooleanType():
        raise InputError(
            f"{condition.text!r} of --keep is no condition but {kind.simpleString()}; compare it to a value"
        )
    if not _is_of_one_row(spark, checked, rows) or _is_of_a_day(condition, checked):
        raise InputError(f"condition {condition.text!r} of --keep {NOT_OF_ONE}")


def nan_is_null(spark: SparkSession, condition: Condition, columns: pa.Schema) -> Condition:
    """Return the condition with `sql`, in which parts such as sqrt(-1) are null instead of NaN.

    Parts within lambdas are left as they are. `columns` are those that the condition names.
    """
    parser, text = spark._jsparkSession.sessionState().sqlParser(), condition.text
    with _silent():
        places = [_place(parser, part, text) for part in _computed(parser.parseExpression(text))]
        spans = [span for span in places if span is not None]
        try:
            rows = spark.createDataFrame([], from_arrow_schema(columns))
            fields = rows.select(*(expr(text[slice(*span)]) for span in spans)).schema.fields
        except AnalysisException:  # a part that Spark cannot analyse outside the condition
            return condition
    numbers = [span for span, field in zip(spans, fields, strict=True) if isinstance(field.dataType, _FLOATS)]
    opening, closing = (Counter(places) for places in zip(*numbers, strict=True)) if numbers else (Counter(), Counter())
    pieces = (", null)" * closing[i] + "nanvl(" * opening[i] + text[i : i + 1] for i in range(len(text) + 1))
    return replace(condition, sql="".join(pieces)) if numbers else condition


def _computed(tree: Any) -> Iterator[Any]:
    """Yield the parts of a tree that may be NaN though no column is: functions, casts, and whole sums and products."""
    open_ = [(tree, False)]
    while open_:
        part, is_within = open_.pop()
        name = part.getClass().getSimpleName()
        if name in _FUNCTIONS or (name in _ARITHMETIC and not is_within):
            yield part
        if name != "LambdaFunction":
            children = part.children()
            open_ += [(children.apply(number), name in _ARITHMETIC) for number in range(children.size())]


def _joined_by_and(tree: Any) -> Iterator[Any]:
    if tree.getClass().getSimpleName() == "And":
        yield from _joined_by_and(tree.left())
        yield from _joined_by_and(tree.right())
    else:
        yield tree


def _text(parser: Any, part: Any, expression: str) -> str:
    """Return the text that a user wrote for a part; if Spark does not locate the part, the part as Spark writes it."""
    if place := _place(parser, part, expression):
        return expression[slice(*place)]
    sql = part.sql()
    end = part.origin().stopIndex().get() + 1 if part.origin().stopIndex().isDefined() else len(expression)
    # Spark may write a part without brackets that its parser needs: (name LIKE 'a%') IS NULL, located from IS on.
    texts = (expression[begin:end] for begin in reversed(beginnings(expression)) if begin < end)
    return next((text for text in (sql, *texts) if _parsed(parser, text) == sql), sql)


def _parsed(parser: Any, text: str) -> str | None:
    """Return the text that Spark writes for a parsed expression; None if Spark cannot parse it."""
    try:
        return parser.parseExpression(text).sql()
    except ParseException:
        return None


def _place(parser: Any, part: Any, expression: str) -> tuple[int, int] | None:
    """Return the begin and the end of a part's text in the expression; None if Spark does not locate the part."""
    begin, end = (getattr(part.origin(), name)() for name in ("startIndex", "stopIndex"))
    if begin.isDefined() and end.isDefined():
        place = begin.get(), end.get() + 1
        if _parsed(parser, expression[slice(*place)]) == part.sql():
            return place
    return None


def _columns(part: Any) -> Iterator[str]:
    """Yield the name of each column in a part; for a field of a struct, the name of the struct."""
    leaves = part.collectLeaves()
    for leaf in map(leaves.apply, range(leaves.size())):
        if leaf.getClass().getSimpleName() == "UnresolvedAttribute":
            yield leaf.nameParts().apply(0)


def _is_of_one_row(spark: SparkSession, checked: DataFrame, rows: DataFrame) -> bool:
    """Say whether a selection from `rows` depends on one row alone, and is the same in each run."""
    plan, source = (each._jdf.queryExecution().analyzed() for each in (checked, rows))
    is_plain = plan.getClass().getSimpleName() == "Project" and plan.child().getClass() == source.getClass()
    if not is_plain or not plan.deterministic() or plan.subqueries().size():
        return False
    is_of_run = plan.containsPattern(_pattern(spark, "CURRENT_LIKE"))  # such as the user, and the time
    return not is_of_run and all(each.getClass().getSimpleName() != "SparkVersion" for each in _nodes(plan))


def _is_of_a_day(condition: Condition, checked: DataFrame) -> bool:
    """Return whether a condition may read a string such as 'today' as a time."""
    if not names_a_day_of_the_run(condition.text):
        return False
    plan = checked._jdf.queryExecution().analyzed()
    return any(each.dataType().simpleString() in _TIMES for each in _nodes(plan))


def _nodes(plan: Any) -> Iterator[Any]:
    """Yield all nodes of the only expression that a plan selects."""
    open_ = [plan.expressions().apply(0)]
    while open_:
        node = open_.pop()
        yield node
        children = node.children()
        open_ += map(children.apply, range(children.size()))


def _pattern(spark: SparkSession, name: str) -> Any:
    jvm: Any = spark._jvm
    return getattr(jvm.org.apache.spark.sql.catalyst.trees.TreePattern, name)()


def _reason(error: Exception) -> str:
    """Return Spark's message without the error code before it and the plan behind it."""
    text = str(error).partition("SQLSTATE")[0].strip().removesuffix(".")
    return " ".join(text.partition("] ")[2].split()) or text


def lenient(spark: SparkSession) -> AbstractContextManager[None]:
    """Let Spark, within a context, return null for x / 0 and the like, so that no row can end a run; set UTC."""
    return settings(spark, {"spark.sql.ansi.enabled": "false", "spark.sql.session.timeZone": "UTC"})


@contextmanager
def _silent() -> Iterator[None]:
    log = PySparkLogger.getLogger(_LOG)
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)
