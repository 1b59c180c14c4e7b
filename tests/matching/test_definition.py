"""Every engine answers as the definition says, for the tables of cases and for texts made at random."""

import ctypes
import json
import mmap
import sys
import unicodedata
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.matching.finders import AhoCorasick
from curation.matching.matcher import Matcher
from runtime.errors import InputError
from tests.naive.matching import naive_matches
from tests.support.checkout import CASES
from tests.support.matching import ENTRIES, LINES, RULES, TEXTS, answers, large, texts_and_entries

pytestmark = pytest.mark.kernels

CASES = {rules: json.loads((CASES / f"matching_{rules}.json").read_text("utf-8")) for rules in RULES}
TYPES = (pa.string(), pa.large_string(), pa.string_view())


@pytest.mark.parametrize("rules", RULES)
def test_every_case_of_the_tables_is_answered(build, rules):
    wrong = [
        case["label"]
        for case in CASES[rules]
        if answers(build(case["entries"], rules), [case["text"]]) != [case["expected"]]
    ]
    assert wrong == []


@pytest.mark.parametrize("rules", RULES)
def test_the_naive_twin_answers_every_case_of_the_tables(rules):
    wrong = [
        case["label"]
        for case in CASES[rules]
        if naive_matches([case["text"]], case["entries"], rules) != [case["expected"]]
    ]
    assert wrong == []


def test_every_assigned_character_is_read_as_the_definition_says_whatever_it_stands_beside():
    kinds = {code: unicodedata.category(chr(code)) for code in range(0x110000)}
    alike = [range(0x3400, 0x9F00), range(0xAC20, 0xD780), range(0x17000, 0x18D00), range(0x20000, 0x32400)]
    codes = [
        code for code, kind in kinds.items() if kind not in ("Cn", "Co", "Cs") and not any(code in r for r in alike)
    ]
    texts = [f"a{c}b 犬{c}b. e{c} {c}" for c in map(chr, codes)]
    entries = ["a", "b", "犬", "e", "é", "a b", "犬 b", "b."]
    assert answers(Matcher.build(entries, "unicode"), texts) == naive_matches(texts, entries, "unicode")


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULES)
@settings(deadline=None, max_examples=300)  # the first call compiles
@given(texts_and_entries())
def test_trie_and_automaton_answer_as_the_definition_says(rules, drawn):
    texts, entries = drawn
    expected = naive_matches(texts, entries, rules)
    assert answers(Matcher.build(entries, rules), texts) == expected
    assert answers(AhoCorasick.build(entries, rules), texts) == expected


@settings(deadline=None, max_examples=100)
@given(texts_and_entries(), st.sampled_from(RULES), st.integers(0, 6), st.integers(0, 6))
def test_a_slice_is_answered_as_its_texts_are(drawn, rules, start, length):
    texts, entries = drawn
    matcher = Matcher.build(entries, rules)
    assert answers(matcher, large(texts).slice(start, length)) == answers(matcher, texts)[start : start + length]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("type", TYPES)
def test_any_string_type_sliced_or_chunked_gives_the_same_answers(build, rules, type):
    finder = build(ENTRIES, rules)
    expected = naive_matches(TEXTS, ENTRIES, rules)
    texts = pa.array(TEXTS, type)
    assert answers(finder, texts) == expected
    assert answers(finder, texts.slice(3, 4)) == expected[3:7]
    chunked = pa.chunked_array([texts.slice(0, 2), texts.slice(2, 0), texts.slice(2)], type)
    assert finder.find(chunked).type == pa.list_(pa.int32())
    assert [len(chunk) for chunk in finder.find(chunked).chunks] == [2, 0, 7]
    assert answers(finder, chunked) == expected


@pytest.mark.parametrize("rules", RULES)
def test_no_texts_and_no_entries_give_empty_answers(build, rules):
    assert build(ENTRIES, rules).find(pa.array([], pa.string())).equals(pa.array([], pa.list_(pa.int32())))
    assert answers(build([], rules), ["a", None, ""]) == [[], None, []]
    assert answers(build(["\u200b"], "unicode"), ["\u200b", "a"]) == [[], []]  # no symbol to look for
    assert answers(build(ENTRIES, rules), pa.nulls(2)) == [None, None]


@pytest.mark.parametrize("rules", RULES)
def test_bytes_beneath_a_null_are_not_read(build, rules):
    array = pa.array(["a dog", "a dog", "a dog"])
    validity = pa.py_buffer(b"\x05")
    hidden = pa.StringArray.from_buffers(3, array.buffers()[1], array.buffers()[2], validity, 1, 0)
    assert answers(build(["dog"], rules), hidden) == [[0], None, [0]]


@pytest.mark.parametrize("rules", RULES)
@settings(deadline=None, max_examples=200)
@given(st.lists(st.binary(max_size=40) | LINES.map(str.encode), max_size=6))
def test_invalid_utf_8_is_answered_or_refused_and_never_read_beyond(rules, texts):
    binary = pa.array(texts, pa.large_binary())
    matcher = Matcher.build(["a", "é", "犬", "a.", "word", "ก"], rules)
    with suppress(InputError):
        assert len(matcher.find(pa.Array.from_buffers(pa.large_string(), len(texts), binary.buffers()))) == len(texts)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="guards memory as Linux does")
@pytest.mark.parametrize("rules", RULES)
def test_no_byte_is_read_behind_a_buffer_that_ends_where_memory_ends(rules):
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    assert libc.mprotect(address + page, page, 0) == 0  # a read there ends the process
    matcher = Matcher.build(["dog", "été", "犬", "a longer entry", "s"], rules)
    for text in ["dog", "a longer entry", "été", "犬", "x" * 63, "x" * 64, "w " * 40, "dog's", "\xe9", "!", "a" * 9]:
        data = text.encode()
        memory[page - len(data) : page] = data
        texts = pa.Array.from_buffers(
            pa.large_string(),
            1,
            [
                None,
                pa.py_buffer(np.array([0, len(data)]).tobytes()),
                pa.foreign_buffer(address + page - len(data), len(data)),
            ],
        )
        assert answers(matcher, texts) == naive_matches([text], ["dog", "été", "犬", "a longer entry", "s"], rules)
    libc.mprotect(address + page, page, mmap.PROT_READ | mmap.PROT_WRITE)
