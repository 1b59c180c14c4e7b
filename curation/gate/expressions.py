"""Split a condition over columns of images into its parts, and check it, with Spark's own parser and analyser.

Before Spark parses a condition its text is scanned: its length, its depth, and the columns that it names. If the tokens
alone do not decide whether every name is a column, no names are returned, and Spark's parser decides.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, ParseException, PySparkTypeError
from pyspark.logger import PySparkLogger
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import expr
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import BooleanType, DoubleType, FloatType

from curation.by_uid.tables import comparable_schema
from runtime.engine.spark import settings
from runtime.errors import InputError

MOST_CHARACTERS = 20_000  # a list of 3,000 numbers
MOST_SIGNS = 400  # Spark's stack, of 1 MB, overflows at twice as many, as in NOT NOT NOT …, and seldom at 500
MOST_DEPTH = 100  # brackets; its parser overflows at 400
NOT_OF_ONE = (
    "is not of one image alone; leave out aggregates, windows, subqueries, chance, and what another run has otherwise: "
    "the time of day, the user, the version"
)
_TOKENS = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<string>[rR]'[^']*'|[rR]"[^"]*"|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<quoted>`(?:[^`]|``)+`)
    |(?P<number>\d\w*(?:\.\d\w*)?)
    |(?P<word>\w+)
    |(?P<sign><=>|->|=>|::|<=|>=|<>|!=|==|\|\||.)""",
    re.VERBOSE | re.DOTALL,
)
_OPEN, _CLOSE = {"(", "[", "{", "CASE"}, {")", "]", "}", "END"}
_KEYWORDS = set("AND OR NOT IS NULL TRUE FALSE IN BETWEEN LIKE ILIKE RLIKE REGEXP DIV CASE WHEN THEN ELSE END".split())
_SIGNS = set("( ) [ ] , . + - * / % = == != <> < <= > >= <=> || & | ^ ~ !".split())
# Words that are no columns where none has their name, or that say that other words are none.
_OF_A_RUN = set(
    "CURRENT_CATALOG CURRENT_DATABASE CURRENT_DATE CURRENT_PATH CURRENT_SCHEMA CURRENT_TIME CURRENT_TIMESTAMP "
    "CURRENT_TIMEZONE CURRENT_USER LOCALTIME LOCALTIMESTAMP SESSION_USER USER".split()
)
_OF_SPARK = _OF_A_RUN | set(
    "UNKNOWN DATEADD DATE_ADD DATEDIFF DATE_DIFF TIMESTAMPADD TIMESTAMPDIFF SELECT FROM VALUES TABLE WITH".split()
)
_WHEN = re.compile(r"""[rR]?['"]\s*(?:now|today|tomorrow|yesterday)\b""", re.IGNORECASE)

MOST = 60  # conditions: each is a bit of a number
_NAMED = ("Alias", "MultiAlias")
_LOG = "SQLQueryContextLogger"  # pyspark's own, which repeats each error with all of its stack
_OF_MANY_ROWS = (  # Spark's names of what it says where an aggregate, a window or a generator stands beside columns
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
    """Return the conditions of an expression over the columns of tables, in the form that is evaluated.

    `names` has those of each table, as users call it. InputError for what cannot be evaluated of one image alone.
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
        if tree.containsPattern(_pattern(spark, "PLAN_EXPRESSION")):
            raise InputError(f"--keep {expression!r} {NOT_OF_ONE}")
        parts = list(_joined_by_and(tree))
        if len(parts) > MOST:
            raise InputError(f"--keep joins {len(parts)} conditions by AND; join some by OR or CASE: {MOST} at most")
        return [Condition(_text(parser, part, expression), tuple(_columns(part))) for part in parts]


def require_boolean(spark: SparkSession, condition: Condition, columns: pa.Schema) -> None:
    """Refuse a condition that is not true or false for a single row, given the columns that it names."""
    try:
        with _silent():
            rows = spark.createDataFrame([], from_arrow_schema(columns))
            checked = rows.select(expr(condition.text))
    except (AnalysisException, PySparkTypeError, Py4JJavaError) as error:  # the last: a bug of its analyser
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
    """Return a condition that is evaluated with null for each part that is NaN, such as sqrt(-1); not in lambdas."""
    parser, text = spark._jsparkSession.sessionState().sqlParser(), condition.text
    with _silent():
        places = [_place(parser, part, text) for part in _computed(parser.parseExpression(text))]
        spans = [span for span in places if span is not None]
        try:
            rows = spark.createDataFrame([], from_arrow_schema(columns))
            fields = rows.select(*(expr(text[slice(*span)]) for span in spans)).schema.fields
        except AnalysisException:  # a part that means something within the whole alone
            return condition
    numbers = [span for span, field in zip(spans, fields, strict=True) if isinstance(field.dataType, _FLOATS)]
    opening, closing = (Counter(places) for places in zip(*numbers, strict=True)) if numbers else (Counter(), Counter())
    pieces = (", null)" * closing[i] + "nanvl(" * opening[i] + text[i : i + 1] for i in range(len(text) + 1))
    return replace(condition, sql="".join(pieces)) if numbers else condition


def _computed(tree: Any) -> Iterator[Any]:
    """Yield the parts that may be NaN although no column is; of sums and products, the whole expressions."""
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
    """Return what the user wrote of a part; where Spark does not say which that is, the part as Spark writes it."""
    if place := _place(parser, part, expression):
        return expression[slice(*place)]
    sql = part.sql()
    end = part.origin().stopIndex().get() + 1 if part.origin().stopIndex().isDefined() else len(expression)
    # Spark leaves out brackets that its parser needs, as in (name LIKE 'a%') IS NULL, which it has begin at IS.
    texts = (expression[begin:end] for begin in reversed(beginnings(expression)) if begin < end)
    return next((text for text in (sql, *texts) if _parsed(parser, text) == sql), sql)


def _parsed(parser: Any, text: str) -> str | None:
    """Return an expression as Spark writes it, None if it is none."""
    try:
        return parser.parseExpression(text).sql()
    except ParseException:
        return None


def _place(parser: Any, part: Any, expression: str) -> tuple[int, int] | None:
    """Return where the text of a part begins and ends; None where Spark does not say which that is."""
    begin, end = (getattr(part.origin(), name)() for name in ("startIndex", "stopIndex"))
    if begin.isDefined() and end.isDefined():
        place = begin.get(), end.get() + 1
        if _parsed(parser, expression[slice(*place)]) == part.sql():
            return place
    return None


def _columns(part: Any) -> Iterator[str]:
    """Yield the names of the columns in a part; for a field of a struct, the name of the struct."""
    leaves = part.collectLeaves()
    for leaf in map(leaves.apply, range(leaves.size())):
        if leaf.getClass().getSimpleName() == "UnresolvedAttribute":
            yield leaf.nameParts().apply(0)


def _is_of_one_row(spark: SparkSession, checked: DataFrame, rows: DataFrame) -> bool:
    """Say whether a selection looks at no other rows, and gives the same in each run."""
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
    """Yield all parts of the one expression that a plan selects."""
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
    """Return what Spark says, without its code and the plan behind it."""
    text = str(error).partition("SQLSTATE")[0].strip().removesuffix(".")
    return " ".join(text.partition("] ")[2].split()) or text


def lenient(spark: SparkSession) -> AbstractContextManager[None]:
    """Make Spark return null for x / 0 and the like, so that one row of a user's table cannot end a run; set UTC."""
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


@dataclass(frozen=True)
class Condition:
    """One operand of the ANDs of an expression: its text, the columns in it, and its form for people."""

    text: str
    columns: tuple[str, ...]
    title: str | None = None  # instead of the text
    sql: str | None = None  # what is evaluated instead of the text

    @property
    def evaluated(self) -> str:
        """The condition as Spark evaluates it."""
        return self.sql or self.text

    @property
    def shown(self) -> str:
        """The condition as a person reads it."""
        return self.title or self.text


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str

    @property
    def is_keyword(self) -> bool:
        return self.kind == "word" and self.text.upper() in _KEYWORDS

    @property
    def name(self) -> str | None:
        """The name that a token may be, of a column or of something else."""
        if self.kind == "quoted":
            return self.text[1:-1].replace("``", "`")
        return self.text if self.kind == "word" and not self.is_keyword else None


_END = _Token("end", "")


def require_short(expression: str) -> None:
    """Refuse an expression that Spark's parser would need very long for, or would end in an overflow of its stack."""
    signs = depth = deepest = 0
    for token in _tokens(expression) if len(expression) <= MOST_CHARACTERS else ():
        signs += token.kind not in ("number", "string") and token.text not in ("(", ")", ",")
        depth += (token.text.upper() in _OPEN) - (token.text.upper() in _CLOSE)
        deepest = max(deepest, depth)
    for number, most, what in (
        (len(expression), MOST_CHARACTERS, "characters"),
        (signs, MOST_SIGNS, "words and signs, besides numbers, strings, commas and brackets"),
        (deepest, MOST_DEPTH, "brackets, or CASEs, within one another"),
    ):
        if number > most:
            raise InputError(
                f"--keep {expression[:40]!r}… has {number:,} {what}; at most {most:,} are read. Write `x IN (…)` for "
                "many ORs, and give lists of images by --only"
            )


def require_no_day_of_the_run(expression: str) -> None:
    """Refuse times such as timestamp'now', for which Spark's parser puts the time at which it reads them."""
    tokens = _tokens(expression)
    for before, token in zip(tokens, tokens[1:], strict=False):
        if before.kind == "word" and before.text.upper().startswith(("DATE", "TIME")) and _is_day_of_the_run(token):
            raise InputError(f"{before.text} {token.text} of --keep {NOT_OF_ONE}")


def names_in(expression: str, known: Sequence[str]) -> list[str]:
    """Return the columns that an expression names; none where only Spark can say whether each name is a column.

    >>> names_in("`a b` >= 2 AND (nsfw.score < 0.4 OR least(width, height) IS NULL)", [])
    ['a b', 'nsfw', 'width', 'height']
    >>> names_in("cast(width AS double) > 1", []), names_in("current_date > day", ["day"])
    ([], [])
    """
    tokens = _tokens(expression)
    columns = {name.upper() for name in known}
    if any(token.kind == "sign" and token.text not in _SIGNS for token in tokens):
        return []
    found = []
    for before, token, after in zip([_END, *tokens], tokens, [*tokens[1:], _END], strict=False):
        name = token.name
        if name is None:
            continue
        is_of_spark = token.kind == "word" and name.upper() in _OF_SPARK - columns
        is_of_function = before.text == "." and after.text == "("
        if is_of_spark or is_of_function or _is_beside(before, ")]") or _is_beside(after, ""):
            return []
        if before.text != "." and after.text != "(":
            found.append(name)
    return found


def names_a_day_of_the_run(expression: str) -> bool:
    """Return whether a string is what Spark takes for a time of the run where it expects one, such as 'today'."""
    return any(map(_is_day_of_the_run, _tokens(expression)))


def beginnings(expression: str) -> list[int]:
    """Return where the words and signs of an expression begin."""
    return [each.start() for each in _TOKENS.finditer(expression) if each.lastgroup != "space"]


def require_columns(names: Sequence[str], tables: Mapping[str, Sequence[str]]) -> None:
    """Refuse columns that none of the tables (name: columns) has, that several have, or one under several names."""
    for column in names:
        owners = {name: [each for each in own if each.lower() == column.lower()] for name, own in tables.items()}
        owners = {name: own for name, own in owners.items() if own}
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


def _tokens(expression: str) -> list[_Token]:
    found = (_Token(str(each.lastgroup), each.group()) for each in _TOKENS.finditer(expression))
    return [token for token in found if token.kind != "space"]


def _is_day_of_the_run(token: _Token) -> bool:
    return token.kind == "string" and _WHEN.match(token.text) is not None


def _is_beside(token: _Token, brackets: str) -> bool:
    """Return whether a token right before or behind a name shows that the name is not a column."""
    return token.name is not None or token.kind in ("string", "number") or token.text in [*brackets]
