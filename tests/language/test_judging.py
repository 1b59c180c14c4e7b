"""A text is in the language of its label unless something speaks against it."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from curation.language.engines import Identifier
from curation.language.label_decisions import LanguageRules, judge
from curation.language.text_kinds import SCRIPTS, is_foreign
from metadata.languages import LANGUAGES, language, of_label
from metadata.rules import MAX_SCRIPTS
from tests.naive.judging import naive_is_foreign, naive_judge
from tests.support.checkout import ROOT
from tests.support.cldr_scripts import scripts_csv

pytestmark = pytest.mark.kernels

PIECES = [
    "IMG_0450.jpg",
    "http://a.example/",
    "&amp;",
    "dog",
    "é",
    "собака",
    "犬",
    "いぬ",
    "イヌ",
    "ー",
    "개",
    "كلب",
    "כלב",
    "ส",
    "ⴰ",
    "𐐀",
    "𝐀",
    "ʼ",
    "́",
    "1",
    " ",
    "🐕",
]
TEXTS = st.none() | st.lists(
    st.sampled_from(PIECES) | st.characters(codec="utf-8", exclude_categories=["Cn"]), max_size=6
).map("".join)
CODES = st.sampled_from(["en", "ru", "ja", "zh", "ko", "sr", "ar", "th", "other", "map_bms"])
ROWS = st.lists(st.tuples(TEXTS, CODES, st.floats(0, 1, width=32)), max_size=8)


def columns(rows):
    texts, codes, scores = zip(*rows, strict=True) if rows else ((), (), ())
    is_null = [text is None for text in texts]
    labels = pa.array(codes, pa.string(), mask=np.array(is_null, bool)).dictionary_encode()
    return pa.array(texts, pa.large_string()), labels, pa.array(scores, pa.float32(), mask=np.array(is_null, bool))


def judged(rows, **rules):
    return list(zip(*(each.to_pylist() for each in judge(*columns(rows), LanguageRules(**rules))), strict=True))


def reason(text, label, **rules):
    return judged([(text, label, 0.9)], **rules)[0]


LEAST = {
    "min_score": st.sampled_from([0.0, 0.5, 1.0]),
    "min_scores": st.dictionaries(CODES, st.sampled_from([0.0, 0.25, 0.75])),
}
RULES = st.fixed_dictionaries({**LEAST, "check_scripts": st.booleans(), "check_kinds": st.booleans()})


@given(ROWS, RULES)
@example(
    [(None, "en", 0.1), ("", "ru", 0.1), ("dog", "ru", 0.1), ("http://a.example/1.jpg", "en", 1)],
    {"min_score": 0.5, "min_scores": {"ru": 0.05}, "check_scripts": True, "check_kinds": True},
)
def test_languages_and_reasons_are_those_of_the_definition(rows, rules):
    expected = [naive_judge(text, code, score, {*language(code).scripts}, **rules) for text, code, score in rows]
    assert judged(rows, **rules) == expected


def test_letters_of_other_scripts_alone_are_not_in_the_language():
    assert reason("犬", "en") == reason("SONY DSC", "zh") == reason("dog", "ru") == ("other", "script")


def test_one_letter_of_a_script_of_the_language_is_enough():
    for text, code in (("Canon 相机", "zh"), ("Новый Canon EOS", "ru"), ("Љ photo", "mk"), ("café 犬", "en")):
        assert reason(text, code) == (code, None)


def test_a_language_of_several_scripts_may_be_in_any_of_them():
    for text, code in (
        ("pas", "sr"),
        ("пас", "sr"),
        ("犬", "ja"),
        ("いぬ", "ja"),
        ("イヌ", "ja"),
        ("犬", "ko"),
        ("개", "ko"),
    ):
        assert reason(text, code) == (code, None)
    assert reason("いぬ", "zh") == ("other", "script")


def test_digits_marks_and_letters_of_no_one_script_say_nothing():
    for text in ("", "2034", "!?", "🐕", "ー", "𝐀𝐁", "\u0301"):
        assert reason(text, "ru") == ("ru", None)


def test_a_label_that_names_its_script_admits_it():
    assert reason("sobaka", "rus_Latn") == ("ru", None)
    assert reason("sobaka", "rus_Cyrl") == reason("sobaka", "ru") == ("other", "script")
    assert reason("собака", "rus_Latn") == ("ru", None)


def test_a_language_of_no_known_script_admits_all():
    assert reason("犬", "map_bms") == ("map_bms", None)


def test_texts_stay_where_scripts_are_not_checked():
    assert reason("犬", "en", check_scripts=False) == ("en", None)


def test_what_is_no_text_is_in_no_language_where_that_is_asked_for():
    texts = {"2034": "no_letters", "IMG_0450.jpg": "file_name", "http://a.example/": "address", "<br>": "html"}
    for text, kind in texts.items():
        assert reason(text, "en", check_kinds=True) == ("other", kind)
        assert reason(text, "en") == ("en", None)
    assert reason("犬.jpg", "en", check_kinds=True) == ("other", "file_name")


def test_a_score_of_exactly_the_minimum_is_enough():
    (score,) = columns([("dog", "en", np.float32(0.3))])[2].to_pylist()
    assert judged([("dog", "en", score)], min_score=score) == [("en", None)]
    assert judged([("dog", "en", score)], min_score=score + 1e-6) == [("other", "score")]


def test_a_language_may_ask_for_a_score_of_its_own():
    rows = [("hund", "da", 0.55), ("dog", "en", 0.55), ("dog", "en", 0.45), ("犬", "ja", 0.1)]
    found = judged(rows, min_score=0.5, min_scores={"da": 0.6, "ja": 0.0})
    assert found == [("other", "score"), ("en", None), ("other", "score"), ("ja", None)]
    assert judged(rows, min_scores={"da": 0.6})[:3] == [("other", "score"), ("en", None), ("en", None)]


def test_a_label_that_means_other_needs_no_reason():
    assert judged([("犬", "tlh_Latn", 0.1)], min_score=0.5) == [("other", None)]


def test_a_slice_and_no_rows_are_judged_in_their_places():
    rows = [("dog", "en", 0.9), (None, "en", 0.9), ("犬", "en", 0.9), ("собака", "ru", 0.2), ("犬", "ja", 0.9)]
    whole = judged(rows, min_score=0.5)
    part = judge(*(column.slice(1, 3) for column in columns(rows)), LanguageRules(min_score=0.5))
    assert list(zip(*(each.to_pylist() for each in part), strict=True)) == whole[1:4]
    assert judged([]) == []
    assert [each.type for each in judge(*columns([]), LanguageRules())] == [pa.string(), pa.string()]


def test_labels_of_the_default_model_are_judged_by_their_language():
    texts = pa.array(["公园里的一只狗和一个孩子", "A photo of a dog in the park"], pa.large_string())
    assert judge(texts, *Identifier.open().predict(texts), LanguageRules())[0].to_pylist() == ["zh", "en"]


@given(st.lists(TEXTS, max_size=5), CODES)
def test_what_is_foreign_follows_from_the_scripts_of_letters(texts, code):
    labels = pa.array([code] * len(texts), pa.string()).dictionary_encode()
    expected = [naive_is_foreign(text, {*language(code).scripts}) for text in texts]
    assert is_foreign(pa.array(texts, pa.large_string()), labels).tolist() == expected


def test_scripts_of_languages_are_those_of_cldr():
    assert (ROOT / "metadata" / "scripts.csv").read_text("utf-8") == scripts_csv()


def test_almost_every_language_has_scripts_and_none_has_too_many():
    assert [each.code for each in LANGUAGES if not each.scripts] == ["map_bms", "roa_tara", "other"]
    assert len(SCRIPTS) <= MAX_SCRIPTS


@pytest.mark.parametrize("label", ["kmr_Latn", "tat_Latn", "crh_Latn", "lad_Latn"])
def test_scripts_that_labels_name_belong_to_the_language(label):
    assert "Latn" in of_label(label).scripts
