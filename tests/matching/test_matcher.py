import ctypes
import json
import mmap
import subprocess
import sys
import time
import unicodedata
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.inputs import files
from curation.matching.automaton import AhoCorasick
from curation.matching.matcher import Matcher
from runtime.errors import InputError
from tests.naive.matching import naive_matches
from tests.support.checkout import CASES, ROOT

RULES = ("unicode", "meta")
CASES = {rules: json.loads((CASES / f"matching_{rules}.json").read_text("utf-8")) for rules in RULES}
TYPES = (pa.string(), pa.large_string(), pa.string_view())
ENTRIES = ["dog", "a dog", "a", "été", "犬", "C++", "d", "dog", "กา", " "]
TEXTS = ["a dog", None, "", "l'été", "犬C++ กา", "no", "dog!", "hot-dog's \u200bdog", "﻿ a  dog a"]

# What provokes trouble: every class of character, and what normalising makes of it.
NASTY = [
    *"aab e.,!'`-_$ \t\n\r\x00\x1f\x7f\xa0",
    *"\u2018\u2019\u02bc\u00b4\u2032™℠®\u0149\ufb01ﬀ½²",  # apostrophes, signs, ligatures
    *"\u0301\u0323\u0327\u0345\u20dd\u0900\u3099\uff9e",  # marks, of several combining classes
    *"é\u1e9b\u0344\u0958\u2126\u212b\u0958",
    *"\u00ad\u200b\u200c\u200d\u2060\ufeff\u180e\U000e0001",  # format characters
    *"犬々〆ーラﾗﾊﾟ、。「（！ａ～\u3000\u3031\ufa1e\u2e80\u2fd5",
    *"กาำ\u0e31ໍາ\u0eb3ကြ\u1039\u200dខ្មែ\u17b4བོད\u0f0b\u0f73\u0f43",
    *"한\u1100\u1161\u11a8\u3131ᅟ",
    *"дЁѣשׁ\ufb2aعربي\ufdfa\ufefbहि",
    *"\U0002000b\U0001f600\U0001d400\U0010ffff\ue000\U000f0000\u0378\uffff\ufdd0",
]
CHARACTERS = st.sampled_from(NASTY) | st.characters(exclude_categories=["Cs"])
# ASCII words of all lengths, so that texts meet the loops over bytes at a time at each of their seams.
PIECES = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        "word",
        "sevenlt",
        "eightlet",
        "ninelette",
        "sixteen-letters",
        "x" * 15,
        "x" * 16,
        "y" * 65,
        " ",
        " ",
    ]
    + [" ", "  ", "     ", ". ", ", ", "'", "-", "é", "犬", "ﬁ", "\x00"]
)
LINES = st.lists(CHARACTERS, max_size=30).map("".join) | st.lists(PIECES, max_size=40).map("".join)


@st.composite
def texts_and_entries(draw):
    """Texts, some of them null, and entries of which most are cut from the texts."""
    texts = draw(st.lists(st.none() | LINES, max_size=6))
    sources = [text for text in texts if text] + ["a犬 "]

    def cut():
        text = draw(st.sampled_from(sources))
        begin = draw(st.integers(0, len(text) - 1))
        return text[begin : begin + draw(st.integers(1, 12) | st.just(10_000))]

    entries = [cut() for _ in range(draw(st.integers(0, 12)))] + draw(st.lists(LINES.filter(bool), max_size=4))
    return texts, entries


def saved(matcher: Matcher, folder: Path) -> Matcher:
    matcher.save(folder)
    return Matcher.open(folder)


def large(texts) -> pa.Array:
    return pa.array(texts, pa.large_string())


def answers(finder, texts) -> list:
    return finder.find(texts).to_pylist()


@pytest.fixture(params=("trie", "saved trie", "ahocorasick"))
def build(request, tmp_path):
    """Each engine's way from entries and rules to a finder."""
    return {
        "trie": Matcher.build,
        "saved trie": lambda *given: saved(Matcher.build(*given), tmp_path / "matcher"),
        "ahocorasick": AhoCorasick.build,
    }[request.param]


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
@pytest.mark.parametrize("bad", [["\ud800"], [1], 3, "a dog", pa.array([1]), [b"bytes\xff"]])
def test_what_is_no_text_is_refused(build, rules, bad):
    with pytest.raises(InputError, match="texts must be"):
        build(["a"], rules).find(bad)
    with pytest.raises(InputError, match="entries must be"):
        build(bad, rules)


@pytest.mark.parametrize("rules", RULES)
def test_entries_that_are_none_are_refused_by_their_position(build, rules):
    with pytest.raises(InputError, match="entry 1 is null"):
        build(["a", None], rules)
    with pytest.raises(InputError, match="entry 2 is empty"):
        build(["a", "b", ""], rules)


def test_rules_of_another_name_are_refused(build):
    with pytest.raises(InputError, match="unicode and meta"):
        build(["a"], "regex")


@pytest.mark.parametrize("rules", RULES)
def test_a_repeated_entry_answers_with_every_position(build, rules):
    assert answers(build(["b", "a", "a", "b", "a"], rules), ["a", "a b"]) == [[1, 2, 4], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize("rules", RULES)
def test_an_entry_repeated_thousands_of_times_answers_with_every_position(build, rules):
    entries = ["a"] * 5_000 + ["b"] + ["c"] * 40
    texts = ["a b", "c", "c b c", "a"] * 20
    assert answers(build(entries, rules), texts) == naive_matches(texts, entries, rules)


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
    assert answers(build(entries, rules), texts) == naive_matches(texts, entries, rules)


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
    assert answers(build(entries, rules), texts) == naive_matches(texts, entries, rules)


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
    assert answers(build(entries, rules), words) == naive_matches(words, entries, rules)


@pytest.mark.parametrize("rules", RULES)
def test_a_text_of_a_megabyte_is_read_whole(build, rules):
    piece = "A dog, a cat; l’été 犬と猫 กาแฟ émigré ﬁn x. "
    text = piece * (1_000_000 // len(piece.encode())) + "end dog"
    entries = ["dog", "end dog", "dog end", "猫 ", "と猫", "été", "fin", "กา", "x. A", "émigré", "end end", "x"]
    of_text, of_dog = naive_matches([text, "dog"], entries, rules)
    assert answers(build(entries, rules), [text, "dog", text]) == [of_text, of_dog, of_text]


@pytest.mark.parametrize("rules", RULES)
def test_batches_of_every_size_give_the_same_answers(rules):
    texts = [f"text {n} of a dog {'é' * (n % 3)} {'long ' * (n % 70)}" for n in range(9_000)]
    entries = ["dog", "a dog", "é", "long long", "7", "text 8999", "of a dog"]
    matcher = Matcher.build(entries, rules)
    whole = matcher.find(texts)
    assert whole.slice(0, 500).to_pylist() == naive_matches(texts[:500], entries, rules)
    assert whole.slice(8_990).to_pylist() == answers(matcher, texts[8_990:])
    assert whole.equals(pa.concat_arrays([matcher.find(large(texts).slice(n, 1_000)) for n in range(0, 9_000, 1_000)]))


@pytest.mark.parametrize("rules", RULES)
def test_texts_that_match_very_many_entries_are_answered_whole(build, rules):
    entries = [f"w{n}" for n in range(3_000)]
    texts = ["w1", " ".join(entries), "", " ".join(reversed(entries)) + " w7"]
    assert answers(build(entries, rules), texts) == [[1], list(range(3_000)), [], list(range(3_000))]


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


@pytest.mark.parametrize("rules", RULES)
def test_a_saved_matcher_answers_alike_and_knows_its_entries(tmp_path, rules):
    matcher = Matcher.build(ENTRIES, rules)
    opened = saved(matcher, tmp_path / "matcher")
    assert answers(opened, TEXTS) == naive_matches(TEXTS, ENTRIES, rules)
    assert (opened.rules, opened.size, opened.digest) == (rules, len(ENTRIES), matcher.digest)
    assert Matcher.build(ENTRIES[::-1], rules).digest != matcher.digest


@pytest.mark.parametrize("rules", RULES)
def test_an_opened_matcher_is_mapped_into_memory(tmp_path, rules):
    opened = saved(Matcher.build(ENTRIES, rules), tmp_path / "matcher")
    arrays = [array for trie in opened.tries for array in trie if array.nbytes]
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in arrays)


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.stat().st_size)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_a_damaged_file_is_refused(tmp_path, rules, damage):
    Matcher.build(ENTRIES, rules).save(tmp_path)
    for path in files_of(tmp_path):
        whole = path.read_bytes()
        flipped = whole[:-3] + bytes([whole[-3] ^ 4]) + whole[-2:]
        path.write_bytes({"missing": b"", "cut": whole[: len(whole) // 2], "flipped": flipped}[damage])
        if damage == "missing":
            path.unlink()
        with pytest.raises(InputError, match="build it again"):
            Matcher.open(tmp_path)
        path.write_bytes(whole)
    Matcher.open(tmp_path)


@pytest.mark.parametrize("field", ["version", "rules", "size", "digest", "arrays", "unicode"])
def test_a_header_that_says_something_else_is_refused(tmp_path, field):
    Matcher.build(ENTRIES, "unicode").save(tmp_path)
    header = json.loads((tmp_path / "matcher.json").read_text())
    for change in (header | {field: "other"}, {name: value for name, value in header.items() if name != field}):
        (tmp_path / "matcher.json").write_text(json.dumps(change))
        with pytest.raises(InputError, match="build it again"):
            Matcher.open(tmp_path)


def test_a_folder_without_a_matcher_is_refused(tmp_path):
    with pytest.raises(InputError, match="build it again"):
        Matcher.open(tmp_path / "nothing")


def test_opening_takes_less_than_50_milliseconds(tmp_path):
    words = [f"{a}{b} {c}" for a in "abcdefghij" for b in range(100) for c in range(100)]
    Matcher.build(words, "unicode").save(tmp_path)
    Matcher.open(tmp_path)
    took = []
    for _ in range(5):
        begin = time.perf_counter()
        Matcher.open(tmp_path)
        took.append(time.perf_counter() - begin)
    assert min(took) < 0.05


def test_the_same_entries_give_the_same_files(tmp_path):
    for name in ("one", "two"):
        Matcher.build(ENTRIES, "meta").save(tmp_path / name)
    assert [p.read_bytes() for p in files_of(tmp_path / "one")] == [p.read_bytes() for p in files_of(tmp_path / "two")]


def test_a_second_process_maps_the_arrays_and_answers_alike(tmp_path):
    Matcher.build(ENTRIES, "unicode").save(tmp_path)
    program = "import sys; from curation import Matcher; print(Matcher.open(sys.argv[1]).find(['a dog']).to_pylist())"
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(naive_matches(["a dog"], ENTRIES, "unicode"))


# What the real data's wordnets are called: languages whose scripts differ in all that matters.
WORDNETS = {
    "fr": "omw/fra/wn-data-fra.tab",
    "th": "omw/tha/wn-data-tha.tab",
    "ja": "wiktionary/wn-wikt-jpn.tab",
    "zh": "omw/cow/wn-data-cmn.tab",
    "bg": "omw/bul/wn-data-bul.tab",
    "fa": "omw/fas/wn-data-fas.tab",
}


def lemmas(path: Path) -> list[str]:
    fields = [line.split("\t") for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    found = (row[2].strip().replace("_", " ") for row in fields if len(row) > 2 and row[1].endswith("lemma"))
    return [lemma for lemma in dict.fromkeys(found) if lemma]


@pytest.fixture(scope="module")
def real_texts(shared_data):
    """Every distinct text of the real data."""
    paths = [str(shared_data / folder) for folder in ("wat", "warc", "pairs/web_1000.parquet")]
    batches = [batch for source in files.find(paths) for batch in files.read(source)]
    texts = [text for batch in batches for text in batch.filter(batch["url"].is_valid())["text"].to_pylist()]
    captions = (shared_data / "pairs/cc3m_validation.tsv").read_text("utf-8").splitlines()
    lines = [line for path in (shared_data / "pairs/wit").iterdir() for line in path.read_text("utf-8").splitlines()]
    texts += [line.split("\t")[0] for line in captions]
    return [*dict.fromkeys(texts + [json.loads(line)["caption_reference_description"] for line in lines])]


@pytest.mark.soak
@pytest.mark.shared
@pytest.mark.parametrize("language", WORDNETS)
def test_on_every_real_text_trie_and_automaton_agree_and_on_many_the_naive_twin(shared_data, real_texts, language):
    entries = lemmas(shared_data / "wordnet" / WORDNETS[language]) + [str(number) for number in range(100)]
    under_unicode = Matcher.build(entries, "unicode").find(real_texts)
    some = real_texts[::5]  # the naive twin takes half a millisecond a text
    assert under_unicode.take(pa.array(range(0, len(real_texts), 5))).to_pylist() == naive_matches(
        some, entries, "unicode"
    )
    assert under_unicode.equals(AhoCorasick.build(entries, "unicode").find(real_texts))
    assert Matcher.build(entries, "meta").find(real_texts).equals(AhoCorasick.build(entries, "meta").find(real_texts))
    assert len(under_unicode.values) > 1_000
