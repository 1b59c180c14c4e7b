"""A gate that evaluates conditions of --keep from a grammar as SQL says, and refuses damaged ones in a sentence."""

import random
import time
from unittest.mock import patch

import pyarrow as pa

from curation.plugins.gate.conditions.sql import COLUMN, Conditions
from curation.plugins.joins.image_tables import comparable_schema
from runtime.errors import InputError
from tests.fuzz.expressions import COLUMNS, condition, rows, spoilt

SECONDS = 20  # of a processor, for one expression


def stays(keep: str, table: list[dict]) -> list[bool]:
    """Return which rows meet all parts of a condition."""
    conditions, batch = _checked(keep), pa.RecordBatch.from_pylist(table, comparable_schema(COLUMNS))
    columns = {f"{COLUMN}{number}": batch[name] for number, name in enumerate(conditions.schema.names)}
    met = conditions.met(pa.RecordBatch.from_pydict(columns | {"any": batch["ok"]}))
    return [all(row) for row in zip(*(each.tolist() for each in met), strict=True)]


def require_as_defined(seeds: range) -> None:
    table = rows(random.Random(seeds.start), 40)
    for seed in seeds:
        drawn = condition(random.Random(seed))
        assert stays(drawn.sql, table) == [drawn.value(row) is True for row in table], (seed, drawn.sql)


def require_refused_or_checked(seeds: range) -> None:
    for seed in seeds:
        dice, begin = random.Random(seed), time.process_time()
        keep = spoilt(condition(dice).sql, dice)
        try:
            _checked(keep)
        except InputError as refusal:
            assert len(str(refusal).splitlines()) == 1, (seed, keep)  # noqa: PT017
        assert time.process_time() - begin < SECONDS, (seed, keep)


def _checked(keep: str) -> Conditions:
    """Return the conditions, without the process that tries them."""
    with patch.object(Conditions, "require_quick"):
        return Conditions.parse(keep, {"the table": comparable_schema(COLUMNS)})
