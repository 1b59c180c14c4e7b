"""The kernels behind any fastText model do what their definitions say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.fasttext.losses import best_two_of_row, raise_powers
from curation.kernels.fasttext.ngrams import entry_number, fill_entries, index_entries
from curation.kernels.fasttext.rows import LABEL_BLOCK, TEXTS_ABREAST, multiply
from runtime.kernels import kernel
from tests.naive.model_kernels import naive_best_two, naive_entries, naive_powers, naive_products

pytestmark = pytest.mark.kernels

NAMES = st.lists(st.binary(max_size=5).map(lambda name: name.replace(b"\0", b"")), max_size=8)


@kernel
def best_two_of(products, row):
    return best_two_of_row(products, row)


@kernel
def raise_powers_of(products, row, best):
    raise_powers(products, row, best)


def written(names, position=0):
    content = b"x" * position + b"".join(name + b"\0" + bytes(9) for name in names)
    return np.frombuffer(content, np.uint8), np.empty(len(names) + 1, np.int64)


@settings(deadline=None)  # the first example may wait for Numba
@given(NAMES, st.integers(0, 3), st.integers(0, 30))
def test_entries_are_found_unless_the_content_ends_before(names, position, cut):
    content, entries = written(names, position)
    content = content[: max(len(content) - cut, position)]
    expected = naive_entries(content.tobytes(), position, len(names))
    assert fill_entries(content, position, entries) == (expected is not None)
    assert expected is None or entries.tolist() == expected


@settings(deadline=None)
@given(NAMES)
def test_a_name_leads_to_the_last_entry_of_that_name(names):
    content, entries = written(names)
    slots = np.full(32, -1, np.int32)
    fill_entries(content, 0, entries)
    index_entries(content, entries, slots)
    expected = {name: number for number, name in enumerate(names)}
    for name in [*names, b"absent"]:
        assert entry_number(content, entries, slots, np.frombuffer(name, np.uint8))[0] == expected.get(name, -1)


@pytest.mark.parametrize(("texts", "labels", "width"), [(1, 1, 1), (5, 31, 3), (4, 32, 16), (7, 33, 17), (9, 70, 40)])
def test_products_are_summed_term_by_term_to_the_bit(texts, labels, width):
    chance = np.random.default_rng(labels)
    weights, scales = chance.normal(size=(labels, width)).astype("f4"), chance.normal(size=labels).astype("f4")
    vectors = np.zeros((-(-texts // TEXTS_ABREAST) * TEXTS_ABREAST, -(-width // 16) * 16), np.float32)
    vectors[:texts, :width] = chance.normal(size=(texts, width))
    blocks = -(-labels // LABEL_BLOCK)
    outputs = np.zeros((blocks * LABEL_BLOCK, width), np.float32)
    outputs[:labels] = weights
    outputs = np.ascontiguousarray(outputs.reshape(blocks, LABEL_BLOCK, width).transpose(0, 2, 1))
    products = np.empty((len(vectors), blocks * LABEL_BLOCK), np.float32)
    multiply(vectors, texts, outputs, scales, labels, products)
    assert products[:texts, :labels].tolist() == naive_products(vectors[:texts, :width], weights, scales)
    assert (products[:texts, labels:] == -np.inf).all()


NUMBERS = st.floats(-100, 100, width=32)


@settings(deadline=None)
@given(st.lists(st.lists(NUMBERS | st.just(-np.inf), min_size=32, max_size=32), min_size=1, max_size=3), NUMBERS)
def test_the_best_two_and_the_powers_are_those_of_the_row(rows, number):
    products = np.array(rows, np.float32)
    products[:, 5] = number
    for i, row in enumerate(rows):
        row[5] = number
        best, second = best_two_of(products, i)
        assert (best, second) == naive_best_two(row)
        raise_powers_of(products, i, best)
        expected = np.array(naive_powers(row, best))
        allowed = 3e-7 + 1.5e-7 * np.minimum(best - np.array(row), 90)  # rounding, of the exponent too
        assert (np.abs(products[i] - expected) <= allowed * expected + 1e-37).all()
