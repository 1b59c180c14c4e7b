"""Columns of any type and value are compared as numbers, times and texts; NaN is null."""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.gate.options import GateOptions
from curation.plugins.joins.image_tables import comparable, comparable_type
from tests.support.finished_run import image
from tests.support.gates import gated
from tests.support.tables import fixed_length

NAN = float("nan")
YEARS = [datetime(2019, 1, 1), datetime(2020, 1, 1), datetime(2021, 1, 1), None]
TIMES = {f"{unit}{zone or ''}": pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")}
COLUMNS = {
    "double": [1.0, NAN, 3.0, None],
    "float": pa.array([1.0, NAN, 3.0, None], pa.float32()),
    "half": pa.array(np.array([1.0, NAN, 3.0, 0.0], np.float16), mask=np.array([False, False, False, True])),
    "many": [[1.0], [NAN], [3.0], None],
    "fixed": pa.array([[1.0], [NAN], [3.0], None], pa.list_(pa.float32(), fixed_length(1))),
    "nested": [{"a": [1.0]}, {"a": [NAN]}, {"a": [3.0]}, None],
    "small": pa.array([[1], [2], [3], None], pa.large_list(pa.uint8())),
    "clock": pa.array([1, 2, 3, None], pa.time64("ns")),
    "lapse": pa.array([1000, 2000, 3000, None], pa.duration("ms")),
    "of_times": pa.array([[year] for year in YEARS], pa.list_(pa.timestamp("ns"))),
} | {name: pa.array(YEARS, kind) for name, kind in TIMES.items()}
# Conditions, and the images that meet them.
KEPT = [
    *((f"{name} > 2", [2]) for name in ("double", "float", "half", "many[1]", "fixed[1]", "nested.a[1]", "small[1]")),
    *((f"{name} > 2 OR {name} <= 2", [0, 2]) for name in ("double", "many[1]", "nested.a[1]")),
    ("NOT double > 2", [0]),
    ("double IS NULL", [1, 3]),
    ("sqrt(double - 2) > 0.5", [2]),
    ("(sqrt(double - 2) * 2 + 1 > 0) IS NULL", [0, 1, 3]),
    ("coalesce(sqrt(double - 2), ln(double - 2), 7) = 7", [0, 1, 3]),
    ("len(list_filter(many, lambda x: x > 2)) > 0", [2]),
    ("lapse > interval '2' second", [2]),
    ("clock > '00:00:00'", [0, 1, 2]),
    *((f"\"{name}\" > '2019-06-01'", [1, 2]) for name in (*TIMES, "of_times\"[1] > '2019-01-01' AND \"us")),
]


def test_images_pass_whose_values_compare_whatever_their_types(engine, tmp_path):
    images = [image(number) for number in range(4)]
    columns = {"uid": [row["uid"] for row in images]} | {name: pa.array(values) for name, values in COLUMNS.items()}
    columns |= {f"met{number}": [row in kept for row in range(4)] for number, (_, kept) in enumerate(KEPT)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    keep = " AND ".join(f"coalesce({condition}, false) = met{number}" for number, (condition, _) in enumerate(KEPT))
    options = GateOptions(images=[[str(tmp_path / "t.parquet")]], keep=keep)
    rows, counted = gated(engine, tmp_path / "gates", images, options)
    assert [each["text"] for each in counted.facts()["gate"]["conditions"] if each["failed"]] == []
    assert rows == images


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_slice_and_no_rows_are_brought_to_the_same_type(column):
    column = pa.array(column)
    whole = comparable(column)
    whole.validate(full=True)
    assert whole.type == comparable_type(column.type)
    assert comparable(column.slice(1, 2)).equals(whole.slice(1, 2))
    assert comparable(column.slice(0, 0)).type == whole.type
