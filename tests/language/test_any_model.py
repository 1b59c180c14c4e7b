"""The engine for any fastText model gives fastText's labels, and its scores up to 0.00001."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import sleep

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from curation.language import engines
from curation.language.engines import AnyModel, FastText, Identifier, default_model
from curation.language.fasttext_file import ModelFile
from metadata.languages import OTHER
from runtime.errors import InputError
from tests.naive.language_model import NaiveModel
from tests.support.any_models import LAYOUTS, MANY, QUANTISED, answers, opened, same, spread_alike
from tests.support.language_models import (
    NEGATIVE_SAMPLING,
    ONE_VS_ALL,
    SOFTMAX,
    TREE,
    WORDS,
    Layout,
    model_bytes,
)
from tests.support.odd_texts import BYTES, TEXTS

pytestmark = pytest.mark.kernels

SMALL = Layout(width=20)
ALIKE = ["a", "犬", "dog 犬", "a a a", "", *WORDS, "internationalisation of été"]


def by_definition(content, texts):
    naive = NaiveModel(content)
    return [naive.predict(text) or (OTHER.code, 0.0) for text in texts]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def small(directory):
    return opened(model_bytes(SMALL), directory)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)  # the first example may wait for Numba
@given(LAYOUTS | QUANTISED, TEXTS)
def test_labels_and_scores_of_any_layout_are_those_of_fasttext(directory, layout, texts):
    engine, oracle = opened(model_bytes(layout), directory)
    same(answers(engine, texts), answers(oracle, texts))


@pytest.mark.soak
@settings(deadline=None, max_examples=1_000)
@given(LAYOUTS | QUANTISED, TEXTS)
def test_labels_and_scores_of_many_layouts_are_those_of_fasttext(directory, layout, texts):
    engine, oracle = opened(model_bytes(layout), directory)
    same(answers(engine, texts), answers(oracle, texts))


@pytest.mark.slow
@settings(deadline=None, max_examples=10)
@given(LAYOUTS | QUANTISED, TEXTS)
def test_scores_of_all_labels_are_those_of_fasttext(directory, layout, texts):
    engine, oracle = opened(model_bytes(layout), directory)
    spread_alike(engine, oracle, engine._labels.to_pylist()[:-1], texts)


@settings(deadline=None, max_examples=20)
@given(LAYOUTS | QUANTISED, BYTES)
def test_bytes_that_are_no_utf8_are_answered_by_the_definition_too(directory, layout, texts):
    content = model_bytes(layout)
    offsets, data = np.cumsum([0, *map(len, texts)]), b"".join(texts)
    strings = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(offsets.astype(np.int64)), pa.py_buffer(data))
    same(answers(opened(content, directory)[0], strings), by_definition(content, texts))


@pytest.mark.slow
@pytest.mark.parametrize("loss", [TREE, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL])
@pytest.mark.parametrize("weight", [0.0, 1e-8, 1e-7, 1e-6, 1e-5])
def test_of_labels_equally_or_nearly_as_likely_the_one_that_fasttext_gives(directory, loss, weight):
    for seed in range(8):
        engine, oracle = opened(model_bytes(Layout(counts=MANY, loss=loss, weight=weight, seed=seed)), directory)
        same(answers(engine, ALIKE), answers(oracle, ALIKE))
        assert engine.summed_twice > 0 or loss in (NEGATIVE_SAMPLING, ONE_VS_ALL)


def test_the_order_of_adding_decides_between_near_labels_as_in_fasttext(directory):
    """Two labels whose rows differ by the last digits: a sum in another order would choose the other."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdegilmnorstu", k=7)) for _ in range(3000)]
    texts = [" ".join(chance.choices(words, k=12)) for _ in range(3000)]
    engine, oracle = opened(model_bytes(Layout(counts=MANY, width=64, weight=3e-7)), directory)
    assert [label for label, _ in answers(engine, texts)] == [label for label, _ in answers(oracle, texts)]


def test_a_text_is_answered_alike_to_the_bit_wherever_it_stands(small):
    texts = ["A dog in the park", "", "犬と公園" * 9, "x " * 150, "été\0" * 20, "собака", "internationalisation " * 7]
    texts = [part for text in texts for part in (text, text[:-1], f" {text}")]
    model = small[0]
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


@pytest.mark.slow
@pytest.mark.parametrize("word_ngrams", [1, 2])
def test_a_megabyte_is_read_like_any_text(directory, word_ngrams):
    chance = random.Random(1)
    words = ["犬", "dog", "х" * 9, "\u00a0", "é", "<", "y" * 80, "__label__"]
    long = ["犬" * 100_000, "a" * 300_000, " " * 300_000, "dog " * 100_000, "</s> " + "e" * 300_000]
    long += ["".join(chance.choices([*words, " "], k=100_000)), " ".join(chance.choices(words, k=100_000))]
    engine, oracle = opened(model_bytes(replace(SMALL, word_ngrams=word_ngrams)), directory)
    same(answers(engine, long), answers(oracle, long))


def test_words_beyond_what_the_table_holds_are_answered_alike(monkeypatch, directory):
    monkeypatch.setattr(engines, "_MAX_SUMMED_WORDS", 1)  # so it has room for those that are read at a time
    engine, oracle = opened(model_bytes(SMALL), directory)
    chance = random.Random(2)
    words = ["".join(chance.choices("abdegointzé犬", k=chance.randint(1, 40))) for _ in range(500)] + WORDS
    texts = [" ".join(chance.choices(words, k=7)) for _ in range(1000)]
    same(answers(engine, texts), answers(oracle, texts))


def test_threads_that_share_a_model_take_turns_with_its_table(monkeypatch, small):
    inside, most = [], []

    def watched(*arguments):
        arguments[-3][:] = 0  # labels
        inside.append(None)
        most.append(len(inside))
        sleep(0.01)
        inside.pop()
        return 0

    monkeypatch.setattr(engines.any_model, "predict_labels", watched)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(small[0].predict, [pa.array(["dog"])] * 8))
    assert most == [1] * 8


def test_the_default_model_is_answered_by_this_engine_as_by_the_other():
    texts = ["A dog in the park", "Ein Hund im Park", "犬と公園", "собака", ""]
    same(answers(AnyModel.of(ModelFile.open(default_model())), texts), answers(Identifier.open().engine, texts))


@pytest.mark.parametrize("layout", [SMALL, replace(SMALL, loss=TREE, part=2), Layout(loss=TREE, longest=5)], ids=str)
def test_models_of_other_shapes_are_read_by_this_engine(tmp_path, layout):
    (tmp_path / "small.bin").write_bytes(model_bytes(layout))
    assert isinstance(Identifier.open(tmp_path / "small.bin").engine, AnyModel)


@pytest.mark.parametrize("changed", [{"version": 11}, {"word_ngrams": 0}, {"counts": {"en": 1}}], ids=str)
def test_a_model_that_only_fasttext_reads_is_left_to_it(tmp_path, changed):
    (tmp_path / "small.bin").write_bytes(model_bytes(replace(SMALL, **changed)))
    assert isinstance(Identifier.open(tmp_path / "small.bin").engine, FastText)


@pytest.mark.parametrize(
    "changed",
    [
        {"weight": 1e16},
        {"weight": np.nan},
        {"loss": TREE, "counts": {"a": -1, "b": 1}},
        {"part": 2, "kept": (3, 3, 4)},
        {"part": 2, "kept": (1, SMALL.buckets)},
        {"longest": 65},
        {"shortest": 2**31 - 1},
        {"word_ngrams": 2**31 - 1},
    ],
    ids=str,
)
def test_a_model_that_contradicts_itself_is_refused(tmp_path, changed):
    (tmp_path / "small.bin").write_bytes(model_bytes(replace(SMALL, **changed)))
    with pytest.raises(InputError, match="cut short or damaged"):
        Identifier.open(tmp_path / "small.bin")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_text_whose_vectors_are_damaged_is_refused(directory, value):
    content = model_bytes(replace(SMALL, longest=0))
    model, _ = opened(content, directory)
    position = (
        content.index(model._model.rows.content.tobytes()) + 4 * SMALL.width
    )  # of the first word behind the end of sentence
    damaged, _ = opened(content[:position] + np.float32(value).tobytes() + content[position + 4 :], directory)
    assert answers(damaged, ["犬"]) == answers(model, ["犬"])
    with pytest.raises(InputError, match="contains damaged vectors; download it again"):
        answers(damaged, ["dog"])
