"""Texts that are no captions are known by their form, as the table of cases and the naive twin have it."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pytest

from curation.inputs import files
from curation.language.text_kinds import ATTRIBUTES, ELEMENTS, ENDINGS, GENERIC, KINDS, PICTURES, SHOTS, text_kinds
from tests.naive.text_kinds import naive_kinds

pytestmark = pytest.mark.kernels

CASES = json.loads((Path(__file__).parents[1] / "cases" / "text_kinds.json").read_text("utf-8"))
PAIRS = [(text, set(kinds.split())) for kinds, texts in CASES.items() for text in texts]
PIECES = [
    *" ._-()<>&;=\"'/:@?#%[]!0129aAzZ",
    *("é", "ſ", "K", "犬", "\u0301", "\xa0", "\n", "\x85", "🎂", "İ", "рф", "0450", "20200101", "2020-01-01", " (1)"),
    *(
        "copy",
        "img",
        "DSC",
        "www.",
        "http://",
        "mailto:",
        "data:image/",
        "&amp",
        "&#39",
        "</",
        "<!--",
        "at",
        "deadbeef",
    ),
    *("com", "b", "IMG_", "title", "photo", *ENDINGS[:3], *GENERIC[:3], *PICTURES[:3], *SHOTS[:3]),
    *ELEMENTS[:3],
    *ATTRIBUTES[:3],
]


def kinds_of(texts) -> list[set[str]]:
    return [{name for name, bit in KINDS.items() if kinds & bit} for kinds in text_kinds(texts).tolist()]


def test_there_are_hundreds_of_cases_and_none_twice():
    texts = [text for text, _ in PAIRS]
    assert len(texts) == len({*texts}) > 300


def test_texts_are_of_the_kinds_of_the_table():
    found = zip(PAIRS, kinds_of([text for text, _ in PAIRS]), strict=True)
    assert [(text, kinds) for (text, expected), kinds in found if kinds != expected] == []


def test_the_naive_twin_agrees_with_the_table():
    assert [(text, naive_kinds(text)) for text, expected in PAIRS if naive_kinds(text) != expected] == []


@pytest.mark.slow
def test_the_naive_twin_agrees_on_random_pieces():
    chance = random.Random(1)
    texts = ["".join(chance.choices(PIECES, k=chance.choice([1, 2, 3, 5, 8]))) for _ in range(20_000)]
    found = zip(texts, kinds_of(texts), strict=True)
    assert [(text, kinds, naive_kinds(text)) for text, kinds in found if kinds != naive_kinds(text)] == []


def test_nulls_are_of_no_kind_and_slices_and_types_change_nothing():
    texts = [None, "犬", *(text for text, _ in PAIRS), None, "x" * 300 + ".jpg", "x" * 251 + ".jpg"]
    expected = [naive_kinds(text) for text in texts]
    assert expected[-2:] == [set(), {"file_name"}]
    assert kinds_of(texts) == expected
    for type in (pa.string(), pa.large_string()):
        assert kinds_of(pa.array(texts, type).slice(3, 100)) == expected[3:103]
    assert kinds_of([]) == []
    assert kinds_of([None]) == [set()]


def test_a_text_without_end_takes_time_by_its_length():
    texts = ["<a " * 300_000, "a_" * 300_000, "a." * 300_000, "a-" * 300_000, "&a" * 300_000, "x= " * 300_000]
    assert kinds_of(texts) == [set()] * len(texts)


@pytest.mark.slow
@pytest.mark.shared
def test_the_naive_twin_agrees_on_real_texts(shared_data):
    sources = files.find([str(shared_data / "wat"), str(shared_data / "pairs/web_1000.parquet")])
    texts = {text for source in sources for batch in files.read(source) for text in batch["text"].to_pylist()}
    texts = sorted(texts - {None})
    found = zip(texts, kinds_of(texts), strict=True)
    assert len(texts) > 10_000
    assert [(text, kinds) for text, kinds in found if kinds != naive_kinds(text)] == []
