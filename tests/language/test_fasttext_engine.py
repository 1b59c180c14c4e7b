"""The kernels' fastText engine answers as fastText does, bit by bit."""

import json
import random
import struct
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from time import sleep

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.inputs import files
from curation.kernels.fasttext.ngrams import remember, slot_of
from curation.kernels.trie.tables import HASHED, same_bytes
from curation.language import engines
from curation.language.engines import FastText, Identifier, LanguageModel, default_model
from curation.language.fasttext_file import ModelFile
from tests.naive.language_model import NaiveModel, fnv
from tests.support.any_models import spread_alike
from tests.support.language_models import COUNTS, SOFTMAX, TREE, WORDS, Layout, model_bytes
from tests.support.odd_texts import BYTES, TEXTS

pytestmark = pytest.mark.kernels

BUCKETS = 2_000_000


def ftz(words=WORDS, counts=COUNTS, **changed):
    """A small model of lid.176.ftz's shape with random numbers, which knows some n-grams of its words."""
    kept = {fnv(word.encode()[i : i + n]) % BUCKETS for word in words for i in range(9) for n in (2, 3, 4)}
    shape = {"loss": TREE, "buckets": BUCKETS, "kept": tuple(sorted(kept)), "part": 2}
    return model_bytes(Layout(words, counts, **(shape | changed)))


def written(content, directory):
    path = directory / "small.ftz"
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The engine of a small model, fastText's and the naive one."""
    path = written(ftz(), tmp_path_factory.mktemp("models"))
    return LanguageModel.of(ModelFile.open(path)), FastText(path), NaiveModel(path.read_bytes())


@cache
def default():
    return LanguageModel.of(ModelFile.open(default_model())), FastText(default_model())


def answers(engine, texts):
    labels, scores = engine.predict(texts if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string()))
    return list(zip(labels.to_pylist(), scores.to_pylist(), strict=True))


def differing(engine, oracle, texts):
    """Return the texts that two engines label differently, or score differently by more than 0.000001."""
    (labels, scores), (expected, others) = engine.predict(texts), oracle.predict(texts)
    far = np.abs(np.asarray(scores) - np.asarray(others)) > 1e-6
    return texts.filter(pc.or_(pc.not_equal(labels.cast(pa.string()), expected.cast(pa.string())), pa.array(far)))


def same(found, expected):
    assert [label for label, _ in found] == [label for label, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-6)


@settings(deadline=None)  # the first example may wait for Numba
@given(TEXTS)
def test_labels_and_scores_are_those_of_the_definition(small, texts):
    same(answers(small[0], texts), [small[2].predict(text.encode()) for text in texts])


@settings(deadline=None)
@given(TEXTS)
def test_labels_and_scores_are_those_of_fasttext(small, texts):
    same(answers(small[0], texts), answers(small[1], texts))


@settings(deadline=None)
@given(BYTES)
def test_bytes_that_are_no_utf8_are_answered_by_the_definition_too(small, texts):
    offsets, data = np.cumsum([0, *map(len, texts)]), b"".join(texts)
    strings = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(offsets.astype(np.int64)), pa.py_buffer(data))
    same(answers(small[0], strings), [small[2].predict(text) for text in texts])


@settings(deadline=None)
@given(TEXTS)
def test_the_default_model_answers_as_fasttext_does(texts):
    same(answers(default()[0], texts), answers(default()[1], texts))
    spread_alike(*default(), Identifier.open().labels, texts)


@settings(deadline=None, max_examples=20)
@example(1, 1e-6, 40)  # fastText's own order of operations decides here
@given(st.integers(0, 2**32), st.sampled_from([0.0, 1e-9, 1e-6, 1e-4, 1e-2, 1.0, 30.0]), st.integers(2, 40))
def test_of_labels_equally_or_nearly_as_likely_the_one_that_fasttext_gives(tmp_path_factory, seed, weight, labels):
    counts = {f"l{i}": 10 for i in range(labels)} if seed % 2 else {f"l{i}": 2**i for i in range(labels, 0, -1)}
    path = written(ftz(counts=counts, seed=seed, weight=weight), tmp_path_factory.mktemp("models"))
    texts = ["", *WORDS, "dog 犬", "a a a", "internationalisation of été"]
    same(answers(LanguageModel.of(ModelFile.open(path)), texts), answers(FastText(path), texts))


def test_a_text_is_answered_alike_wherever_it_stands():
    texts = ["A dog in the park", "", "犬と公園" * 9, "x " * 150, "été\0" * 20, "собака", "internationalisation " * 7]
    texts = [part for text in texts for part in (text, text[:-1], f" {text}")]
    model = default()[0]
    alone = [answers(model, [text])[0] for text in texts]
    assert answers(model, texts) == alone
    assert answers(model, texts[::-1] * 20) == alone[::-1] * 20


def test_a_slice_a_null_and_no_rows_are_answered_in_their_places(small):
    texts = pa.array(["犬", "dog", None, "été", "dog dog"])
    whole = answers(small[0], texts)
    assert whole[2] == (None, None)
    assert answers(small[0], texts.slice(1, 3)) == whole[1:4]
    assert answers(small[0], texts.slice(5)) == answers(small[0], []) == []
    assert answers(small[0], pa.nulls(2, pa.string())) == [(None, None)] * 2
    assert [column.type for column in small[0].predict(pa.array([], pa.string()))][1] == pa.float32()


@pytest.mark.slow
def test_a_megabyte_is_read_like_any_text():
    chance = random.Random(1)
    words = ["犬", "dog", "х" * 9, "\u00a0", "é", "<", "y" * 80, "__label__"]
    long = ["犬" * 350_000, "a" * 1_000_000, " " * 1_000_000, "dog " * 250_000, "</s> " + "e" * 1_000_000]
    long += ["".join(chance.choices([*words, " "], k=300_000)), " ".join(chance.choices(words, k=300_000))]
    assert differing(*default(), pa.array(long, pa.large_string())).to_pylist() == []


def test_words_beyond_what_the_table_holds_are_answered_alike(monkeypatch, tmp_path):
    monkeypatch.setattr(engines, "_TABLE_SLOTS", 64)
    path = written(ftz(), tmp_path)
    model, oracle = LanguageModel.of(ModelFile.open(path)), FastText(path)
    chance = random.Random(2)
    words = ["".join(chance.choices("abdegointzé犬", k=chance.randint(1, 40))) for _ in range(500)] + WORDS
    texts = pa.array([" ".join(chance.choices(words, k=7)) for _ in range(1000)])
    assert differing(model, oracle, texts).to_pylist() == []


def test_words_of_one_key_are_told_apart_by_their_bytes():
    data, key = np.frombuffer(b"internationalisation.Internationalisation", np.uint8), (5, HASHED | 20)
    slots, letters, used = np.zeros((8, 4), np.int64), np.zeros(99, np.uint8), np.zeros(3, np.int64)
    first = slot_of(slots, letters, data, 0, 20, *key)
    remember(slots, letters, used, first, data, 0, 20, *key, 3)
    second = slot_of(slots, letters, data, 21, 20, *key)
    assert second != first
    assert slots[second].tolist() == [0] * 4
    assert slot_of(slots, letters, data, 0, 20, *key) == first
    assert not same_bytes(data, 21, letters, 0, 20)


def test_threads_that_share_a_model_take_turns_with_its_table(monkeypatch, small):
    inside, most = [], []

    def watched(*arguments):
        arguments[-3][:] = 0  # labels
        inside.append(None)
        most.append(len(inside))
        sleep(0.01)
        inside.pop()

    monkeypatch.setattr(engines.language_id, "predict", watched)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(small[0].predict, [pa.array(["dog"])] * 8))
    assert most == [1] * 8


def test_the_default_model_and_its_like_are_read_by_this_engine(tmp_path):
    assert isinstance(Identifier.open().engine, LanguageModel)
    assert isinstance(Identifier.open(written(ftz(), tmp_path)).engine, LanguageModel)


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 11},
        {"width": 18},
        {"word_ngrams": 2},
        {"loss": SOFTMAX},
        {"buckets": 1_999_999},
        {"shortest": 3},
        {"longest": 5},
        {"norms": False},
        {"output_part": 2},
        {"words": WORDS[1:]},
        {"words": [*WORDS, "dog"]},
        {"words": [*WORDS, "x" * 64]},
        {"counts": {"en": 1}},
        {"counts": COUNTS | {b"label:pt": 1}},
    ],
    ids=str,
)
def test_a_model_of_another_shape_is_left_to_other_engines(tmp_path, changed):
    assert LanguageModel.of(ModelFile.open(written(ftz(**changed), tmp_path))) is None


def test_a_model_whose_buckets_share_a_row_is_left_to_other_engines(tmp_path):
    content = bytearray(ftz())
    kept = content.index(struct.pack("<i", min(NaiveModel(bytes(content)).kept)))
    content[kept + 4 : kept + 8] = content[kept + 12 : kept + 16]
    assert LanguageModel.of(ModelFile.open(written(content, tmp_path))) is None


def test_labels_keep_what_of_them_is_utf8(tmp_path):
    path = written(ftz(counts=COUNTS | {b"__label__\xe9t\xe9": 9}), tmp_path)
    assert NaiveModel(path.read_bytes()).names[-1] == "__label__\ufffdt\ufffd"
    same(answers(LanguageModel.of(ModelFile.open(path)), WORDS), answers(FastText(path), WORDS))


@pytest.mark.shared
def test_pages_of_the_web_are_answered_as_fasttext_does(shared_data):
    for source in files.find([str(shared_data / "wat" / "*"), str(shared_data / "warc" / "*")]):
        for batch in files.read(source):
            assert differing(*default(), batch["text"]).to_pylist() == []


@pytest.mark.shared
def test_captions_are_answered_as_fasttext_does(shared_data):
    pairs = shared_data / "pairs"
    texts = [line.split("\t")[0] for line in (pairs / "cc3m_validation.tsv").read_text("utf-8").splitlines()]
    for file in sorted((pairs / "wit").iterdir()):
        texts += [json.loads(line)["caption_reference_description"] for line in file.read_text("utf-8").splitlines()]
    texts = pa.array(texts, pa.large_string())
    assert len(texts) > 20_000
    assert differing(*default(), texts).to_pylist() == []
