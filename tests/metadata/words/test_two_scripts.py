"""Entries of Serbian and Uzbek stand in both alphabets, whichever the source has."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata import frequency_lists
from metadata.words import in_both_alphabets, in_other_alphabet
from tests.metadata.test_frequency_lists import built, list_of

SERBIAN = (
    "Beograd Београд ljubav љубав njegov његов džep џеп čovek човек Đorđe Ђорђе NJEGOŠ ЊЕГОШ Njegoš Његош kuća кућа"
)
UZBEK = (
    "o'zbek ўзбек yaxshi яхши Toshkent Тошкент erkin эркин yer ер choy чой g'alaba ғалаба shahar шаҳар poyezd поезд "
    "Eron Эрон O'zbekiston Ўзбекистон san'at санъат yo'l йўл"
)


@pytest.mark.parametrize(("code", "words"), [("sr", SERBIAN), ("sh", SERBIAN), ("uz", UZBEK)])
def test_a_word_in_either_alphabet_gives_the_other(code, words):
    each = words.split()
    for latin, cyrillic in zip(each[::2], each[1::2], strict=True):
        assert in_other_alphabet(latin, code) == cyrillic
        assert in_other_alphabet(cyrillic, code) == latin


def test_what_has_letters_of_both_or_of_neither_alphabet_has_no_other_form():
    for entry in ("queen", "New York", "été", "犬", "7", "", "aа", "ы", "ѝ"):
        assert in_other_alphabet(entry, "sr") is None
    assert in_other_alphabet("yoʻl Oʼzbek", "uz") == "йўл Ўзбек"


@given(st.text("абвгдђежзијклљмнњопрстћуфхцчџшАЉЊЏ ,7", max_size=12))
def test_serbian_comes_back_from_latin_as_it_was(text):
    again = in_other_alphabet(in_other_alphabet(text, "sr") or "", "sr")
    parts = ("нј", "лј", "дж")  # which Latin letters do not tell from њ, љ and џ
    if again and not any(part in text.lower() for part in parts) and not text.isupper():
        assert again == text


def test_only_a_source_in_one_alphabet_of_a_language_with_two_is_written_in_both():
    assert in_both_alphabets("sr", ["kuća", "7", "queen"], [3, 2, 1]) == (["kuća", "кућа", "7", "queen"], [3, 3, 2, 1])
    assert in_both_alphabets("hr", ["kuća"], [3]) == (["kuća"], [3])
    assert in_both_alphabets("sr", ["kuća", "пас"], None) == (["kuća", "пас"], None)
    assert in_both_alphabets("sr", [], None) == ([], None)


def test_entries_of_a_list_in_one_alphabet_are_found_in_the_other(tmp_path):
    entries = built(tmp_path / "out", list_of(tmp_path / "sr.tsv", "ljubav\t9\nkuća\t8\n"))
    assert {"ljubav", "Ljubav", "љубав", "Љубав", "кућа"} < {*entries.of("sr").to_pylist()}
    assert (
        frequency_lists.words_of_list(*frequency_lists.find([str(tmp_path / "sr.tsv")]), 2.5, Counter())[0][0]
        == "ljubav"
    )
