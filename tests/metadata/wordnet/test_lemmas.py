"""Lemmas of wordnets are tidied as the table of cases says."""

import json

import pytest

from metadata.wordnet import refusal_of_lemma, words_of_lemma
from tests.support.checkout import CASES

CASES = json.loads((CASES / "lemmas.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['language']}: {case['lemma']}")
def test_oddities_of_real_files_leave_the_words(case):
    assert words_of_lemma(case["lemma"], case["language"]) == case["expected"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['language']}: {case['lemma']}")
def test_words_are_left_as_they_are(case):
    once = words_of_lemma(case["lemma"], case["language"])
    assert [again for word in once for again in words_of_lemma(word, case["language"])] == once


@pytest.mark.parametrize("lemma", ["GAP!", "PSEUDOGAP!"])
def test_a_placeholder_is_no_word(lemma):
    assert refusal_of_lemma(lemma) == "placeholder"


@pytest.mark.parametrize("lemma", ["sva?a", "P??ini", "latón ?", "globulina-?", "caf\ufffd"])
def test_a_word_that_lost_a_letter_is_no_word(lemma):
    assert refusal_of_lemma(lemma) == "lost_letter"


@pytest.mark.parametrize("lemma", ["gap", "wat is je baan?", "!?streha", "GAP", "chien"])
def test_anything_else_is_not_refused(lemma):
    assert refusal_of_lemma(lemma) is None
