"""Conditions of --keep hold as SQL says; what is not of one image is refused in a sentence, as is what is too much."""

import random
import re
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.gate.conditions import sql
from curation.plugins.gate.conditions.sql import Conditions
from runtime import packages
from runtime.errors import InputError
from tests.fuzz.gates import require_as_defined, require_refused_or_checked
from tests.support.checkout import ROOT
from tests.support.gates import checked_gate, write_table

DEEPEST = "(" * 40 + "width" + ")" * 40 + " > 2"
LONGEST = "NOT " * 40 + "width > 2"
NESTED = "abs(" * 40 + "width" + ")" * 40 + " > 2"
ROWS = {
    "width": [0, 1, 2, 3],
    "name": ["a", "4", "nan", None],
    "ok": [True, False, None, True],
    "score": pa.array([0.3, 0.31, None, 0.2], pa.float32()),
}


def met(keep: str) -> list[list[bool]]:
    """Return which of ROWS meet each condition."""
    rows = pa.RecordBatch.from_pydict(ROWS)
    conditions = Conditions.parse(keep, {"t": rows.schema})
    columns = [rows[name] for name in conditions.schema.names]
    rows = pa.RecordBatch.from_arrays(
        [*columns, rows["ok"]], [*(f"column_{number}" for number in range(len(columns))), "ok"]
    )
    return [each.tolist() for each in conditions.met(rows)]


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        ("(" * 100_000 + "width" + ")" * 100_000 + " > 1", "has 200,009 characters; at most 20,000 are read"),
        ("CASE WHEN width > 1 THEN " * 600 + "true" + " END" * 600, "is nested too deeply; forty levels are read"),
        (" OR ".join(f"width = {number}" for number in range(20_000)), "characters; at most 20,000 are read"),
        ("+".join(["width"] * 1000) + " > 1", "is nested too deeply; forty levels are read"),
        ("- " * 600 + "width > 1", "is nested too deeply; forty levels are read"),
        ("[" * 9000 + "1" + "]" * 9000 + " = width", "is nested too deeply; forty levels are read"),
    ],
    ids=["characters", "cases", "ors", "sum", "signs", "lists"],
)
def test_an_expression_that_is_too_long_or_deep_is_refused(keep, sentence):
    with pytest.raises(InputError, match=sentence):
        met(keep)


@pytest.mark.parametrize("keep", [DEEPEST, LONGEST, NESTED, "+".join(["width"] * 40) + " > 80"])
def test_long_and_deep_expressions_are_evaluated(keep):
    assert met(keep) == [[False, False, False, True]]


def test_what_is_within_strings_and_lists_of_numbers_is_neither_deep_nor_long():
    keep = f"name != '{'(' * 5000}' AND width IN ({', '.join(map(str, range(2, 2000)))})"
    assert met(keep) == [[True, True, True, False], [False, False, True, True]]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("1 / width > 0.4", [False, True, True, False]),
        ("name::int = 4", [False, True, False, False]),
        ("sqrt(width - 1) >= 0 OR ok", [True, True, True, True]),
        ("(sqrt(width - 1) > 0) IS NULL", [True, False, False, False]),
        ("width * 9223372036854775807 > 0", [False, True, False, False]),
        ("coalesce(1 / width, 7) = 7", [True, False, False, False]),
        ("ok", [True, False, False, True]),
        ("NOT ok", [False, True, False, False]),
        ("true", [True] * 4),
        ("null", [False] * 4),
    ],
)
def test_what_cannot_be_computed_is_null_and_null_is_not_met(keep, expected):
    if keep == "null":
        with pytest.raises(InputError, match="where no column is named, has the type"):
            met(keep)
    else:
        assert met(keep) == [expected]


NEVER_COMPUTED = [
    *("width > 'abc'", "'abc' < width", "width BETWEEN 'a' AND 3", "width IN (1, 'x')", "width > 1 OR width = 'abc'"),
    *("day > 'today'", "ts > 'now'", "TIMESTAMP 'now' > ts", "ts::DATE = 'yesterday'", "zoned > 'tomorrow'"),
    *("zoned::TIME < '12:00'", "day::INT > 3", "name::TIMESTAMPTZ::TIME > '12:00'"),
]


@pytest.mark.parametrize("keep", NEVER_COMPUTED)
def test_a_condition_that_would_be_null_for_every_image_is_refused(keep):
    columns = {"width": pa.int64(), "name": pa.string(), "day": pa.date32(), "ts": pa.timestamp("us")}
    tables = {"a.parquet": pa.schema(columns | {"zoned": pa.timestamp("us", "UTC")})}
    with pytest.raises(InputError, match=r"cannot be evaluated: .*\. The condition would be null for every image: "):
        Conditions.parse(keep, tables)


def test_a_refused_comparison_names_the_type_of_the_column_and_the_value():
    with pytest.raises(InputError, match="where width of a.parquet is int64, cannot be evaluated: .*'abc'"):
        Conditions.parse("width > 'abc'", {"a.parquet": pa.schema({"width": pa.int64()})})


@pytest.mark.parametrize(
    ("keep", "column"),
    [
        ("when = 'a'", "when"),
        ("width > 1 AND Order = 2", "order"),
        ("clip-score > 0.3", "clip-score"),
        ("at > 1", "at"),
    ],
)
def test_a_column_whose_name_means_more_to_sql_is_refused_with_the_advice_to_quote_it(keep, column):
    schema = pa.schema({"width": pa.int64(), column: pa.int64()})
    with pytest.raises(InputError, match=f'as the name of a column; put it into double quotes: "{column}"'):
        Conditions.parse(keep, {"a.parquet": schema})


def test_a_number_is_rounded_to_the_float_of_the_column_beside_it():
    assert met("score > 0.3") == [[False, True, False, False]]
    assert met("score::DOUBLE > 0.3") == [[True, True, False, False]]


def test_without_duckdb_one_sentence_names_the_extra(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^duckdb is not installed: pip install 'clip-curation\[conditions\]'$"):
        Conditions.parse("width > 200", {"table": pa.schema({"width": pa.int64()})})


def end_trials(monkeypatch, tmp_path: Path, times: int, end: str) -> None:
    """Let the process that tries an expression end by `end`, so many times before it does its work."""
    program = "import os, pathlib, sys, time\nended = pathlib.Path({folder!r}, 'ended')\nended.touch()\n"
    program += "if len(ended.read_text()) < {times}:\n    ended.write_text(ended.read_text() + '.')\n    {end}\n"
    before = program.format(folder=str(tmp_path), times=times, end=end)
    monkeypatch.setattr(sql, "_TRIAL", before + sql._TRIAL)


@pytest.mark.parametrize("end", ["os.abort()", "os.kill(os.getpid(), 9)", "time.sleep(600)"])
def test_an_expression_is_tried_again_if_the_process_that_tries_it_is_killed_or_stops(monkeypatch, tmp_path, end):
    end_trials(monkeypatch, tmp_path, 1, end)
    if "sleep" in end:
        monkeypatch.setattr(sql, "_TRIAL_PATIENCE", 10.0)
    assert met("width > 2") == [[False, False, False, True]]


def test_an_expression_that_ends_each_process_is_refused_with_what_the_last_one_wrote(monkeypatch, tmp_path):
    end_trials(monkeypatch, tmp_path, 9, "sys.stderr.write('out of\\nmemory'); os.abort()")
    with pytest.raises(
        InputError, match=r"ended the process that tried it \(status -6\), which wrote: out of memory; change"
    ):
        met("width > 2")
    assert (tmp_path / "ended").read_text() == ".."


def test_a_misspelt_column_is_refused(tmp_path):
    table = write_table([{"uid": "a", "width": 1}], tmp_path / "scores", 1)
    with pytest.raises(InputError, match="column widht of keep is in no table of images: .*scores has uid, width"):
        checked_gate([table], "widht > 1")
    assert checked_gate([table], "WIDTH > 1").joined.conditions


@pytest.mark.parametrize("keep", ["score > 1", "cast(Score as int) > 1"])
def test_columns_that_differ_in_case_alone_are_refused_where_one_is_asked_for(tmp_path, keep):
    table = write_table([{"uid": "a", "score": 1, "Score": 2, "width": 3}], tmp_path / "t", 1)
    with pytest.raises(InputError, match="may be score or Score of .*, and SQL ignores case; rename one"):
        checked_gate([table], keep)
    assert checked_gate([table], "width > 1").joined.conditions


OF_MANY_ROWS = [
    "avg(width) > width",
    "sum(max(width)) > 1",
    "count(random()) > 1",
    "count(*) > 1",
    "row_number() over () > 1",
    "max(width) over () > 1",
    "unnest([width]) > 1",
    "grouping(width) > 1",
    "width > (select max(width) from nowhere)",
    "width in (select 1)",
    "exists(select 1)",
    "columns(*) > 1",
    "width > $1",
    "#1 > 2",
    "wavg(width, width) > 1",
]
OF_A_RUN = [
    *("current_date > day", "now() > day", "get_current_timestamp() > day", "day < current_localtimestamp()"),
    *("day > today()", "ago(interval 1 day) < day", "age(day) > interval 1 day"),
    *("current_setting('threads') = name", "getvariable('a') = name", "current_database() = name"),
    *("version() = name", "uuid()::varchar = name", "random() > 0.5", "current_query() = name", "user() = name"),
    *("sleep_ms(1000) = name", "pg_sleep(1) = name", "txid_current() = width", "read_text('/etc/passwd') = name"),
    *("query('select 1') = 1", "glob('/*') = name", "nextval('a') = 1", "pg_conf_load_time() > day"),
]


def refusal_of(table: Path, keep: str) -> str:
    try:
        checked_gate([str(table)], keep)
    except InputError as error:
        return str(error)
    return ""


def test_what_is_not_of_one_image_is_refused_in_one_sentence(tmp_path):
    columns = {"uid": ["a"], "width": [1], "name": ["b"], "day": pa.array([0], pa.timestamp("ns"))}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    refusals = {keep: refusal_of(tmp_path / "a.parquet", keep) for keep in OF_MANY_ROWS + OF_A_RUN}
    assert [
        keep
        for keep, text in refusals.items()
        if "depends on more than the columns of one image; leave out" not in text
    ] == []
    for keep in ("width > 1; DROP TABLE x", "width > 1, width > 2", "width > 1 LIMIT 1", "width > 1 FROM x", "width a"):
        assert " of keep " in (text := f" of {refusal_of(tmp_path / 'a.parquet', keep)}"), text
    for keep in ("name = 'today' AND day > '2020-01-01'", "day > 'epoch'", "name = 'now' OR width > 1", "pi() > width"):
        assert refusal_of(tmp_path / "a.parquet", keep) == ""


@pytest.mark.parametrize(
    ("keep", "texts"),
    [
        ("width >= 2 AND (ok OR name IS NULL)", ["(width >= 2)", '(ok OR ("name" IS NULL))']),
        ("(ok AND (width > 1 and name = '犬 AND'))", ["ok", "(width > 1)", "(\"name\" = '犬 AND')"]),
        ("width BETWEEN 1 AND 2 AND ok", ["(width BETWEEN 1 AND 2)", "ok"]),
        ("ok /* AND */ AND width > 1 -- AND\n", ["ok", "(width > 1)"]),
    ],
)
def test_an_expression_is_split_at_each_and_into_conditions_as_duckdb_spells_them(keep, texts):
    schema = pa.RecordBatch.from_pydict(ROWS).schema
    assert [each.text for each in Conditions.parse(keep, {"t": schema}).conditions] == texts


def test_the_examples_of_the_pages_on_gates_are_evaluated():
    columns = {"width": pa.int64(), "height": pa.int64(), "clip_score": pa.float32(), "license": pa.string()}
    columns |= {"title": pa.string(), "url": pa.string(), "nsfw": pa.string(), "at": pa.timestamp("us")}
    columns |= {"scores": pa.map_(pa.string(), pa.float64()), "faces": pa.list_(pa.float32())}
    page = (ROOT / "docs/how-to/gates.md").read_text("utf-8").partition("## Conditions")[2].partition("## A worked")[0]
    page += (ROOT / "docs/reference/conditions.md").read_text("utf-8")
    examples = re.findall(r"^- `(.*?)`: ", page, re.MULTILINE)
    assert len(examples) == 10
    for example in examples:
        assert len(Conditions.parse(example, {"t": pa.schema(columns)}).conditions) == 1


def test_images_stay_that_meet_a_condition():
    require_as_defined(range(60))
    require_refused_or_checked(range(100))


@pytest.mark.soak
def test_images_stay_that_meet_any_of_many_conditions():
    first = random.SystemRandom().randrange(1 << 30)
    print(f"from seed {first}")
    end = time.monotonic() + 120
    while time.monotonic() < end:
        require_as_defined(range(first, first + 20))
        require_refused_or_checked(range(first, first + 20))
        first += 20
