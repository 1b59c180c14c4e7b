"""Texts and entries are read under the rules of Meta CLIP, and characters have the classes of the definition."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.matching.matcher import normal_form
from metadata.rules import (
    SPACELESS_SCRIPTS,
    character_classes,
    character_table,
    meta_can_match,
    meta_entry,
    meta_text,
    normalise,
    symbols,
)
from runtime.kernels.masks import PLAIN_LEADS
from tests.naive.matching import (
    naive_form,
    naive_is_open,
    naive_kind,
    naive_meta_entry,
    naive_meta_text,
    naive_symbols,
)

pytestmark = pytest.mark.kernels

CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    [
        *"ab '.,!`\t\n\r\x00’‘ʼ´™℠",
        *"犬ラーﾗﾊﾟกาำကြ་",
        *"\u0301\u0323\u0345\u3099\uff9e\u200b\u200d\ufeff\u00ad",
        *"ﬁ½é한\u1161\u11a8",
    ]
)
TEXTS = st.text(CHARACTERS, max_size=20)
CODE_POINTS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]


@pytest.mark.slow
def test_every_character_has_the_class_of_the_definition():
    classes = character_classes()
    letters = np.array([*" psmw"])[classes]
    assert [c for c in CODE_POINTS if letters[ord(c)] != naive_kind(c)] == []


def test_marks_and_format_characters_of_spaceless_scripts_are_read_as_their_kind():
    assert symbols("กา้ก\u200dก") == ["ก", "า้", "ก", "\u200d", "ก"]
    assert symbols("e\u0301\u0323 犬\u0301 \u0301") == ["\u1eb9\u0301", "犬\u0301", "\u0301"]
    assert len(SPACELESS_SCRIPTS) == 8


@settings(deadline=None)  # the table of characters is made once, the kernels compiled
@given(TEXTS)
def test_symbols_are_those_of_the_definition(text):
    assert symbols(text) == naive_symbols(text)


@settings(deadline=None)  # the table of characters is made once, the kernels compiled
@given(TEXTS)
def test_the_normal_form_is_that_of_the_definition_and_stays_so(text):
    assert normalise(text) == naive_form(text)
    assert symbols(normalise(text)) == symbols(text)


@settings(deadline=None)  # the table of characters is made once, the kernels compiled
@given(st.lists(st.none() | TEXTS, max_size=8), st.integers(0, 8), st.integers(0, 8))
def test_normalising_a_batch_changes_no_symbol_and_no_null(texts, start, length):
    array = pa.array(texts, pa.large_string()).slice(start, length)
    forms = normal_form(array, character_table()).to_pylist()
    expected = [None if text is None else naive_symbols(text) for text in texts[start : start + length]]
    assert [None if form is None else symbols(form) for form in forms] == expected


def test_plain_text_of_many_scripts_needs_no_normalising():
    texts = pa.array(["plain", "l'été", "собака", "犬と猫", "한국어", "كلب", "กา"], pa.large_string())
    assert normal_form(texts, character_table()) is texts


@settings(deadline=None)  # the table of characters is made once, the kernels compiled
@given(TEXTS.filter(bool))
def test_meta_spacing_is_that_of_the_definition(text):
    assert meta_text(text) == naive_meta_text(text)
    assert meta_entry(text) == naive_meta_entry(text)


@pytest.mark.slow
def test_every_open_character_of_meta_is_that_of_the_definition():
    assert [c for c in CODE_POINTS if (meta_entry(c)[0] != " ") != naive_is_open(c) and c != " "] == []


def test_bytes_that_are_skipped_begin_only_characters_that_stay_as_they_are():
    table = character_table()
    for low, high in PLAIN_LEADS:
        for code in (ord(c) for c in CODE_POINTS[0x80:] if low <= c.encode()[0] <= high):
            assert table.order[int(table.pages[code >> 8]) << 8 | code & 255] == 0
            assert normalise(chr(code)) == chr(code)


def test_an_entry_that_no_meta_text_can_hold_is_told():
    padded = ["Yahoo!", "a , b", "e.g.", "!", "C++", ",a", "a\nb", " . "]
    assert [meta_can_match(entry) for entry in padded] == [False, True, False, True, True, False, False, True]


def test_the_character_table_is_that_of_this_pythons_unicode():
    table = character_table()
    code = ord("é")
    assert table.order[int(table.pages[code >> 8]) << 8 | code & 255] == unicodedata.combining("é")
    assert table.pages.shape == (0x1100,)
