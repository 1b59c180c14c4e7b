"""Arrays that tasks return are added, each once, by the driver or before by Spark."""

import numpy as np
import pytest

from runtime.engine import spark
from tests.support.in_turn import in_turn


def squares(item):
    return np.array([1, item, item * item], np.int64)


@pytest.mark.parametrize("few", [0, 3, 99])
@pytest.mark.parametrize("items", [1, 2, 7, 40])
def test_arrays_of_all_items_are_added(monkeypatch, items, few):
    monkeypatch.setattr(spark, "FEW_ARRAYS", few)
    numbers = list(range(items))
    assert spark.Spark(in_turn()).added(numbers, squares, 10).tolist() == sum(map(squares, numbers)).tolist()
