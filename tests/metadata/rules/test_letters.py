"""Words are told from numbers and single letters."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata.entries import Entries
from metadata.rules import have_letters
from tests.naive.evidence import naive_has_letters

PIECES = st.sampled_from([*"aZé1 .-+犬いイーกกິខမབ개ㅎß\u0301\nⅧ〇कि"])


@given(st.lists(st.lists(PIECES, max_size=5).map("".join), max_size=6))
def test_entries_with_letters_are_those_of_the_definition(entries):
    assert have_letters(pa.array(entries, pa.string())).tolist() == [naive_has_letters(each) for each in entries]


@pytest.mark.parametrize("entry", ["of", "1a2b", "a\nb", "犬", "ท", "개", "é à"])
def test_two_letters_or_one_character_of_a_script_without_spaces_are_enough(entry):
    assert have_letters(pa.array([entry])).tolist() == [True]


@pytest.mark.parametrize("entry", ["", "2034", "b", "b 12", "+", "é1", "1.5"])
def test_numbers_and_single_letters_are_not(entry):
    assert have_letters(pa.array([entry])).tolist() == [False]


def test_entries_know_by_id_which_of_them_have_letters():
    assert Entries.build({"en": ["2", "dog"], "ja": ["猫", "2"]}).lettered.tolist() == [False, True, True, False]
