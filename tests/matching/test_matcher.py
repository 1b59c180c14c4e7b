"""Entries are found whatever their number, length and overlap; what is no text or entry is refused."""

import pyarrow as pa
import pytest

from curation.matching.matcher import Matcher
from runtime.errors import InputError
from tests.support.matching import RULES, answers, expected, large

pytestmark = pytest.mark.kernels


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("bad", [["\ud800"], [1], 3, "a dog", pa.array([1]), [b"bytes\xff"]])
def test_what_is_no_text_is_refused(build, rules, bad):
    with pytest.raises(InputError, match="texts (must be|is of type)"):
        build(["a"], rules).find(bad)
    with pytest.raises(InputError, match="entries (must be|is of type)"):
        build(bad, rules)


@pytest.mark.parametrize("rules", RULES)
def test_entries_that_are_none_are_refused_by_their_position(build, rules):
    with pytest.raises(InputError, match=r"entry at position 1 \(from 0\) is null"):
        build(["a", None], rules)
    with pytest.raises(InputError, match=r"entry at position 2 \(from 0\) is an empty text"):
        build(["a", "b", ""], rules)


def test_rules_of_another_name_are_refused(build):
    with pytest.raises(InputError, match="one of unicode, meta"):
        build(["a"], "regex")


@pytest.mark.parametrize("rules", RULES)
def test_a_repeated_entry_answers_with_every_position(build, rules):
    assert answers(build(["b", "a", "a", "b", "a"], rules), ["a", "a b"]) == [[1, 2, 4], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize("rules", RULES)
def test_an_entry_repeated_thousands_of_times_answers_with_every_position(build, rules):
    entries = ["a"] * 5_000 + ["b"] + ["c"] * 40
    texts = ["a b", "c", "c b c", "a"] * 20
    assert answers(build(entries, rules), texts) == expected(texts, entries, rules)


@pytest.mark.parametrize("rules", RULES)
def test_a_word_of_more_bytes_than_a_key_can_tell_is_refused(rules):
    with pytest.raises(InputError, match="16 MB"):
        Matcher.build(["a", "x" * (1 << 24)], rules)


def test_entries_equal_once_normalised_all_answer(build):
    entries = ["l'été", "l’e\u0301te\u0301", "ﬁn", "fin", "LEGO", "LEGO™", "\u2018a", "'a"]
    assert answers(build(entries, "unicode"), ["l’été fin LEGO 'a"]) == [list(range(8))]


@pytest.mark.parametrize("rules", RULES)
def test_nested_and_overlapping_entries_are_all_found(build, rules):
    entries = (
        [" ".join("a" * n) for n in range(1, 9)] + ["a" * n for n in range(1, 30)] + ["!" * n for n in range(1, 9)]
    )
    entries += ["ー" * n for n in range(1, 9)] + ["犬猫犬", "猫犬", "犬 猫"]
    texts = [" ".join("a" * 6), "aaaaa", "a" * 400, "!!!!", "ーーーーー", "犬猫犬猫犬", "犬 猫犬"]
    assert answers(build(entries, rules), texts) == expected(texts, entries, rules)


@pytest.mark.parametrize("rules", RULES)
def test_one_character_and_very_long_entries_are_found(build, rules):
    entries = [
        "x",
        "犬",
        "é",
        "x" * 255,
        "x" * 256,
        "x" * 257,
        "犬" * 256,
        "é" * 300,
        "word " * 60 + "end",
        "y" * 70_000,
    ]
    texts = [*entries, *(f"{entry} " for entry in entries), *(f"{entry}z" for entry in entries), "x" * 254]
    assert answers(build(entries, rules), texts) == expected(texts, entries, rules)


@pytest.mark.parametrize("rules", RULES)
def test_words_that_agree_in_their_first_or_last_bytes_are_told_apart(build, rules):
    words = [
        f"{a * n}{b}{c * m}"
        for n in (0, 6, 7, 8, 15, 40)
        for m in (0, 7, 8, 17)
        for a in "ap"
        for b in "xy"
        for c in "ap"
    ]
    entries = sorted(set(words[::2]))
    assert answers(build(entries, rules), words) == expected(words, entries, rules)


@pytest.mark.parametrize("rules", RULES)
def test_a_text_of_a_megabyte_is_read_whole(build, rules):
    piece = "A dog, a cat; l’été 犬と猫 กาแฟ émigré ﬁn x. "
    text = piece * (1_000_000 // len(piece.encode())) + "end dog"
    entries = ["dog", "end dog", "dog end", "猫 ", "と猫", "été", "fin", "กา", "x. A", "émigré", "end end", "x"]
    of_text, of_dog = expected([text, "dog"], entries, rules)
    assert answers(build(entries, rules), [text, "dog", text]) == [of_text, of_dog, of_text]


@pytest.mark.parametrize("rules", RULES)
def test_batches_of_every_size_give_the_same_answers(rules):
    texts = [f"text {n} of a dog {'é' * (n % 3)} {'long ' * (n % 70)}" for n in range(9_000)]
    entries = ["dog", "a dog", "é", "long long", "7", "text 8999", "of a dog"]
    matcher = Matcher.build(entries, rules)
    whole = matcher.find(texts)
    assert whole.slice(0, 500).to_pylist() == expected(texts[:500], entries, rules)
    assert whole.slice(8_990).to_pylist() == answers(matcher, texts[8_990:])
    assert whole.equals(pa.concat_arrays([matcher.find(large(texts).slice(n, 1_000)) for n in range(0, 9_000, 1_000)]))


@pytest.mark.parametrize("rules", RULES)
def test_texts_that_match_very_many_entries_are_answered_whole(build, rules):
    entries = [f"w{n}" for n in range(3_000)]
    texts = ["w1", " ".join(entries), "", " ".join(reversed(entries)) + " w7"]
    assert answers(build(entries, rules), texts) == [[1], list(range(3_000)), [], list(range(3_000))]
