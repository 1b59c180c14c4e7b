"""Conditions of --keep are refused in a sentence before Spark starts where their text decides, and else by Spark."""

import random
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.leaves.gate.expressions import conditions
from curation.leaves.gate.options import Gate, GateOptions
from curation.leaves.gate.verdicts import require_short
from runtime.errors import InputError
from tests.fuzz.expressions import condition, spoilt
from tests.fuzz.gates import require_as_defined, require_refused_or_checked, require_text
from tests.support.finished_run import image
from tests.support.gates import gated, opened_gate, write_table

DEEPEST = "(" * 100 + "width" + ")" * 100 + " > 2"
LONGEST = "NOT " * 397 + "width > 2"


def plan_of(tables: list[str], keep: str) -> Gate:
    return GateOptions(images=[[table] for table in tables], keep=keep).find()


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        ("(" * 2000 + "width" + ")" * 2000 + " > 1", "has 2,000 brackets, or CASEs, within one another; at most 100"),
        ("CASE WHEN width > 1 THEN " * 120 + "true" + " END" * 120, "120 brackets, or CASEs|words and signs"),
        (" OR ".join(f"width = {number}" for number in range(20_000)), "characters; at most 20,000 are read"),
        (" OR ".join(f"width = {number}" for number in range(400)), "has 1,199 words and signs.*; at most 400"),
        ("+".join(["width"] * 1000) + " > 1", "words and signs, besides numbers.*at most 400 are read"),
        ("~" * 600 + "width > 1", "words and signs"),
    ],
    ids=["brackets", "cases", "characters", "ors", "sum", "signs"],
)
def test_an_expression_that_spark_would_not_come_back_from_is_refused(tmp_path, keep, sentence):
    table = write_table([{"uid": "a", "width": 1}], tmp_path / "t", 1)
    with pytest.raises(InputError, match=sentence):
        plan_of([table], keep)


def test_what_is_within_strings_and_lists_of_numbers_is_neither_deep_nor_long():
    require_short(f"text = '{'(' * 5000}' AND width IN ({', '.join(map(str, range(2000)))})")


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize("keep", [DEEPEST, LONGEST, "+".join(["width"] * 199) + " > 500"], ids=["deep", "long", "sum"])
def test_the_deepest_and_longest_expressions_are_evaluated(engine, tmp_path, keep):
    images = [image(number) for number in range(4)]
    table = write_table([{"uid": row["uid"], "width": n} for n, row in enumerate(images)], tmp_path / "t", 1)
    rows, _ = gated(engine, tmp_path / "gates", images, GateOptions(images=[[table]], keep=keep))
    expected = images[:3] if keep == LONGEST else images[3:]
    assert rows == expected


@pytest.mark.spark
def test_a_misspelt_column_is_refused(engine, tmp_path):
    table = write_table([{"uid": "a", "width": 1}], tmp_path / "scores", 1)
    with pytest.raises(InputError, match="column widht of --keep is in no table of images: .*scores has uid, width"):
        opened_gate(engine, [table], "widht > 1")
    assert opened_gate(engine, [table], "WIDTH > 1").asked.conditions


@pytest.mark.spark
@pytest.mark.parametrize("keep", ["score > 1", "cast(Score as int) > 1"])
def test_columns_that_differ_in_case_alone_are_refused_where_one_is_asked_for(engine, tmp_path, keep):
    table = write_table([{"uid": "a", "score": 1, "Score": 2, "width": 3}], tmp_path / "t", 1)
    with pytest.raises(
        InputError, match="may be score or Score of .*, which Spark SQL does not tell apart; rename one"
    ):
        opened_gate(engine, [table], keep)
    assert opened_gate(engine, [table], "width > 1").asked.conditions


OF_MANY_ROWS = [
    "avg(width) > width",
    "sum(max(width)) > 1",
    "count(rand()) > 1",
    "row_number() > 1",
    "max(width) over () > 1",
    "explode(array(width)) > 1",
    "grouping(width) > 1",
    "width > (select max(width) from nowhere)",
    "width in (select 1)",
]
OF_A_RUN = [
    *(
        "current_date > at",
        "now() > at",
        "current_timestamp() > at",
        "at < localtimestamp()",
        "unix_timestamp() > width",
    ),
    *("current_user() = name", "session_user() = name", "current_timezone() = name", "current_database() = name"),
    *("version() = name", "uuid() = name", "input_file_name() = name", "spark_partition_id() = width"),
    *("monotonically_increasing_id() = width", "reflect('java.lang.System', 'nanoTime') = name"),
    *(
        "at > 'yesterday'",
        "at > timestamp'now'",
        "to_date('today') = at",
        "hour(' NOW') > width",
        "date'tomorrow' > at",
    ),
]


def refusal_of(engine, table: Path, keep: str) -> str:
    try:
        opened_gate(engine, [str(table)], keep)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.spark
def test_what_is_not_of_one_image_is_refused_in_one_sentence(engine, tmp_path):
    columns = {"uid": ["a"], "width": [1], "name": ["b"], "at": pa.array([0], pa.timestamp("ns"))}
    (tmp_path / "t").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "t" / "a.parquet")
    said = {keep: refusal_of(engine, tmp_path / "t", keep) for keep in OF_MANY_ROWS + OF_A_RUN}
    assert [keep for keep, sentence in said.items() if "is not of one image alone; leave out" not in sentence] == []
    for keep in ("cast(x -> x as double) > width", "cast((x, y) -> x as boolean)"):
        assert "cannot be evaluated: " in refusal_of(engine, tmp_path / "t", keep)
    for keep in ("name = 'today' AND at > '2020-01-01'", "at > 'epoch'", "name = 'now' OR width > 1", "pi() > width"):
        assert opened_gate(engine, [str(tmp_path / "t")], keep)


def test_an_expression_of_usual_length_is_passed_on():
    for seed in range(300):
        require_short(condition(random.Random(seed)).sql)


def test_the_text_of_a_damaged_expression_is_refused_or_passed_on_at_once():
    for seed in range(300):
        dice = random.Random(seed)
        try:
            require_text(spoilt(condition(dice).sql, dice))
        except InputError:
            continue


@pytest.mark.spark
def test_a_part_that_spark_writes_without_the_brackets_that_it_needs_is_kept_as_it_was_written(spark):
    expression = "ok AND ((name LIKE 'A%') IS NOT NULL) AND width IS NULL AND (name LIKE 'a') IN (true, false)"
    texts = [each.text for each in conditions(spark, expression)]
    assert texts == ["ok", "(name LIKE 'A%') IS NOT NULL", "(width IS NULL)", "(name LIKE 'a') IN (true, false)"]


@pytest.mark.slow
@pytest.mark.spark
def test_images_stay_that_meet_a_condition(spark):
    require_as_defined(spark, range(12))
    require_refused_or_checked(spark, range(8))


@pytest.mark.soak
def test_images_stay_that_meet_any_of_many_conditions(spark):
    first = random.SystemRandom().randrange(1 << 30)
    print(f"from seed {first}")
    end = time.monotonic() + 120
    while time.monotonic() < end:
        require_as_defined(spark, range(first, first + 20))
        require_refused_or_checked(spark, range(first, first + 20))
        first += 20
