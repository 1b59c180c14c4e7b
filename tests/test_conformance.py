"""The conformance kit holds what the definitions give, this implementation passes it, and a wrong one does not."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from curation.conformance import CASES, FUNCTIONS, checked
from tests.support import conformance_cases


def test_the_cases_are_those_that_the_definitions_give():
    assert conformance_cases.content() == CASES.read_text("utf-8"), "run python -m tests.support.conformance_cases"


def test_every_function_has_cases_and_every_case_a_label_of_its_own():
    cases = Counter((case["function"], case["label"]) for case in json.loads(CASES.read_text("utf-8"))["cases"])
    assert max(cases.values()) == 1
    assert {function for function, _ in cases} == set(FUNCTIONS)


def test_this_implementation_passes():
    passed = checked()
    assert [
        (name, label) for name, of_name in passed.items() for label, is_right in of_name.items() if not is_right
    ] == []
    assert passed.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("threshold", lambda counts, p: 1 + FUNCTIONS["threshold"](counts, p)),
        ("rates", lambda counts, t: [rate * 1.001 for rate in FUNCTIONS["rates"](counts, t)]),
        ("draws", lambda **given: [draw + 2**-53 for draw in FUNCTIONS["draws"](**given)]),
        ("match", lambda texts, entries, rules: [None] * len(texts)),
        ("sample", lambda images, rates, seed: FUNCTIONS["sample"](images, rates, seed + 1)),
    ],
)
def test_an_implementation_that_is_wrong_fails(name, wrong):
    found = checked({name: wrong})
    assert list(found) == [name]
    assert sum(found[name].values()) < len(found[name]) / 2


def test_other_programs_are_told_where_the_cases_are():
    asked = [sys.executable, "-m", "curation.conformance", "--cases"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == f"{CASES}\n"
