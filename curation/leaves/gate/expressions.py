"""Split an expression over columns of images into conditions, check them by Spark, and evaluate them on rows of tables.

Before that, `verdicts` scans the text of the expression; afterwards it joins the results to the images. Two tables are
joined before the evaluation if one condition names columns of both.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial, reduce
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, ParseException, PySparkTypeError
from pyspark.logger import PySparkLogger
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import BooleanType, DoubleType, FloatType

from curation.image_ids import KEY_NAMES
from curation.joins.tables import comparable, comparable_schema
from curation.joins.uid_join import deal
from curation.leaves.gate.verdicts import (
    FOUND,
    NOT_OF_ONE,
    ROW,
    Asked,
    Condition,
    Part,
    VerdictJoin,
    beginnings,
    names_a_day_of_the_run,
)
from runtime.engine.spark import BLOCKS, SHUFFLED_JOINS, as_row, map_batches, over, settings
from runtime.errors import InputError
from runtime.partitioning import sending

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
# Words that Spark reads as values of the run, unless a column has the name.
_OF_A_RUN = set(
    "CURRENT_CATALOG CURRENT_DATABASE CURRENT_DATE CURRENT_PATH CURRENT_SCHEMA CURRENT_TIME CURRENT_TIMESTAMP "
    "CURRENT_TIMEZONE CURRENT_USER LOCALTIME LOCALTIMESTAMP SESSION_USER USER".split()
)
_TIMES = ("date", "timestamp", "timestamp_ntz")
_TRIED = pa.field("_tried", pa.string())  # the status of a download, as `Asked.read` has it


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


def require_columns(names: Sequence[str], tables: Mapping[str, Sequence[str]]) -> None:
    """Raise InputError for a column that is in no table, in several tables, or in one table in several spellings.

    `tables` has the columns of each table by the name of the table.
    """
    for column in names:
        alike = ((name, [each for each in own if each.lower() == column.lower()]) for name, own in tables.items())
        owners = {name: own for name, own in alike if own}
        if len(owners) > 1:
            raise InputError(f"column {column} of --keep is in several tables ({' and '.join(owners)}); rename one")
        for name, own in owners.items():
            if len(own) > 1:
                raise InputError(
                    f"column {column} of --keep may be {' or '.join(own)} of {name}, which Spark SQL does not tell "
                    "apart; rename one"
                )
        if not owners and column.upper() in _OF_A_RUN:
            raise InputError(f"{column} of --keep {NOT_OF_ONE}")
        if not owners:
            known = "; ".join(f"{name} has {', '.join(columns)}" for name, columns in tables.items())
            raise InputError(f"column {column} of --keep is in no table of images: {known}")


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
            raise InputError(f"--keep {expression!r} is no condition: {_named(tree)!r} is too much at its end")
        if tree.containsPattern(_pattern(spark, "PLAN_EXPRESSION")):
            raise InputError(f"--keep {expression!r} {NOT_OF_ONE}")
        parts = list(_joined_by_and(tree))
        if len(parts) > MOST:
            raise InputError(f"--keep joins {len(parts)} conditions by AND; join some by OR or CASE: {MOST} at most")
        return [Condition(_text(parser, part, expression), tuple(_columns(part))) for part in parts]


def require_boolean(spark: SparkSession, condition: Condition, columns: pa.Schema) -> None:
    """Raise InputError for a condition that is not true or false for one row; `columns` are those that it names."""
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
    """Return the condition with `sql` set, in which computed parts such as sqrt(-1) are null instead of NaN.

    Parts within lambdas are left as they are. `columns` is the schema of the columns that the condition names.
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


def _named(tree: Any) -> str:
    """Return the name, or names separated by commas, that an expression gives itself by AS."""
    return tree.name() if tree.getClass().getSimpleName() == "Alias" else tree.names().mkString(", ")


def _computed(tree: Any) -> Iterator[Any]:
    """Yield the parts of a tree that may be NaN though no column is: functions, casts, whole sums and products."""
    open_ = [(tree, False)]
    while open_:
        part, is_within = open_.pop()
        name = part.getClass().getSimpleName()
        if name in _FUNCTIONS or (name in _ARITHMETIC and not is_within):
            yield part
        if name != "LambdaFunction":
            open_ += [(child, name in _ARITHMETIC) for child in _each(part.children())]


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
    for leaf in _each(part.collectLeaves()):
        if leaf.getClass().getSimpleName() == "UnresolvedAttribute":
            yield leaf.nameParts().apply(0)


def _is_of_one_row(spark: SparkSession, checked: DataFrame, rows: DataFrame) -> bool:
    """Say whether `checked`, selected from `rows`, has for each row a result that depends on that row alone.

    The result must also be the same in each run: no random number, time, user or Spark version.
    """
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
    """Yield all nodes of the expression that a plan selects, which is its only one."""
    open_ = [plan.expressions().apply(0)]
    while open_:
        node = open_.pop()
        yield node
        open_ += _each(node.children())


def _each(sequence: Any) -> list[Any]:
    return [sequence.apply(number) for number in range(sequence.size())]


def _pattern(spark: SparkSession, name: str) -> Any:
    jvm: Any = spark._jvm
    return getattr(jvm.org.apache.spark.sql.catalyst.trees.TreePattern, name)()


def _reason(error: Exception) -> str:
    """Return Spark's message without the error code before it and the plan behind it."""
    text = str(error).partition("SQLSTATE")[0].strip().removesuffix(".")
    return " ".join(text.partition("] ")[2].split()) or text


def lenient(spark: SparkSession) -> AbstractContextManager[None]:
    """Set Spark, within a context, to return null for x / 0 and the like, so that no row can end a run, and to use UTC.

    Tables are joined by shuffling.
    """
    return settings(spark, {"spark.sql.ansi.enabled": "false", "spark.sql.session.timeZone": "UTC"} | SHUFFLED_JOINS)


@contextmanager
def _silent() -> Iterator[None]:
    log = PySparkLogger.getLogger(_LOG)
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


def facts(spark: SparkSession, asked: Asked, join: VerdictJoin) -> DataFrame:
    """Return a DataFrame of BLOCKS that pack rows of `facts_schema`: facts about the joined rows of each part."""
    frames = [
        map_batches(
            _joined(spark, asked, part).selectExpr(*KEY_NAMES, *_facts(asked, part)),
            partial(_packed, join=join, found=part.tables),
            BLOCKS,
        )
        for part in join.parts
    ]
    return reduce(DataFrame.union, frames)


def with_unmet(spark: SparkSession, asked: Asked) -> list[Part]:
    """Return the parts with `unmet` set: the conditions that an image in no table meets, as all columns are null."""
    named = (read_schema(asked, number).remove(0).remove(0) for number in range(len(asked.tables.every)))
    found = [pa.field(f"{FOUND}{number}", pa.bool_()) for number in range(len(asked.tables.every))]
    columns = from_arrow_schema(pa.schema([*(field for each in named for field in each), *found]))
    ((unmet,),) = spark.createDataFrame([(None,) * len(columns)], columns).selectExpr(_met(asked, -1)).collect()
    return [replace(part, unmet=unmet & part.conditions) for part in asked.parts]


def _joined(spark: SparkSession, asked: Asked, part: Part) -> DataFrame:
    """Return the rows of the tables of a part, joined by image; an image may be missing in some tables."""
    frames = [_rows_of(spark, asked, number) for number in _numbers(asked, part)]
    return reduce(lambda one, other: one.join(other, KEY_NAMES, "full"), frames)


def _numbers(asked: Asked, part: Part) -> list[int]:
    return [number for number in range(len(asked.tables.every)) if part.tables >> number & 1]


def _rows_of(spark: SparkSession, asked: Asked, number: int) -> DataFrame:
    """Return the rows of the table `number`, in its `read_schema`, with one more column, FOUND{number}, all true."""
    schema = read_schema(asked, number)
    read = partial(_read, asked=asked, number=number, schema=schema)
    rows = over(spark, list(asked.tables.every[number].files), read, schema)
    return rows.selectExpr("*", f"true as {FOUND}{number}")


def read_schema(asked: Asked, number: int) -> pa.Schema:
    """Return the schema of a table's rows: KEY, and the columns that conditions name.

    It also has the row's hash if rows are compared, and a download's status.
    """
    known = comparable_schema(asked.tables.every[number].row_schema(asked.columns[number]))
    hashed = [pa.field(f"{ROW}{number}", pa.int64())] if asked.compared[number] else []
    return pa.schema([*known, *hashed, *([_TRIED] if asked.is_download(number) else [])])


def _facts(asked: Asked, part: Part) -> list[str]:
    """Return the SQL of each fact about a joined row of a part's tables."""
    own = _numbers(asked, part)
    expressions = {"met": _met(asked, part.conditions)}
    if len(own) > 1:
        expressions["found"] = _sum([f"if({FOUND}{number}, {1 << number}L, 0L)" for number in own])
    if any(map(asked.is_download, own)):
        expressions["status"] = _TRIED.name
    expressions |= {f"{ROW}{number}": f"{ROW}{number}" for number in own if asked.compared[number]}
    return [f"{expression} as {name}" for name, expression in expressions.items()]


def _met(asked: Asked, conditions: int) -> str:
    chosen = ((bit, each) for bit, each in enumerate(asked.conditions) if conditions >> bit & 1)
    return _sum([f"if({each.sql or each.text}, {1 << bit}L, 0L)" for bit, each in chosen])


def _sum(terms: Sequence[str]) -> str:
    return " + ".join(terms) or "0L"


def _read(file: Any, asked: Asked, number: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    names, table = asked.columns[number], asked.tables.every[number].name
    for batch, known in asked.read(file, number, names):
        columns = known | {_TRIED.name: known.get("status")}
        columns |= {name: comparable(batch[name], table) for name in names}  # of which one may be named like a fact
        yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _packed(rows: Iterable[pa.RecordBatch], join: VerdictJoin, found: int) -> Iterator[pa.RecordBatch]:
    """Pack facts into blocks by KEY; yield the blocks as rows of BLOCKS, which Spark moves.

    If the facts have no column `found`, it gets the value `found`: the tables of the part, as bits.
    """
    packer = sending(join.by_key.buckets)
    for batch in rows:
        known = {"found": pa.repeat(pa.scalar(found, pa.int64()), batch.num_rows)}
        known |= dict(zip(batch.schema.names, batch.columns, strict=True))
        yield from map(as_row, deal(packer, known, join.by_key.schema, batch.num_rows))
    yield from map(as_row, packer.finish())
