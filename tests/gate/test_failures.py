"""What checks remove is counted as each row says, one after the other."""

import random
from collections import Counter

import numpy as np
import pyarrow as pa

from curation.plugins.gate.filters import first_failed, tally_failures, tally_languages_by
from runtime.tallies import TaskResult


def test_rows_count_for_all_checks_that_they_fail_for_the_only_one_and_for_the_first():
    for seed in range(20):
        random.seed(seed)
        rows, checks = random.choice([0, 1, 50]), random.choice([0, 1, 4, 300])
        failed = np.array([[random.random() < 2 / (checks + 1) for _ in range(checks)] for _ in range(rows)], bool)
        failed, tallies = failed.reshape(rows, checks), TaskResult()
        items = [*range(7, 7 + checks)]
        expected: Counter = Counter({(kind, each): 0 for kind in ("failed", "alone", "removed") for each in items})
        for row in failed.tolist():
            numbers = [number for number, fails in enumerate(row, 7) if fails]
            expected.update(("failed", number) for number in numbers)
            expected.update(("alone", number) for number in numbers if len(numbers) == 1)
            expected.update(("removed", number) for number in numbers[:1])
        first = first_failed(failed.T)
        tally_failures(failed.T, first, items, tallies)
        assert {(row["name"], row["item"]): row["value"] for row in tallies.rows()} == expected
        assert [each == checks for each in first.tolist()] == [not any(row) for row in failed.tolist()]


def test_removed_texts_are_tallied_by_filter_and_language():
    languages, first = pa.array(["en", None, "de", "en", "en", "fr"]), np.array([0, 0, 1, 1, 0, 2])
    tally_languages_by(languages, first, 2, tallies := TaskResult())
    assert (tallies.by_language("texts", 0), tallies.by_language("texts", 1)) == ({"en": 2}, {"de": 1, "en": 1})
    tally_languages_by(languages[:0], first[:0], 0, none := TaskResult())
    assert not none.rows()
