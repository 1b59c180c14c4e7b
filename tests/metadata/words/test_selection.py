"""The best rows of each language are chosen in one order, whatever batches they come in."""

import random

import pyarrow as pa
import pytest

from metadata import words
from metadata.config import MetadataConfig
from metadata.languages import language
from metadata.words import RATED, ChoiceRule
from tests.naive import ngrams as naive

EN, DE = language("en"), language("de")


def rated(rows: list[tuple]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict(zip(RATED.names, row, strict=True)) for row in rows], schema=RATED)


def candidates(rows: list[tuple], taken: dict[str, int], size: int, longest: int = 256) -> list[tuple]:
    batches = [rated(rows[i : i + size]) for i in range(0, len(rows), size)]
    found = pa.Table.from_batches(words.best(batches, taken, longest), RATED)
    return list(zip(*found.to_pydict().values(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_best_of_the_candidates_are_the_best_of_all_in_any_order_of_rows(size):
    chance = random.Random(8)
    rows = [
        (chance.choice(["en", "de"]), f"{chance.choice('aéz中😀')}{i}", chance.choice([-1.5, 0.0, 1.0, 2.0, 1e9]))
        for i in range(600)
    ]
    for most in (0, 1, 50, 600):
        chance.shuffle(rows)
        found = candidates(rows, {"en": most, "de": 3}, size)
        for code, number in (("en", most), ("de", 3)):
            own = [[row[1:] for row in some if row[0] == code] for some in (found, rows)]
            assert naive.top(own[0], number) == naive.top(own[1], number)


def test_few_rows_that_cannot_be_among_the_best_are_candidates():
    rows = [("en", f"w{i}", float(i)) for i in random.Random(1).sample(range(20_000), 20_000)]
    assert len(candidates(rows, {"en": 100}, size=50)) < 3_000


def test_what_can_be_no_entry_is_no_candidate_and_displaces_none():
    rows = [("en", entry, 9.0) for entry in ["", "!?", "—", None, "é" * 257]]
    rows += [("en", "nan", float("nan"))] + [("en", entry, 1.0) for entry in ["é" * 256, "C++", "$"]]
    assert {row[1] for row in candidates(rows, {"en": 3}, size=2)} == {"$", "C++", "é" * 256}


def test_figures_are_those_of_each_language():
    rows = [("en", "a", 2.0), ("en", "!", 9.0), ("en", "b", 1.0), ("de", "c", 4.0)]
    rules = {"en": ChoiceRule(10, least=2), "de": ChoiceRule(10, share=0.1)}
    found = words.figures([rated(rows[:2]), rated([]), rated(rows[2:])], rules, 256)
    assert found.by_language("rows") == {"de": 1, "en": 3}
    assert found.by_language("sum") == {"de": 4, "en": 12}
    assert found.by_language("candidates") == {"de": 1, "en": 2}
    assert found.by_language("enough") == {"de": 1, "en": 1}


@pytest.mark.parametrize(("rows", "kept"), [(0, 0), (1, 1), (9, 1), (10, 1), (30, 3), (31, 4)])
def test_a_tenth_of_the_words_are_entries(rows, kept):
    assert words.unigrams(DE, MetadataConfig()).taken(rows, rows) == kept


def test_english_words_need_a_count_and_all_others_a_share():
    assert words.unigrams(EN, MetadataConfig()).taken(150, 51) == 51
    assert words.unigrams(EN, MetadataConfig()).least == 100
    assert words.unigrams(EN, MetadataConfig(unigram_limit=7)).taken(150, 51) == 7
    assert words.unigrams(DE, MetadataConfig(unigram_limit=7)).taken(150, 150) == 7


def test_bigrams_are_four_tenths_of_the_unigram_entries_and_titles_three_quarters_of_all():
    assert words.bigrams(10, MetadataConfig()).most == 4
    assert words.bigrams(10, MetadataConfig(bigram_limit=2)).most == 2
    assert words.titles(language("ja"), MetadataConfig()).taken(100, 100) == 76
    assert words.titles(EN, MetadataConfig()).taken(100, 31) == 31
    assert words.titles(EN, MetadataConfig()).least == 70


@pytest.mark.parametrize(
    ("name", "value"),
    [("unigram_share", 1.5), ("bigram_limit", -1), ("title_limit", 2.5), ("bigram_score", "chi"), ("longest_entry", 0)],
)
def test_a_number_that_cannot_be_meant_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value!r}; it must be"):
        MetadataConfig(**{name: value})
