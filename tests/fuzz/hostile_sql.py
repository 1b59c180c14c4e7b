"""Expressions for --keep that want files, the network, settings, endless work or memory; refused, or harmless.

    python -m tests.fuzz.hostile_sql SEED NUMBER

prints, for each expression, seconds and what came of it, and how much memory the process has taken.
"""

# ruff: noqa: E501 -- tables of words

import random
import resource
import sys

import pyarrow as pa

from curation.plugins.gate.conditions.sql import Conditions
from runtime.errors import InputError

COLUMNS = pa.schema({"width": pa.int64(), "name": pa.string(), "tags": pa.list_(pa.string())})
ROWS = {"column_0": [1, 2, None] * 30, "column_1": ["a", "bc" * 50, None] * 30, "column_2": [["a"], [], None] * 30}
NUMBERS = ("1e12::BIGINT", "1000000000", "100000", "width * 1000000", "-1", "9223372036854775807")
PATHS = ("/etc/passwd", "https://example.org/a.parquet", "s3://bucket/a", "../*", "/proc/self/environ", "\\\\host\\a")
READERS = ("read_text", "read_blob", "read_csv", "read_csv_auto", "read_parquet", "parquet_scan", "glob", "read_json",
    "sniff_csv", "parquet_metadata", "query", "query_table", "getenv", "which_secret", "duckdb_secrets", "sql_auto_complete",
    "current_setting", "getvariable", "pragma_version", "json_execute_serialized_sql", "write_log", "from_substrait")  # fmt: skip
SETTINGS = ("SET memory_limit = '1TB'", "SET lock_configuration = false", "INSTALL httpfs", "LOAD httpfs", "PRAGMA version",
    "ATTACH 'a.db'", "COPY (SELECT 1) TO '/tmp/a'", "CALL pragma_version()", "CREATE MACRO f() AS 1", "DROP TABLE x",
    "EXPORT DATABASE 'a'", "SET VARIABLE a = 1", "SET enable_external_access = true", "CHECKPOINT")  # fmt: skip
MANY = (
    "repeat({name}, {number}) = name",
    "length(repeat({name}, {number})) > 1",
    "len(range({number})) > width",
    "len(generate_series(1, {number})) > 1",
    "lpad({name}, ({number})::INT, 'a') = name",
    "printf('%{digits}d', width) = name",
    "format('{{:{digits}d}}', width) = name",
    "list_sum(list_transform(range({number}), lambda x: x * x)) > 1",
    "len(list_resize(tags, {number})) > 1",
    "bar(width, 0, 1, {number}) = name",
    "replace(repeat({name}, 1000), 'a', repeat('a', {number})) = name",
    "array_to_string(range({number}), 'a') = name",
    "factorial(({number})::INT) > 1",
    "width << ({number})::BIGINT > 1",
    "len(flatten(list_transform(range(1000), lambda x: range({number})))) > 1",
    "'{{' || repeat('\"a\":{{', 10000) || '}}' = name",
    "json_valid(repeat('[', 100000))",
    "to_json(range({number}))::VARCHAR = name",
)
PATTERNS = ("(a|aa)*(a*)*b", "((a+)+)+$", "(.*){1,1000}", "a{1000}{1000}", "(?:(?:a?){50}){50}", "[" * 500, "(" * 500,
    "\\\\1(a)", "(?=a)", "\\p{L}{1,500}{1,500}")  # fmt: skip


def hostile(dice: random.Random) -> str:
    """Return an expression."""
    name = dice.choice(["name", "'a'", "'犬'", "(name || name)"])
    number, path = dice.choice(NUMBERS), dice.choice(PATHS)
    kind = dice.choice(["reader", "setting", "many", "pattern", "deep", "long", "relation", "odd"])
    if kind == "reader":
        call = f"{dice.choice(READERS)}('{path}')"
        return dice.choice([f"{call} = name", f"name IN (SELECT * FROM {call})", f"(FROM {call}) = 1", f"{call}.a > 1"])
    if kind == "setting":
        statement = dice.choice(SETTINGS)
        return dice.choice(
            [f"width > 1; {statement}", statement, f"(width > 1); {statement}; SELECT 1", f"({statement})"]
        )
    if kind == "many":
        return dice.choice(MANY).format(name=name, number=number, digits=dice.choice(["1000000000", "100000"]))
    if kind == "pattern":
        call = dice.choice(
            ["regexp_matches({}, '{}')", "regexp_replace({}, '{}', 'bb', 'g') = name", "{} SIMILAR TO '{}'"]
        )
        return call.format(dice.choice([name, f"repeat({name}, 100000)"]), dice.choice(PATTERNS))
    if kind == "deep":
        opening, closing = dice.choice(
            [
                ("(", ")"),
                ("[", "]"),
                ("NOT (", ")"),
                ("abs(", ")"),
                ("- ", ""),
                ("CASE WHEN ok THEN ", " END"),
                ("{'a': ", "}"),
            ]
        )
        depth = dice.choice([10, 60, 300, 3000, 100_000])
        return f"{opening * depth}width{closing * depth} > 1"
    if kind == "long":
        joiner = dice.choice([" AND ", " OR ", "+", " || ", ", "])
        return f"width > {joiner.join(['width'] * dice.choice([50, 1500, 20_000]))}"
    if kind == "relation":
        relation = dice.choice(
            [f"'{path}'", "duckdb_settings()", "information_schema.tables", "rows", "sys", "COLUMNS"]
        )
        return dice.choice(
            [f"width > (SELECT max(a) FROM {relation})", f"EXISTS(FROM {relation})", f"width > 1 FROM {relation}"]
        )
    letters = [
        *"()[]{}'\"`;\\:.,*/-+$?#@\0犬",
        "SELECT ",
        "OVER ()",
        "/*",
        "--",
        "$$",
        "x'",
        "E'",
        "LAMBDA x: ",
        "NULL ",
    ]
    return "".join(dice.choices(letters, k=dice.randint(1, 60)))


def outcome(keep: str) -> str:
    """Return how the gate refuses an expression, or how many rows meet it."""
    try:
        conditions = Conditions.parse(keep, {"t": COLUMNS})
        names = [f"column_{COLUMNS.names.index(name)}" for name in conditions.schema.names]
        rows = {f"column_{number}": ROWS[name] for number, name in enumerate(names)} | {"any": [True] * 90}
        met = conditions.met(pa.RecordBatch.from_pydict(rows))
    except InputError as error:
        return f"refused: {error}"
    return f"met by {sum(int(each.sum()) for each in met)}"


def _seconds() -> float:
    """Return the processor time of this process and of those that it waited for."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def main() -> None:
    seed, number = map(int, sys.argv[1:])
    for each in range(seed, seed + number):
        keep, begin = hostile(random.Random(each)), _seconds()
        text = " ".join(outcome(keep).split())
        print(f"{each}\t{_seconds() - begin:.2f}\t{keep[:60]!r}\t{text[:150]}", flush=True)
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"MB\t{max(peaks) / 1024:.0f}")


if __name__ == "__main__":
    main()
