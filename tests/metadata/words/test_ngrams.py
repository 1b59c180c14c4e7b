"""Counts of words and pairs are exact, association is what the paper says, and the best are taken in one order."""

import itertools
import random
from collections import Counter

import pyarrow as pa
import pytest

from metadata.config import MetadataConfig
from metadata.languages import language
from metadata.words import selection
from metadata.words.ngrams import UNIGRAMS, association, count, joined
from runtime.errors import InputError
from tests.naive import ngrams as naive

EN = language("en")
SAMPLES = {
    "en": ["The cat isn't here; the cat’s 3.5 km away.", "New York, New York\nNew\tYork", None, "", "m² ½ ﬁn e\u0301"],
    "ja": ["東京タワーはNew Yorkにない。東京タワー", "ＡＢＣ　１２３"],
    "zh": ["北京是中国的首都，北京。", "日本Tokyo 2020"],
    "th": ["น้ำดื่มสะอาด น้ำดื่ม", "ภาษาไทยและ English words"],
    "ar": ["اللُّغَة العربية، نعم العربية", "كتاب\u200cها"],
    "hi": ["हिन्दी भाषा। हिन्दी भाषा", "ड़ क़"],
    "my": ["မြန်မာဘာသာ စကား။"],
    "bo": ["བོད་ཡིག་ནི། བོད་ཡིག", "ང་ ཁྱོད New York"],
    "ko": ["서울은 대한민국의 수도이다.", "\u1112\u1161\u11ab글"],
    "he": ['צה"ל של ירושלים'],
}


def counted(texts, code: str = "en") -> tuple[Counter, Counter]:
    unigrams, bigrams = count(pa.array(texts, pa.string()), language(code))
    words = Counter({row["word"]: row["count"] for row in unigrams.to_pylist()})
    pairs = Counter({(row["first"], row["second"]): row["count"] for row in bigrams.to_pylist()})
    assert (len(words), len(pairs)) == (len(unigrams), len(bigrams))  # each once
    return words, pairs


def table_of(unigrams: dict, bigrams: dict) -> tuple[pa.Table, pa.Table]:
    first, second = zip(*bigrams, strict=True)
    words = pa.table({"word": list(unigrams), "count": list(unigrams.values())})
    return words, pa.table({"first": first, "second": second, "count": list(bigrams.values())})


@pytest.mark.parametrize("code", SAMPLES)
def test_counts_are_the_naive_counts_in_many_scripts(code):
    words, pairs = naive.count(SAMPLES[code], code)
    assert len(pairs) > 0
    assert counted(SAMPLES[code], code) == (words, pairs)


@pytest.mark.parametrize("code", ["en", "ja", "bo"])
def test_counts_of_random_text_are_the_naive_counts(code):
    chance = random.Random(3)
    characters = "aabcdéß19 ..,;:'’_-\n\u2028\u00a0\u200b\ufeff\u0301中国かカー한ไทยำ\u0e4d\u0e32་བོད😀©Ⅳ²ﬁ\u202f\x1c\r"
    texts = ["".join(chance.choices(characters, k=40)) for _ in range(2000)]
    assert counted(texts, code) == naive.count(texts, code)


def test_counts_of_ascii_are_those_of_a_definition_that_knows_no_icu():
    chance = random.Random(4)
    texts = ["".join(chance.choices("aab1 2._',;-!$\t\n", k=60)) for _ in range(3000)]
    assert counted(texts) == naive.count(texts, "en", segments=naive.ascii_segments)


@pytest.mark.parametrize("gap", [*',.;:!?()"-—…/@$+', "\n", "\r\n", "\u2028", " , ", " \n ", " 😀 ", " \u0301 "])
def test_no_pair_crosses_punctuation_a_symbol_or_a_line_end(gap):
    assert counted([f"cats {gap} dogs"])[1] == Counter()


@pytest.mark.parametrize("gap", [" ", "  ", "\t", "\u00a0", "\u3000", "\u200b", "\u202f"])
def test_a_pair_crosses_any_other_white_space(gap):
    assert counted([f"cats{gap}dogs"])[1] == {("cats", "dogs"): 1}


def test_no_pair_crosses_from_one_text_to_the_next():
    assert counted(["big cats", "small dogs"])[1] == {("big", "cats"): 1, ("small", "dogs"): 1}


def test_overlapping_pairs_all_count():
    assert counted(["so so so"]) == ({"so": 3}, {("so", "so"): 2})


def test_case_is_kept():
    assert counted(["The the THE"])[0] == {"The": 1, "the": 1, "THE": 1}


def test_a_tsheg_joins_syllables_in_tibetan_only_and_a_shad_parts_them():
    assert counted(["བོད་ཡིག། ནི"], "bo")[1] == {("བོད", "ཡིག"): 1}
    assert counted(["བོད་ཡིག། ནི"], "en")[1] == {}


def test_a_batch_without_words_has_two_empty_tables():
    for texts in ([], [None], ["", "..."]):
        assert counted(texts) == ({}, {})


def test_a_slice_and_chunks_count_as_their_texts():
    texts = pa.array(["zero", "one two", None, "two é中", "last"])
    whole = [table.to_pylist() for table in count(texts.slice(1, 3), EN)]
    assert whole == [table.to_pylist() for table in count(pa.chunked_array([texts[1:2], texts[2:4]]), EN)]
    assert whole[0] == [{"word": w, "count": c} for w, c in [("one", 1), ("two", 2), ("é", 1), ("中", 1)]]


def test_counts_of_parts_add_up_to_those_of_the_whole():
    texts = [text for text in itertools.chain(*SAMPLES.values()) if text] * 3
    parts = [counted(texts[i : i + 4], "ja") for i in range(0, len(texts), 4)]
    sums = [sum(side, Counter()) for side in zip(*parts, strict=True)]
    assert tuple(sums) == counted(texts, "ja")


@pytest.mark.parametrize(
    ("code", "first", "second", "entry"),
    [
        ("en", "New", "York", "New York"),
        ("ko", "한국", "사람", "한국 사람"),
        ("ja", "東京", "タワー", "東京タワー"),
        ("ja", "New", "York", "New York"),
        ("ja", "iPhone", "15", "iPhone 15"),
        ("ja", "2020", "年", "2020年"),
        ("zh", "日本", "Tokyo", "日本Tokyo"),
        ("th", "ภาษา", "ไทย", "ภาษาไทย"),
        ("bo", "བོད", "ཡིག", "བོད་ཡིག"),
        ("bo", "New", "York", "New York"),
    ],
)
def test_a_pair_is_joined_as_its_language_writes_it(code, first, second, entry):
    assert joined(pa.array([first]), pa.array([second]), language(code)).to_pylist() == [entry]


def random_counts(seed: int) -> tuple[dict, dict]:
    chance = random.Random(seed)
    words = {f"w{i}": chance.randint(5, 10_000) for i in range(40)}
    pairs = {tuple(chance.sample(list(words), 2)): chance.randint(1, 500) for _ in range(300)}
    return words, pairs


def test_association_is_the_paper_s_formula():
    words, pairs = random_counts(5)
    total = sum(words.values())
    pmi = [naive.pmi(c, words[a], words[b], total) for (a, b), c in pairs.items()]
    floor = naive.percentile(pmi, 30)
    expected = {f"{a} {b}": naive.score(c, words[a], words[b], total, floor) for (a, b), c in pairs.items()}
    scored = association(*table_of(words, pairs), EN, MetadataConfig())
    assert dict(zip(*scored.to_pydict().values(), strict=True)) == pytest.approx(expected, rel=1e-12)


def test_association_is_the_same_to_the_last_bit_in_any_order_of_rows():
    words, pairs = random_counts(6)
    unigrams, bigrams = table_of(words, pairs)
    order = random.Random(7).sample(range(len(bigrams)), len(bigrams))
    one = association(unigrams, bigrams, EN, MetadataConfig())
    other = association(unigrams.take(list(range(len(unigrams)))[::-1]), bigrams.take(order), EN, MetadataConfig())
    assert one.sort_by("entry").equals(other.sort_by("entry").combine_chunks())
    assert selection.bigrams(one, 100, MetadataConfig()).equals(selection.bigrams(other, 100, MetadataConfig()))


def test_the_rule_pmi_keeps_pairs_above_its_least_by_their_pmi():
    unigrams, bigrams = table_of({"a": 2, "b": 2, "c": 60}, {("a", "b"): 2, ("a", "c"): 1})
    config = MetadataConfig(bigram_score="pmi", bigram_min_pmi=0)
    assert association(unigrams, bigrams, EN, config).to_pylist() == [{"entry": "a b", "score": 5.0}]


def test_no_corpus_this_small_has_a_pair_of_pmi_above_30():
    tables = table_of({"a": 1, "b": 1}, {("a", "b"): 1})
    assert association(*tables, EN, MetadataConfig(bigram_score="pmi")).num_rows == 0


def test_association_of_no_pairs_is_no_rows():
    assert association(*count(pa.array([], pa.string()), EN), EN, MetadataConfig()).num_rows == 0


def test_a_pair_of_a_word_that_was_not_counted_is_refused_by_name():
    with pytest.raises(InputError, match="'dog' is in a bigram but not among the unigrams"):
        association(*table_of({"a": 1}, {("a", "dog"): 1}), EN, MetadataConfig())


def test_the_top_is_by_value_and_then_by_the_string_in_any_order_of_rows():
    chance = random.Random(8)
    rows = [(f"{chance.choice('aéz中😀')}{i}", chance.randint(1, 9)) for i in range(200)]
    for most in (0, 1, 50, 500):
        chance.shuffle(rows)
        table = pa.table({"title": [row[0] for row in rows], "views": [row[1] for row in rows]})
        found = selection.top(table, most)
        assert list(zip(*found.to_pydict().values(), strict=True)) == naive.top(rows, most)


def test_what_can_be_no_entry_is_never_on_top():
    table = pa.table({"entry": ["", "!?", "—", None, "é" * 257, "é" * 256, "C++", "$"], "score": [9.0] * 8})
    assert selection.top(table, 9)["entry"].to_pylist() == ["$", "C++", "é" * 256]


def counts_of(rows: int) -> pa.Table:
    return pa.table([[f"w{i:04}" for i in range(rows)], [*range(rows, 0, -1)]], UNIGRAMS)


@pytest.mark.parametrize(("rows", "kept"), [(0, 0), (1, 1), (9, 1), (10, 1), (30, 3), (31, 4)])
def test_a_tenth_of_the_words_are_entries(rows, kept):
    assert selection.unigrams(counts_of(rows), language("de"), MetadataConfig()) == counts_of(rows).slice(0, kept)


def test_english_words_need_a_count_and_all_others_a_share():
    assert selection.unigrams(counts_of(150), EN, MetadataConfig()).num_rows == 51
    assert selection.unigrams(counts_of(150), EN, MetadataConfig(unigram_limit=7)).num_rows == 7
    assert selection.unigrams(counts_of(150), language("fr"), MetadataConfig(unigram_limit=7)).num_rows == 7


def test_bigrams_are_four_tenths_of_the_unigram_entries_and_titles_three_quarters_of_all():
    scored = pa.table({"entry": [f"a {i}" for i in range(50)], "score": [float(i) for i in range(50)]})
    assert selection.bigrams(scored, 10, MetadataConfig())["score"].to_pylist() == [49, 48, 47, 46]
    assert selection.bigrams(scored, 10, MetadataConfig(bigram_limit=2)).num_rows == 2
    assert selection.titles(counts_of(100), language("ja"), MetadataConfig()).num_rows == 76
    assert selection.titles(counts_of(100), EN, MetadataConfig()).num_rows == 31


def test_two_pairs_that_are_written_alike_are_one_entry_with_the_better_score():
    scored = pa.table({"entry": ["中国人", "中国人", "日本"], "score": [1.0, 5.0, 3.0]})
    best = selection.bigrams(scored, 100, MetadataConfig())
    assert best.to_pylist() == [{"entry": "中国人", "score": 5.0}, {"entry": "日本", "score": 3.0}]


@pytest.mark.parametrize(
    ("name", "value"),
    [("unigram_share", 1.5), ("bigram_limit", -1), ("title_limit", 2.5), ("bigram_score", "chi"), ("longest_entry", 0)],
)
def test_a_number_that_cannot_be_meant_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"{name} is {value!r}; it must be"):
        MetadataConfig(**{name: value})
