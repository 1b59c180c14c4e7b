"""Witnesses are asked for the language of doubtful texts, and the first that knows it counts."""

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from curation.config import WITNESSES as NAMES
from curation.images.grouping import group_images, keyed
from curation.language.label_decisions import REASONS, WITNESSES, LanguageRules, Stated, judge
from curation.matching.finders import built_finders
from curation.matching.matching import Matching
from metadata.languages import language
from metadata.rules import CHINESE, JAPANESE, han_table
from runtime.tallies import TaskResult
from tests.language.test_judging import CODES, ROWS, RULES, columns
from tests.naive.judging import naive_han, naive_judge_with_witnesses
from tests.support.pair_rows import ENTRIES, candidates

pytestmark = pytest.mark.kernels

KNOWN = st.lists(st.none() | CODES.filter("other".__ne__), min_size=8, max_size=8)
ORDERS = st.lists(st.sampled_from(NAMES), unique=True)


def judged(rows, pages, pools, **rules):
    stated = Stated(pa.array(pages, pa.string()), pa.array(pools, pa.string()))
    found = judge(*columns(rows), LanguageRules(**rules), stated)
    return list(zip(*(each.to_pylist() for each in found), strict=True))


def one(text, label, score, page=None, pool=None, witnesses=("han", "pool", "page"), **rules):
    return judged([(text, label, score)], [page], [pool], witnesses=witnesses, **rules)[0]


def written(code):
    return {*language(code).scripts} if code else set()


@given(ROWS, RULES, KNOWN, KNOWN, ORDERS)
@example([(None, "en", 0.1), ("dog", "ru", 0.1)], {"min_score": 0.5}, ["de"] * 8, [None] * 8, ["page"])
@example([("犬们 abcdef", "en", 0.1), ("犬们 abcdefg", "en", 0.1)], {}, [None] * 8, ["de"] * 8, ["han"])
@example([("犬们", "ja", 0.9), ("犬いぬ", "zh", 1.0), ("犬の", "zh", 0.2)], {}, [None] * 8, ["ja"] * 8, ["han", "pool"])
def test_languages_and_who_decided_are_those_of_the_definition(rows, rules, pages, pools, witnesses):
    pages, pools = pages[: len(rows)], pools[: len(rows)]
    expected = [
        naive_judge_with_witnesses(*row, written(row[1]), page, pool, witnesses, written, **rules)
        for row, page, pool in zip(rows, pages, pools, strict=True)
    ]
    assert judged(rows, pages, pools, witnesses=tuple(witnesses), **rules) == expected


def test_names_are_those_of_the_config_and_no_reason_is_called_like_a_witness():
    assert {*WITNESSES} == {*NAMES}
    assert {*NAMES}.isdisjoint(REASONS)


def test_a_doubtful_text_gets_the_language_of_its_page_and_no_other_text_does():
    assert one("Hund", "en", 0.49, "de") == ("de", "page")
    assert one("Hund", "en", 0.5, "de") == one("Hund", "en", 0.4) == ("en", None)
    assert one("Hund", "en", 0.4, "de", witnesses=()) == ("en", None)


def test_the_pool_is_asked_for_all_texts_and_the_order_decides():
    assert one("Hund", "en", 0.99, pool="de") == ("de", "pool")
    assert one("Hund", "fr", 0.3, pool="other") == ("other", "pool")
    assert one("Hund", "en", 0.8, pool="en") == ("en", None)
    assert one("a 我们", "en", 0.75) == ("en", None)
    assert one("Hund", "de", 0.6, pool="de", min_score=0.7) == ("de", "pool")
    assert one("Hund", "de", 0.6, min_score=0.7) == ("other", "score")
    assert one("Hund", "en", 0.4, page="nl", pool="de") == ("de", "pool")
    assert one("Hund", "en", 0.4, page="nl", pool="de", witnesses=("page", "pool")) == ("nl", "page")


def test_letters_that_contradict_a_witness_count_more():
    assert one("собака", "ru", 0.1, "de", "ja") == ("ru", None)
    assert one("собака", "ru", 0.1, "uk", "ja") == ("uk", "page")
    assert one("собака Dog", "ru", 0.1, "de") == ("ru", None)
    assert one("собака Dog", "en", 0.1, "ru") == ("ru", "page")
    assert one("犬", "en", 0.1, "ja") == ("ja", "page")
    assert one("犬", "en", 0.1, "de") == ("other", "script")


def test_a_witness_s_word_is_enough_where_a_score_is_asked_for_but_a_file_name_stays_one():
    assert one("Hund", "en", 0.1, "de", min_score=0.9) == ("de", "page")
    assert one("IMG_1.jpg", "en", 0.1, "de", check_kinds=True) == ("other", "file_name")
    assert one("IMG_1.jpg", "other", 0.1, "de", check_kinds=True) == ("other", None)


@pytest.mark.parametrize(
    ("text", "label", "score", "found"),
    [
        ("我们的家", "ja", 0.9, ("zh", "han")),
        ("東京駅前", "zh", 0.9, ("ja", "han")),
        ("東京タワー", "zh", 0.9, ("ja", "han")),
        ("东京", "en", 0.3, ("zh", "han")),
        ("优の良品", "zh", 0.9, ("zh", None)),
        ("富士山", "ja", 0.9, ("ja", None)),
        ("我们 タワー", "zh", 0.9, ("zh", None)),
        ("Shop 我们", "en", 0.9, ("en", None)),
        ("Shop of 我们", "en", 0.3, ("zh", "han")),
        ("Shops of 我们", "en", 0.3, ("en", None)),
        ("日経CNBC online", "zh", 0.4, ("ja", "han")),
        ("东京", "zh", 0.6, ("zh", "han")),
    ],
)
def test_characters_that_only_one_of_chinese_and_japanese_writes_tell_which(text, label, score, found):
    assert one(text, label, score) == found


def test_the_table_has_who_writes_each_character():
    pages, bits = han_table()
    named = {None: 0, "Chinese": CHINESE, "Japanese": JAPANESE}
    for code in (*range(0x2F00, 0xD7FF, 7), *range(0x3000, 0x3200), *range(0xFF00, 0xFFF0), 0x1B000, 0x20000):
        assert bits[int(pages[code >> 8]) << 8 | code & 255] == named[naive_han(chr(code))], hex(code)


class Doubtful:
    """Stands for an identifier; it finds all texts English with a score of 0.25."""

    def predict(self, texts):
        labels = pa.array(["en"] * len(texts), pa.string()).dictionary_encode()
        return labels, pa.array([0.25] * len(texts), pa.float32())


def test_texts_with_the_language_of_a_witness_are_counted_and_keep_the_score_of_the_model():
    stated = [
        ("Hund", "de", None),
        ("собака", "de", None),
        ("of", None, None),
        ("Hund of", "ja", "de"),
        ("猫", "ja", None),
    ]
    named = ("text", "page_language", "language")
    rows = keyed(candidates(*({"url": "http://a", **dict(zip(named, row, strict=True))} for row in stated)))
    rules = LanguageRules(check_scripts=False, witnesses=("page",))
    found = Matching(Doubtful(), built_finders(ENTRIES, "unicode"), rules).match(rows)
    assert found["language"].to_pylist() == ["de", "en", "en", "de", "ja"]
    assert found["lid_score"].to_pylist() == [0.25, 0.25, 0.25, None, 0.25]
    assert found["judged"].to_pylist() == ["page", None, None, None, "page"]
    tallies = TaskResult()
    group_images(found, tallies, unique=True)
    assert tallies["witness", "page"] == 2
