"""Models of all layouts with an engine for each, beside fastText's own."""

from dataclasses import replace
from itertools import count

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import strategies as st

from curation.kernels.fasttext.losses import MAX_SCORE_FACTOR
from curation.language.engines import AnyModel, FastText
from curation.language.fasttext_file import ModelFile
from tests.support.language_models import COUNTS, NEGATIVE_SAMPLING, ONE_VS_ALL, SOFTMAX, TREE, WORDS, Layout

MANY = {f"l{i}": 10 for i in range(40)}
STEEP = {f"l{i}": 2**i for i in range(40, 0, -1)}
LAYOUTS = st.builds(
    Layout,
    words=st.sampled_from([WORDS, WORDS[1:], [*WORDS, "__label__en "], [*WORDS, "dog"], [*WORDS, "x" * 64]]),
    counts=st.sampled_from([COUNTS, COUNTS | {b"no prefix": 3}, MANY, STEEP]),
    width=st.sampled_from([1, 3, 16, 17, 64]),
    loss=st.sampled_from([TREE, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL]),
    buckets=st.sampled_from([1, 7, 1000]),
    shortest=st.integers(0, 3),
    longest=st.integers(0, 6),
    word_ngrams=st.integers(1, 3),
    weight=st.sampled_from([0.0, 1e-7, 1e-3, 0.3, 3.0]),
    seed=st.integers(0, 9999),
)
QUANTISED = st.builds(
    lambda layout, share, **changed: replace(
        layout, kept=None if share is None else tuple(range(0, layout.buckets, share)), **changed
    ),
    LAYOUTS,
    st.sampled_from([None, 1, 2, 2000]),
    part=st.integers(1, 3),
    norms=st.booleans(),
    output_part=st.integers(0, 3),
    output_norms=st.booleans(),
)
NAMES = count()


def opened(content, directory):
    """Return the engine of a model and fastText's, of a file of its own."""
    path = directory / f"{next(NAMES)}.bin"
    path.write_bytes(content)
    return AnyModel.of(ModelFile.open(path)), FastText(path)


def answers(engine, texts):
    labels, scores = engine.predict(texts if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string()))
    return list(zip(labels.to_pylist(), scores.to_pylist(), strict=True))


def same(found, expected):
    assert [label for label, _ in found] == [label for label, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-5)


def spread_alike(engine, oracle, labels, texts):
    """Compare the scores of some labels, two to a column, of texts of which the model knows a part."""
    strings = pa.array(texts, pa.large_string())
    strings = strings.filter(pc.greater(oracle.predict(strings)[1], 1e-3))
    columns = {label: number // 2 for number, label in enumerate(labels) if number % 5}
    found, expected = np.zeros((2, len(strings), len(labels)), np.float32)
    engine.spread(strings, columns, found)
    oracle.spread(strings, columns, expected)
    least = 2 * oracle.predict(strings)[1].to_numpy() / MAX_SCORE_FACTOR
    assert (np.abs(found - expected) <= least[:, None] + 1e-3).all()
