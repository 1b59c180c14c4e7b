"""Counts of words and pairs are exact, and their association is what the paper says."""

import itertools
import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from metadata.config import MetadataConfig
from metadata.languages import language
from metadata.stages.choosing import percentile, percentile_ranks
from metadata.words import MAX_WORDS_COUNTED, count_batches, information, pair_entries, scores
from tests.naive import ngrams as naive

pytestmark = pytest.mark.kernels

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
    tables = [*count_batches([pa.array(texts, pa.string())], language(code))]
    words, pairs = added(tables)
    assert len(words) + len(pairs) == sum(map(len, tables))  # each once
    return words, pairs


def added(tables) -> tuple[Counter, Counter]:
    words, pairs = Counter(), Counter()
    for table in tables:
        for first, second, value in zip(*table.to_pydict().values(), strict=True):
            if second is None:
                words[first] += value
            else:
                pairs[first, second] += value
    return words, pairs


@pytest.mark.parametrize("code", SAMPLES)
def test_counts_are_the_naive_counts_in_many_scripts(code):
    words, pairs = naive.count(SAMPLES[code], code)
    assert len(pairs) > 0
    assert counted(SAMPLES[code], code) == (words, pairs)


@pytest.mark.slow
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


def test_a_batch_without_words_has_no_counts():
    for texts in ([], [None], ["", "..."]):
        assert counted(texts) == ({}, {})


def test_a_slice_and_chunks_count_as_their_texts():
    texts = pa.array(["zero", "one two", None, "two é中", "last"])
    whole, chunks = (
        [row for table in count_batches([some], EN) for row in table.to_pylist()]
        for some in (texts.slice(1, 3), pa.chunked_array([texts[1:2], texts[2:4]]))
    )
    assert whole == chunks
    found = [(row["first"], row["count"]) for row in whole if row["second"] is None]
    assert found == [("one", 1), ("two", 2), ("é", 1), ("中", 1)]


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
    assert pair_entries(pa.array([first]), pa.array([second]), language(code)).to_pylist() == [entry]


@pytest.mark.parametrize("most", [1, 50, 400, MAX_WORDS_COUNTED])
def test_counts_that_are_handed_on_whenever_so_many_words_are_held_add_up(most):
    chance = random.Random(9)
    words = [f"{chance.choice('aéß中')}{i}" for i in range(300)]
    batches = [[" ".join(chance.choices(words, k=30)) for _ in range(5)] for _ in range(40)]
    tables = list(count_batches(map(pa.array, batches), EN, most))
    assert added(tables) == naive.count(itertools.chain(*batches), "en")
    assert (len(tables) == 2) is (most == MAX_WORDS_COUNTED)


def test_pairs_whose_association_is_scored_as_the_paper_says():
    chance = random.Random(5)
    rows = [[chance.randint(1, 500), chance.randint(5, 10_000), chance.randint(5, 10_000)] for _ in range(300)]
    count, first, second = map(pa.array, np.array(rows, float).T)
    mutual = information(count, first, second, 123_456.0)
    expected = [naive.pmi(*row, 123_456) for row in rows]
    assert mutual.to_pylist() == pytest.approx(expected, rel=1e-14)
    found = scores(count, mutual, 1.5, MetadataConfig())
    assert found.to_pylist() == pytest.approx([naive.score(*row, 123_456, 1.5) for row in rows], rel=1e-12)


def test_the_score_of_a_pair_is_the_same_to_the_last_bit_wherever_it_is_in_a_batch():
    chance = np.random.default_rng(8)
    count, first = (pa.array(chance.integers(1, 10**6, 999).astype(float)) for _ in range(2))
    whole = scores(count, information(count, first, first, 1e6), 0.5, MetadataConfig())
    for i in range(999):
        one, own = count[i : i + 1], first[i : i + 1]
        assert scores(one, information(one, own, own, 1e6), 0.5, MetadataConfig())[0] == whole[i]


def test_the_rule_pmi_keeps_pairs_above_its_least_by_their_pmi():
    config = MetadataConfig(bigram_score="pmi", bigram_min_pmi=0)
    found = scores(pa.array([1.0] * 3), pa.array([-1.0, 0.0, 5.0]), 0.0, config)
    assert found.to_pylist() == [None, None, 5.0]


@pytest.mark.parametrize("percent", [0, 0.1, 30, 33.3, 50, 99.9, 100])
def test_a_percentile_from_its_two_neighbours_is_numpy_s_to_the_last_bit(percent):
    chance = np.random.default_rng(6)
    for number in [1, 2, 3, 10, 11, 1000, 1001]:
        values = np.sort(chance.normal(size=number).round(chance.integers(0, 5)))
        low, high = (float(values[rank]) for rank in percentile_ranks(number, percent))
        assert percentile((low, high), number, percent) == np.percentile(values, percent)
