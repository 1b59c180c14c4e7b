"""Texts with personal data are found as the definitions say, and numbers of other kinds are not."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curation.plugins.gate.filters import ImageBatch
from curation.plugins.gate.policies.policies import RULES, Policy
from runtime.errors import InputError
from tests.naive.personal_data import naive_holds

pytestmark = pytest.mark.kernels

CASES = json.loads((Path(__file__).parents[1] / "cases" / "personal_data.json").read_text("utf-8"))
KINDS = ("email_address", "phone_number", "card_number", "iban")
PIECES = [
    [*"0123456789 .-/():+@#,x_aé"],
    [
        "0",
        "00",
        "+",
        "49",
        "+49 ",
        "+1 ",
        "030",
        "(0)",
        "212",
        "555",
        "0123",
        " ",
        "0800",
        "12 34 56",
        "1300",
        "612",
        "-",
    ],
    ["tel", "Tel.", "Telefon: ", "phone ", "iPhone ", "電話", "☎", "card ", "Visa: ", "卡", "1234567"],
    ["4111", "1111", "5555", "4444", "3782", " ", "-", "822463 10005", "4111 1111 1111 1111", "378282246310005"],
    ["GB82", "WEST", "1234", "5698", "7654", "32", "DE89 3704 0044 0532 0130 00", "NO9386011117947", "mt", " "],
    ["ann", "@", "＠", "example", ".", "org", ".org", ".png", ".рф", "com", "-", "%", "ann@example"],
    ["٠٣٠", "１２３", "\u202a", "\u200b", "\xa0", "–", "−", "𝟙", "०", "（", "😀", "İ", "K", "\n"],
]


def random_texts(chance: random.Random, number: int) -> Iterator[str]:
    for _ in range(number):
        pieces = [piece for group in chance.sample(PIECES, chance.randrange(1, 4)) for piece in group]
        yield "".join(chance.choices(pieces, k=chance.randrange(14)))


def holds(rule: str, texts: list[str | None] | pa.Array) -> list[bool]:
    texts = pa.array(texts, pa.large_string()) if isinstance(texts, list) else texts
    structs = pa.StructArray.from_arrays([texts], ["text"])
    return RULES[rule].filter().mask(ImageBatch(None, structs, np.arange(len(texts)))).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("rule", KINDS)
def test_random_texts_hold_what_the_twin_finds(rule):
    chance = random.Random(rule)
    texts = [*random_texts(chance, 1500), *(case["text"] for case in CASES), None]
    found = holds(rule, texts)
    assert found == [naive_holds(rule, text) for text in texts]
    assert 5 < sum(found) < 2000


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"])
def test_cases(case):
    assert [rule for rule in KINDS if holds(rule, [case["text"]])[0]] == case["holds"]


@pytest.mark.parametrize("rule", KINDS)
def test_slices_nulls_and_long_texts(rule):
    text = next(case["text"] for case in CASES if case["holds"] == [rule])
    texts = [None, text, "a dog", None, "x " * 100_000 + text, "1" * 100_000, "@" * 50_000, "+4 " * 50_000]
    expected = [False, True, False, False, True, False, False, False]
    assert holds(rule, texts) == expected
    assert holds(rule, pa.array(texts, pa.large_string()).slice(1, 4)) == expected[1:5]
    assert holds(rule, []) == []


def test_personal_data_stands_for_its_rules_which_write_nothing_down():
    assert all(RULES[rule].is_silent for rule in KINDS)
    assert Policy.parse(["personal_data"]).names == KINDS
    assert Policy.parse(["min_words:3", "personal_data", "iban"]).names == ("min_words:3", *KINDS)
    with pytest.raises(InputError, match="'personal_data:3'"):
        Policy.parse(["personal_data:3"])
