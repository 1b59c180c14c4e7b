"""TaskResult: sums by name, item and language, and their rows."""

from collections import Counter
from random import Random

import pytest

from runtime.tallies import Tally, TaskResult, written_name

ADDED = [
    ("images", 3, None, None),
    ("images", 1, None, None),
    ("texts", 2, None, "en"),
    ("texts", 5, None, "ja"),
    ("dropped", 1, "empty_text", None),
    ("dropped", 7, "not_http", None),
    ("failed", 4, 17, "en"),
    ("failed", 2, 17, "ja"),
    ("failed", 2, 2, None),
    ("expected", 0.25, None, None),
]


def tallies(added=tuple(ADDED)) -> TaskResult:
    some = TaskResult()
    for name, value, item, language in added:
        some.add(name, value, item=item, language=language)
    return some


def test_the_sum_of_a_name_and_an_item_is_over_all_languages():
    assert [tallies()[key] for key in ("images", "texts", "nothing", ("failed", 17), ("failed", 3))] == [4, 7, 0, 6, 0]


def test_the_sum_of_a_name_has_only_what_is_counted_for_no_item():
    assert tallies()["dropped"] == tallies()["failed"] == 0


def test_languages_are_those_of_one_item():
    assert tallies().by_language("texts") == {"en": 2, "ja": 5}
    assert tallies().by_language("failed") == tallies().by_language("failed", 2) == {}
    assert tallies().by_language("failed", 17) == {"en": 4, "ja": 2}


def test_items_come_largest_first():
    assert list(tallies().by_item("dropped").items()) == [("not_http", 7), ("empty_text", 1)]
    assert tallies().by_item("failed") == {17: 6, 2: 2}
    assert tallies().by_item("images") == {}


def test_whole_numbers_are_ints_and_others_are_not():
    assert isinstance(tallies()["images"], int)
    assert tallies()["expected"] == 0.25


@pytest.mark.parametrize("seed", range(20))
def test_sums_equal_those_of_a_plain_loop(seed):
    chance = Random(seed)
    keys = [chance.choices(values, k=200) for values in (["a", "a.b", ""], [None, "", "b", 0, 7], [None, "en", "ja"])]
    added = [(name, chance.randrange(-3, 9), item, code) for name, item, code in zip(*keys, strict=True)]
    sums = Counter()
    for name, value, item, code in added:
        sums[name, item, code] += value
    found = tallies(added)
    assert {(row["name"], row["item"], row["language"]): row["value"] for row in found.rows()} == dict(sums)
    for name, item, _ in sums:
        of_item = {code: value for (*key, code), value in sums.items() if key == [name, item]}
        assert found[name, item] == sum(of_item.values())
        assert found.by_language(name, item) == {code: value for code, value in of_item.items() if code}


def test_what_a_reader_counts_is_added():
    counted = Tally({"records": 5, ("dropped", "bad_json"): 2})
    result = tallies()
    result.count(counted)
    assert (result["records"], result["dropped", "bad_json"], result["dropped", "not_http"]) == (5, 2, 7)


def test_rows_make_the_same_tallies_again_and_add_up():
    twice = TaskResult(tallies().rows() + tallies().rows())
    assert twice["images"] == 8
    assert twice["failed", 17] == 12
    assert twice.by_language("texts") == {"en": 4, "ja": 10}


def test_no_sums_give_no_rows():
    assert TaskResult().rows() == []


def test_files_for_users_have_one_name_for_a_name_and_an_item():
    assert [*map(written_name, ("files", ("files", None), ("failed", 17)))] == ["files", "files", "failed.17"]
