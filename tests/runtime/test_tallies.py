"""TaskResult: sums by name and language, and their rows."""

from runtime.tallies import TaskResult


def tallies() -> TaskResult:
    some = TaskResult()
    some.add("images", 3)
    some.add("images")
    some.add("language.texts", 2, "en")
    some.add("language.texts", 5, "ja")
    some.add("dropped.empty_text", 1)
    some.add("dropped.not_http", 7)
    some.add("expected", 0.25)
    return some


def test_a_name_sums_over_languages():
    assert (tallies()["images"], tallies()["language.texts"], tallies()["nothing"]) == (4, 7, 0)
    assert tallies().by_language("language.texts") == {"en": 2, "ja": 5}


def test_whole_numbers_are_ints_and_others_are_not():
    assert isinstance(tallies()["images"], int)
    assert tallies()["expected"] == 0.25


def test_names_that_begin_alike_come_largest_first():
    assert list(tallies().beginning("dropped.").items()) == [("not_http", 7), ("empty_text", 1)]


def test_rows_make_the_same_tallies_again_and_add_up():
    twice = TaskResult(tallies().rows() + tallies().rows())
    assert twice["images"] == 8
    assert twice.by_language("language.texts") == {"en": 4, "ja": 10}


def test_no_sums_give_no_rows():
    assert TaskResult().rows() == []
