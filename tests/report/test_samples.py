"""Sample rows: the marks in their texts, and why each row was kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.report.page import SHOWN_CHARACTERS, SHOWN_ROWS, Match, in_turns, marked, render
from tests.report.runs import Page, finished, page, row


def marks(text: str, *entries: str) -> list[str]:
    pieces = marked(text, [Match(entry, 5, 0.5, 3) for entry in entries])
    return [piece for piece, match in pieces if match]


def test_an_entry_is_marked_where_it_is_a_word_rather_than_inside_of_one():
    first, second = marked("concatenate a cat", [Match("cat", 5, 0.5, 3)])
    assert first == ("concatenate a ", None)
    assert second[0] == "cat"


def test_an_entry_of_a_script_without_spaces_is_marked_inside_of_running_text():
    assert marks("美味しいラーメンです", "ラーメン") == ["ラーメン"]


def test_a_longer_entry_is_marked_before_one_inside_of_it():
    assert marks("a red dog, a dog", "dog", "red dog") == ["red dog", "dog"]


def test_an_entry_that_normalisation_found_is_not_marked():
    assert marks("Ｄｏｇ", "Dog") == []


def test_a_long_text_is_cut():
    html = render(*finished(), [row("x" * SHOWN_CHARACTERS + " dog", [0])])
    assert f">{'x' * SHOWN_CHARACTERS}…</p>" in html
    assert f">{'x' * SHOWN_CHARACTERS}</p>" in render(*finished(), [row("x" * SHOWN_CHARACTERS, [0])])


@given(st.text("ab <é犬", max_size=30), st.lists(st.text("ab <é犬", min_size=1, max_size=3), max_size=5))
def test_marking_changes_no_character_and_marks_entries_only(text, entries):
    pieces = marked(text, [Match(entry, 5, 0.5, 3) for entry in entries])
    assert "".join(piece for piece, _ in pieces) == text
    assert all(piece == match.entry in entries for piece, match in pieces if match)


@pytest.mark.slow
@given(st.text("ab <&\n é犬", max_size=30), st.lists(st.sampled_from(range(3)), max_size=3, unique=True))
def test_the_page_changes_no_character_of_a_text(text, entries):
    run, rates = finished({"en": ["a", "b <", "犬"]}, [3, 9, 30])
    shown = render(run, rates, [row(text, entries)]).partition('<p class="text"')[2].partition("</p>")[0]
    assert Page(shown.partition(">")[2]).text == text


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([0, 2, 3], "“red dog” is in 7 texts, not more than t = 20, so every text with it is kept."),
        ([2], "this is the rate of its only entry, “the”."),
        ([0, 2], "each of its 2 entries may keep it; the most likely one is “dog”."),
        ([], "Kept with π = 0.5."),
        (None, "Kept with π = 0.5."),
    ],
)
def test_a_sample_row_says_why_it_was_kept(entries, expected):
    assert expected in page(*finished(), [row("the red dog", entries)]).text


def test_a_row_whose_language_was_given_and_whose_page_is_unknown_says_so():
    text = page(*finished(), [row("the dog", [0], lid_score=None, page_url=None)]).text
    assert "language en, given by the input" in text
    assert "page http" not in text


def test_languages_take_turns_in_the_sample_rows_the_largest_first():
    languages = ["en", "he", "en", "en", "ja", "en", "he"]
    rows = in_turns([row(str(i), [], language=code) for i, code in enumerate(languages)])
    assert [each["text"] for each in rows] == ["0", "1", "4", "2", "6", "3", "5"]


def test_no_more_than_some_sample_rows_are_shown():
    read = page(*finished(), [row(f"the dog {i}", [0, 2]) for i in range(1_000)])
    assert len(read.named("article")) == SHOWN_ROWS
