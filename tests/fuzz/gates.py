"""A gate that evaluates conditions of --keep from a grammar as SQL says, and refuses damaged ones in a sentence."""

import random
import time

from pyspark.sql.functions import expr
from pyspark.sql.pandas.types import from_arrow_schema

from curation.joins.tables import comparable_schema
from curation.leaves.gate.expressions import checked, lenient
from curation.leaves.gate.verdicts import require_no_day_of_the_run, require_short
from runtime.errors import InputError
from tests.fuzz.expressions import COLUMNS, condition, rows, spoilt

SECONDS = 20  # for one expression
NAMES = {"the table": COLUMNS.names}


def stays(spark, keeps: list[str], table: list[dict]) -> list[list[bool]]:
    """Return for each condition which rows meet it, as a gate evaluates it."""
    parts = [[part.sql or part.text for part in checked(spark, keep, [COLUMNS], NAMES)] for keep in keeps]
    with lenient(spark):
        frame = spark.createDataFrame(
            [tuple(row.values()) for row in table], from_arrow_schema(comparable_schema(COLUMNS))
        )
        met = frame.select(
            *(expr(" AND ".join(f"if({part}, true, false)" for part in each)) for each in parts)
        ).collect()
    return [list(column) for column in zip(*met, strict=True)]


def require_as_defined(spark, seeds: range) -> None:
    found = [condition(random.Random(seed)) for seed in seeds]
    table = rows(random.Random(seeds.start), 40)
    met = stays(spark, [each.sql for each in found], table)
    for seed, each, kept in zip(seeds, found, met, strict=True):
        assert kept == [each.value(row) is True for row in table], (seed, each.sql)


def require_refused_or_checked(spark, seeds: range) -> None:
    for seed in seeds:
        dice, begin = random.Random(seed), time.monotonic()
        keep = spoilt(condition(dice).sql, dice)
        try:
            require_text(keep)
            checked(spark, keep, [COLUMNS], NAMES)
        except InputError as refusal:
            assert len(str(refusal).splitlines()) == 1, (seed, keep)  # noqa: PT017
        assert time.monotonic() - begin < SECONDS, (seed, keep)


def require_text(keep: str) -> None:
    """Refuse what is refused before Spark starts."""
    require_short(keep)
    require_no_day_of_the_run(keep)
