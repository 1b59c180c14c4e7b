"""Evaluate conditions of --keep, written in SQL, on batches of rows by DuckDB, in this process.

DuckDB's parser returns the tree of an expression. A part that depends on other rows, or on anything outside its row, is
refused: `duckdb_functions()` tells which functions are aggregates, tables or volatile. DuckDB's binder checks names and
types before the first row is evaluated. The connection cannot open files, and has one thread and bounded memory.
"""

from __future__ import annotations

import json
import pickle
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from runtime.errors import InputError
from runtime.messages import did_you_mean
from runtime.packages import require_packages

if TYPE_CHECKING:
    import duckdb  # Otherwise, only functions import it, because the import takes a tenth of a second.

MAX_EXPRESSION_CHARACTERS = 20_000  # This is enough for a list of 3,000 numbers.
MAX_EXPRESSION_DEPTH = 1000  # the most levels, as in DuckDB; Python's stack may be exhausted earlier
MAX_BATCH_BYTES = 1 << 30  # the memory that a batch may take beyond the memory that the process already has
MAX_BATCH_SECONDS = 60  # the elapsed time that a batch may take
TRIAL_SECONDS = 20  # the CPU time that a trial on _TRIAL_ROWS rows may take
_TRIAL_PATIENCE = 300.0  # seconds in which a trial's process must end, even on a slow disk or a busy machine
# A trial is repeated, as the system may kill its process, and DuckDB aborted in one of 450 trials of a sound condition.
_TRIAL_TRIES = 2
_TRIAL_ROWS = 4
_TRIAL = "import pickle, sys; sys.path[:] = sys.argv[1].splitlines(); "
_TRIAL += f"from {__name__} import condition_fault; print(condition_fault(pickle.load(sys.stdin.buffer)), end='')"
_SHOWN_CHARACTERS = 300  # the most characters of the output of a trial's process that a message repeats
COLUMN = "column_"  # the beginning of the names of columns of joined rows
# This names the table of rows, and a column of nulls in it: the table needs a column even if conditions name none.
_ROWS = "rows_of_images"
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "256MB",
    "enable_external_access": False,
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "ieee_floating_point_ops": False,  # This makes x / 0 null.
    "max_expression_depth": MAX_EXPRESSION_DEPTH,
    "python_enable_replacements": False,  # Otherwise, a name could refer to a variable of Python.
}
_NODE_CLASSES = frozenset(  # Nodes of these classes depend only on a row.
    "BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA OPERATOR TYPE".split()
)
_FAIL = ("BETWEEN", "COMPARISON", "FUNCTION")  # Nodes of these classes may raise an error.
_ARITHMETIC = ("+", "-", "*", "/", "%")
# Some versions of DuckDB call these functions CONSISTENT, but they depend on the time (age(x) is the time until today)
# or on settings.
_OF_A_RUN = re.compile("age|current_.*|getvariable")
_NOT_OF_ONE = (
    "depends on more than the columns of one image; leave out aggregates, windows, subqueries, random numbers, and "
    "values that differ between runs, such as the time of day, settings and versions"
)
_NEVER = "never: "  # the beginning of a fault that `never_computed` finds
_FAULT = "cannot be evaluated"
_NO_CAST = "Unimplemented type for cast"  # the beginning of DuckDB's message about a cast that it lacks
_NULL_FOR_ALL = (
    "The condition would be null for every image: compare values of one type, and write dates and times in full"
)
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")  # This finds strings and quoted names.
_SELECT = "SELECT "  # This makes an expression a statement.

Node = dict[str, Any]


@dataclass(frozen=True)
class Condition:
    """One of the conditions that AND joins in an expression.

    `text` is the condition as DuckDB writes it; only the trial evaluates it. `sql` is evaluated for images: it is null
    where `text` would raise an error or be NaN. `what` names the condition and its columns' types in messages.
    """

    text: str
    sql: str
    what: str


@dataclass(frozen=True)
class Conditions:
    """The conditions of an expression, over columns of `schema`."""

    schema: pa.Schema
    conditions: tuple[Condition, ...]

    @classmethod
    def parse(cls, expression: str, tables: Mapping[str, pa.Schema]) -> Conditions:
        """Return the conditions that AND joins in an expression over columns of `tables`, by name of the table.

        InputError without DuckDB, or for an expression that cannot be evaluated from the columns of a single image.
        """
        require_packages(["duckdb"])
        if len(expression) > MAX_EXPRESSION_CHARACTERS:
            raise InputError(
                f"--keep {expression[:40]!r}… has {len(expression):,} characters; at most "
                f"{MAX_EXPRESSION_CHARACTERS:,} are read. Pass lists of images by --only"
            )
        try:
            with _bounded(f"--keep {expression[:80]!r}"):
                tree = _parsed(expression)
                fields = _fields([*_checked(tree)], tables)
                schema = pa.schema([field for _, field in fields.values()])
                parts = tree["children"] if tree["type"] == "CONJUNCTION_AND" else [tree]
                conditions = [_condition(part, schema, fields) for part in parts]
        except (RecursionError, InputError) as error:
            if not isinstance(error, RecursionError) and " depth " not in str(error):
                raise InputError("; ".join(filter(None, [str(error), _to_quote(expression, tables)]))) from None
            raise InputError(
                f"--keep {expression[:40]!r}… is nested too deeply; forty levels are read. Write `x IN (…)` for many "
                "comparisons"
            ) from None
        parsed = cls(schema, tuple(conditions))
        parsed.require_quick(expression)
        return parsed

    def require_quick(self, expression: str) -> None:
        """Try the conditions on a few rows in another process; InputError if they fail, or take too long.

        DuckDB cannot interrupt a function that works on one value, but a process can be ended. InputError also for a
        condition that `never_computed` finds.
        """
        for _ in range(_TRIAL_TRIES):
            fault, is_sure = _tried(pickle.dumps(self))
            if is_sure:
                break
        if fault.startswith(_NEVER):
            raise InputError(fault.removeprefix(_NEVER))
        if fault:
            raise InputError(
                f"--keep {expression[:80]!r} failed when it was tried on a few rows: {fault}; change the condition"
            )

    def met(self, rows: pa.RecordBatch) -> list[np.ndarray]:
        """Return, for each condition, which rows meet it, bool[row]; a condition that is null is not met.

        Column k of `schema` is the column of `rows` whose name is COLUMN followed by k.
        """
        sql = ", ".join(f"coalesce(({condition.sql}), false)" for condition in self.conditions)
        texts = " AND ".join(condition.text for condition in self.conditions)
        result = self._selected(sql, rows, f"--keep {texts[:80]!r}")
        return [column.to_numpy() for column in result.columns]

    def never_computed(self, rows: pa.RecordBatch) -> str:
        """Return a message about the first condition that would be null for every image; "" if there is none.

        Such a condition raises an error in each of `rows`, as one with a constant that cannot be converted does; the
        last row must have only nulls. A condition that in any row needs a cast which DuckDB lacks is reported as well.
        """
        for condition in self.conditions:
            errors = [self._error(condition, rows.slice(row, 1)) for row in range(rows.num_rows)]
            missing_casts = [error for error in errors if _NO_CAST in error]
            if missing_casts or all(errors):
                return f"{(missing_casts or errors)[0]}. {_NULL_FOR_ALL}"
        return ""

    def _error(self, condition: Condition, row: pa.RecordBatch) -> str:
        """Return the message of the error that `condition.text` raises for a row; "" if it raises none.

        InputError if it takes too much memory or time.
        """
        try:
            self._selected(f"({condition.text})", row, condition.what)
        except InputError as error:
            if _FAULT not in str(error):  # The condition takes too much memory or time.
                raise
            return str(error)
        return ""

    def _selected(self, sql: str, rows: pa.RecordBatch, what: str) -> pa.Table:
        """Return the values of `sql` for each row; InputError, about `what`, for an error of DuckDB."""
        values = [rows[f"{COLUMN}{k}"] for k in range(len(self.schema))]
        table = pa.Table.from_arrays([pa.nulls(rows.num_rows), *values], [_ROWS, *self.schema.names])
        with _over(table) as connection, _bounded(what, connection):
            return connection.sql(f"SELECT {sql} FROM {_ROWS}").to_arrow_table()


def _tried(conditions: bytes) -> tuple[str, bool]:
    """Try pickled conditions in another process; return the fault that it finds, or "", and whether this is certain.

    It is certain if the process answered, or was ended at its limit of CPU time.
    """
    trial = [sys.executable, "-I", "-c", _TRIAL, "\n".join(sys.path)]
    try:
        tried = subprocess.run(trial, input=conditions, capture_output=True, timeout=_TRIAL_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return f"the process that tries it has not ended after {_TRIAL_PATIENCE:.0f} seconds", False
    if tried.returncode == -signal.SIGXCPU:
        return f"it takes more than {TRIAL_SECONDS} seconds for {_TRIAL_ROWS} images", True
    if tried.returncode:
        said = " ".join(tried.stderr.decode(errors="replace").split())[-_SHOWN_CHARACTERS:]
        last_words = f", which wrote: {said}" if said else ""
        return f"it ended the process that tried it (status {tried.returncode}){last_words}", False
    return tried.stdout.decode(), True


def condition_fault(conditions: Conditions) -> str:
    """Try conditions on a few rows; return their fault, or "". The CPU time of this whole process is limited."""
    resource.setrlimit(resource.RLIMIT_CPU, (TRIAL_SECONDS, TRIAL_SECONDS + 1))
    values = {f"{COLUMN}{k}": _few_values(field.type) for k, field in enumerate(conditions.schema)}
    rows = pa.RecordBatch.from_pydict(values | {"any": pa.nulls(_TRIAL_ROWS)})
    try:
        if never := conditions.never_computed(rows):
            return f"{_NEVER}{never}"
        conditions.met(rows)
    except InputError as error:
        return str(error)
    return ""


def _few_values(kind: pa.DataType) -> pa.Array:
    """Return _TRIAL_ROWS values of a type: numbers or texts that can be converted to it, and nulls for the others."""
    choices = [_converted(values, kind) for values in (["2026-01-31", "1", "ab" * 100, None], [0, 1, 100, None])]
    return min(choices, key=lambda values: values.null_count)


def _converted(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return the values converted to a type; null for each value that cannot be converted."""
    converted = []
    for value in values:
        try:
            converted.append(pa.array([value]).cast(kind))
        except (pa.ArrowException, ValueError):
            converted.append(pa.nulls(1, kind))
    return pa.concat_arrays(converted)


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(":memory:", config=_CONFIG)
    for setting in ("TimeZone = 'UTC'", "lock_configuration = true"):
        connection.execute(f"SET GLOBAL {setting}")  # GLOBAL makes it hold for all cursors.
    return connection


@contextmanager
def _over(rows: pa.Table) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection that knows `rows` as the table _ROWS."""
    with _connection().cursor() as connection:
        connection.register(_ROWS, rows)
        yield connection


@contextmanager
def _bounded(what: str, connection: duckdb.DuckDBPyConnection | None = None) -> Iterator[None]:
    """Bound memory and time within the block; InputError, about `what`, for an error of DuckDB.

    DuckDB's own memory limit counts only its buffers, and a long string is in none of them.
    """
    import duckdb

    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = Path("/proc/self/statm")
    timer = Timer(MAX_BATCH_SECONDS, connection.interrupt if connection else int)
    if used.exists():
        most = int(used.read_text().split()[0]) * resource.getpagesize() + MAX_BATCH_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
    timer.daemon = True
    timer.start()
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.InterruptException, MemoryError):
        raise InputError(f"{what} takes more than a gigabyte or a minute for a batch of images; simplify it") from None
    except duckdb.Error as error:
        raise InputError(f"{what} {_FAULT}: {_reason(error)}") from None
    finally:
        timer.cancel()
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _reason(error: Exception) -> str:
    """Return the first line of DuckDB's message without the kind of error."""
    line = str(error).strip().partition("\n")[0]
    return line.partition(" Error: ")[2] or line


def _statement(sql: str) -> Node:
    """Return the tree of a SELECT; ValueError, with DuckDB's reason, if it cannot be parsed."""
    (text,) = _connection().execute("SELECT json_serialize_sql(?)", [f"{_SELECT}{sql}\n"]).fetchone() or ("{}",)
    tree = json.loads(text)
    if tree["error"] or len(tree["statements"]) != 1:
        raise ValueError(tree.get("error_message", "it is more than one statement"))
    return tree["statements"][0]["node"]


def _parsed(expression: str) -> Node:
    """Return the tree of an expression; InputError if it is not one, or if a FROM or anything else follows it."""
    try:
        node = _statement(expression)
    except ValueError as error:
        if "&&" in _QUOTED.sub(" ", expression):
            raise InputError(f"--keep {expression[:80]!r} has &&; write AND between conditions") from None
        raise InputError(f"--keep {expression[:80]!r} is not an expression of DuckDB's SQL: {error}") from None
    parts = node.get("select_list", ())
    plain = _statement("NULL")
    if len(parts) != 1 or parts[0]["alias"] or node | {"select_list": 0} != plain | {"select_list": 0}:
        raise InputError(f"--keep {expression[:80]!r} is not a single condition; leave out everything after it")
    return parts[0]


def _written(node: Node) -> str:
    """Return the SQL that DuckDB writes for a tree."""
    tree = {"error": False, "statements": [{"node": _statement("NULL") | {"select_list": [node]}}]}
    (sql,) = _connection().execute("SELECT json_deserialize_sql(?)", [json.dumps(tree)]).fetchone() or ("",)
    return sql.removeprefix(_SELECT)


def _nodes(tree: Any, bound: frozenset[str] = frozenset()) -> Iterator[tuple[Node, frozenset[str]]]:
    """Yield each node of a tree, with the names that lambdas around it bind."""
    if isinstance(tree, dict):
        if tree.get("class") == "LAMBDA":
            bound |= {node["column_names"][0] for node, _ in _nodes(tree["lhs"]) if node["class"] == "COLUMN_REF"}
        if tree.get("class"):
            yield tree, bound
        tree = [*tree.values()]
    for branch in tree if isinstance(tree, list) else ():
        yield from _nodes(branch, bound)


def _checked(tree: Node) -> Iterator[str]:
    """Yield the names of the columns in a tree; InputError for a part that depends on more than one row."""
    for node, bound in _nodes(tree):
        name = node.get("function_name", "").lower()
        if node["class"] not in _NODE_CLASSES or node["type"] == "GROUPING_FUNCTION" or name in _refused():
            what = name or node["class"].lower().replace("_", " ")
            raise InputError(f"--keep has {what}, which {_NOT_OF_ONE}")
        if node["class"] == "COLUMN_REF" and node["column_names"][0] not in bound:
            yield node["column_names"][0]


@cache
def _refused() -> frozenset[str]:
    """Return the names of functions that are aggregates, windows or tables, or whose result may differ between runs.

    Macros that use such a function, a subquery, or a name that is not a parameter are among them.
    """
    variants = _connection().execute(
        "SELECT function_name, list(function_type), list(stability), any_value(macro_definition), "
        "any_value(list_transform(parameters, lambda each: lower(each))) FROM duckdb_functions() GROUP BY function_name"
    )
    plain: set[str] = set()
    macros: dict[str, tuple[str, list[str]]] = {}
    names: set[str] = set()
    for name, kinds, stability, definition, parameters in variants.fetchall():
        names.add(name)
        if "CONSISTENT" in stability and {*kinds} <= {"scalar", "table"}:
            plain.add(name)
        elif {*kinds} == {"macro"}:
            macros[name] = definition, parameters
    refused = {name for name in names if _OF_A_RUN.fullmatch(name)} | names - plain - macros.keys()
    while more := {name for name, macro in macros.items() if _depends(*macro, refused)} - refused:
        refused |= more
    return frozenset(refused)


def _depends(definition: str, parameters: Sequence[str], refused: set[str]) -> bool:
    """Return whether a macro has a refused function, a subquery, or a column name that is not one of its parameters."""
    return any(
        node["class"] not in _NODE_CLASSES
        or node.get("function_name", "").lower() in refused
        or (node["class"] == "COLUMN_REF" and node["column_names"][0].lower() not in {*parameters} | bound)
        for node, bound in _nodes(_statement(definition)["select_list"][0])
    )


def _fields(names: Sequence[str], tables: Mapping[str, pa.Schema]) -> dict[str, tuple[str, pa.Field]]:
    """Return the table and the field of each column of these names; `tables` are schemas by name of the table.

    InputError for a column that is in no table, in several tables, or in one table in several spellings.
    """
    fields: dict[str, tuple[str, pa.Field]] = {}
    for column in names:
        owners: list[tuple[str, pa.Field]] = []
        for name, schema in tables.items():
            owners += [(name, field) for field in schema if field.name.lower() == column.lower()]
        if len({name for name, _ in owners}) > 1:
            several = " and ".join(dict.fromkeys(name for name, _ in owners))
            raise InputError(
                f"column {column} of --keep is in several tables ({several}); rename it in all but one of them"
            )
        if len(owners) > 1:
            spellings = " or ".join(field.name for _, field in owners)
            raise InputError(
                f"column {column} of --keep may be {spellings} of {owners[0][0]}, and SQL ignores case; rename one"
            )
        if not owners and column.lower() in _refused():
            raise InputError(f"{column} of --keep {_NOT_OF_ONE}")
        if not owners:
            listed = "; ".join(f"{name} has {', '.join(schema.names)}" for name, schema in tables.items())
            columns = [*chain.from_iterable(schema.names for schema in tables.values())]
            advice = did_you_mean(column, columns, f"if it is a string, put it into single quotes: '{column}'")
            raise InputError(f"column {column} of --keep is in no table of images: {listed}; {advice}")
        fields[owners[0][1].name] = owners[0]
    return fields


def _to_quote(expression: str, tables: Mapping[str, pa.Schema]) -> str:
    """Return advice to quote the first column of `tables` that an expression should quote and does not; "" if none.

    Such a name is a keyword of SQL, or has characters other than letters, digits and underscores.
    """
    unquoted = _QUOTED.sub(" ", expression)
    keywords = _connection().execute(
        "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category != 'unreserved'"
    )
    words = {word for (word,) in keywords.fetchall()}
    for name in chain.from_iterable(schema.names for schema in tables.values()):
        is_odd = name.lower() in words or not name.isidentifier()
        if is_odd and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", unquoted, re.IGNORECASE):
            return f'SQL does not read {name} as the name of a column; put it into double quotes: "{name}"'
    return ""


def _condition(node: Node, schema: pa.Schema, fields: Mapping[str, tuple[str, pa.Field]]) -> Condition:
    """Return the condition of this tree; InputError if it is not true or false."""
    text = _written(node)
    named = {name.lower() for name in _checked(node)}
    types = [
        f"{field.name} of {table} is {field.type}" for table, field in fields.values() if field.name.lower() in named
    ]
    what = f"condition {text!r} of --keep, where {', '.join(types) or 'no column is named'},"
    with _over(schema.empty_table().append_column(_ROWS, pa.array([], pa.null()))) as connection, _bounded(what):
        (kind,) = connection.sql(f"SELECT ({text}) FROM {_ROWS}").types
        sql = _written(_without_errors(node))
        connection.sql(f"SELECT {sql} FROM {_ROWS}")
    if str(kind) != "BOOLEAN":
        raise InputError(f"{what} has the type {kind} instead of BOOLEAN; compare it to a value")
    return Condition(text, sql, what)


def _without_errors(tree: Any, is_within: bool = False) -> Any:
    """Return a tree in which each node that would raise an error is null instead; lambdas are left as they are.

    `is_within` says whether the tree is part of an arithmetic expression; the complete expression becomes null.
    """
    if isinstance(tree, list):
        return [_without_errors(branch, is_within) for branch in tree]
    if not isinstance(tree, dict) or tree.get("class") == "LAMBDA":
        return tree
    is_arithmetic = tree.get("function_name") in _ARITHMETIC
    is_part_of_sum = is_arithmetic or (is_within and "class" not in tree)
    node = {name: _without_errors(value, is_part_of_sum) for name, value in tree.items()}
    if node.get("class") == "CAST":
        return node | {"try_cast": True}
    if node.get("class") not in _FAIL or (is_arithmetic and is_within):
        return node
    return _statement("try(NULL)")["select_list"][0] | {"children": [node], "alias": node["alias"]}
