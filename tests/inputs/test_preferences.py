"""A Content-Usage is read as a parser that is written from RFC 9651 reads it."""

import random
from collections import Counter

import pytest

from curation.preferences import refuses_training
from tests.naive.structured_fields import naive_refuses_training

# Usual pieces of a field, and odd ones, most of them broken.
KEYS = ["train-ai", "train-genai", "search", "a"], ["*", "a.b-c_*", "A", "train-AI", "1", "", "é", "-a"]
EQUALS = ["="], ["", " =", "= ", "=="]
VALUES = (
    ["n", "y", "n", "y", "?0", "1", '"n"', "(n y)"],
    [
        *("N", "(n y);a", "( n  y )", "(n", "(n)y", "?1", "?2", "?", "n:/x", "*n", "_n", "", " n", "n n", "n\t"),
        *("-1", "--1", "1.", "1.5", "1.2345", "1" * 15, "1" * 16, "1" * 12 + ".1", "1" * 13 + ".1", "-0", "-"),
        *(":YQ==:", ":YQ:", ":Y Q:", ":", "::", ":====:", "@1", "@1.5", "@-62135596800", "@253402214400", "@"),
        *('"a\\"b"', '"a\\b"', '"', '"é"', '"\x7f"', '%"c3"', '%"%c3%a9"', '%"%C3%A9"', '%"%c3"', '%"', "%n"),
    ],
)
PARAMETERS = ["", "", ";x", "; x=n", ";x=1"], [";X", ";", " ;x", ";x=", ";x=(n)", ";*=?1;a", ";\tx"]
BETWEEN = [",", ", ", " ,\t"], [",,", ";", " ", "\t", "\n", ", ,"]
AROUND = ["", "", " "], ["\t", ",", "\0"]


def some_value(chance):
    def some(pieces):
        usual, odd = pieces
        return chance.choice(odd if chance.random() < 0.06 else usual)

    field = some(AROUND)
    for number in range(chance.randint(1, 4)):
        field += some(BETWEEN) if number else ""
        field += some(KEYS) + some(EQUALS) + some(VALUES) + some(PARAMETERS)
    return field + some(AROUND)


@pytest.mark.parametrize(
    ("value", "refuses"),
    [
        ("train-ai=n", True),
        ("train-ai=n;x=1", True),
        ("search=y, train-ai=n", True),
        ("train-ai=y, train-ai=n", True),  # of a repeated key the last one counts
        ("train-ai=n, train-ai=y", False),
        ("train-ai=y, train-genai=n", True),
        ("train-ai=N", None),
        ("train-ai", None),
        ("train-ai=?0", None),
        ("train-ai=n,", None),
        ("Train-AI=n", None),
        ("search=n", None),
        ("", None),
    ],
)
def test_one_refusal_suffices_and_a_syntax_error_voids_the_field(value, refuses):
    assert refuses_training(value) is refuses


def test_any_field_says_what_a_naive_parser_of_rfc_9651_reads():
    chance, found = random.Random(9651), Counter()
    for _ in range(10_000):
        value = some_value(chance)
        expected = naive_refuses_training(value)
        assert refuses_training(value) is expected, value
        found[expected] += 1
    assert min(found.values()) > 800
    assert len(found) == 3
