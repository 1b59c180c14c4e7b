"""Draws are SipHash-2-4 of seed, purpose and id, as numbers in [0, 1)."""

from hashlib import md5

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.draws import draws
from runtime.errors import InputError
from runtime.kernels.hashes import siphash
from tests.naive.sampling import naive_draw, naive_siphash

pytestmark = pytest.mark.kernels

ROWS = 200_000
# First outputs of the published test vectors: key 00 … 0f, inputs empty, 00, 00 01
VECTORS = [0x726FDB47DD0E0E31, 0x74F839C593DC67FD, 0x0D6C8009D9A94F5A]


def uids(rows=ROWS):
    return pa.array([md5(b"%d" % i).hexdigest() for i in range(rows)])


def test_the_naive_hash_gives_the_published_vectors():
    assert [naive_siphash(bytes(range(n)), bytes(range(16))) for n in range(3)] == VECTORS


def test_the_kernel_gives_the_published_vectors_and_the_naive_hash_at_every_length():
    data = np.arange(300, dtype=np.int64).astype(np.uint8)
    keys = np.frombuffer(bytes(range(16)), "<u8")
    for n in range(300):
        out = np.zeros(1, np.uint64)
        siphash(data, np.array([0, n]), keys[0], keys[1], out)
        assert out[0] == naive_siphash(data[:n].tobytes(), bytes(range(16)))
        assert n >= 3 or out[0] == VECTORS[n]


@settings(deadline=None)  # the first call compiles
@given(st.integers(-5, 2**70), st.text(), st.lists(st.text()))
def test_draws_are_those_of_the_definition(seed, purpose, texts):
    expected = [naive_draw(seed, purpose, text) for text in texts]
    assert draws(seed, purpose, pa.array(texts, pa.string())).tolist() == expected


def test_every_form_of_the_uids_gives_the_same_draws():
    values = ["a", "", "ÿ", "犬" * 20, "0123456789abcdef"]
    expected = draws(0, "keep", pa.array(values)).tolist()
    chunked = pa.chunked_array([values[:2], [], values[2:]], pa.string())
    cut = pa.array(["x", *values, "y"]).slice(1, 5)
    for form in (pa.array(values, pa.large_string()), chunked, cut, cut.cast(pa.large_string()), values):
        assert draws(0, "keep", form).tolist() == expected


@pytest.mark.parametrize(
    "none", [pa.array([], pa.string()), pa.chunked_array([], pa.string()), pa.array(["a"])[1:], []]
)
def test_no_uids_give_no_draws(none):
    assert draws(0, "keep", none).shape == (0,)
    assert draws(0, "keep", none).dtype == np.float64


def test_empty_uids_draw_too():
    assert draws(0, "keep", pa.array(["", ""])).tolist() == [naive_draw(0, "keep", "")] * 2


@given(st.lists(st.tuples(st.text(), st.integers(0, 2**40))))
def test_draws_of_a_number_are_those_of_the_definition(rows):
    texts, numbers = [text for text, _ in rows], np.array([number for _, number in rows], np.int64)
    expected = [naive_draw(3, "text", text, number) for text, number in rows]
    assert draws(3, "text", pa.array(texts, pa.string()), numbers).tolist() == expected


def test_draws_of_other_numbers_are_independent():
    numbers = [np.full(ROWS, number) for number in (0, 1, 2, 7)]
    drawn = [(draws(0, "keep", uids(), each) * 32).astype(int) for each in numbers]
    for one, other in ((0, 1), (1, 2), (2, 3)):
        assert chi_square(np.bincount(drawn[one] * 32 + drawn[other], minlength=1024)) < chi_square_limit(1023)
    of_one = (draws(0, "keep", pa.array(["a"] * ROWS), np.arange(ROWS)) * 32).astype(int)  # all of one uid
    assert chi_square(np.bincount(of_one[:-1] * 32 + of_one[1:], minlength=1024)) < chi_square_limit(1023)


@pytest.mark.parametrize("bad", [pa.array(["a", None]), pa.chunked_array([["a"], [None]]), pa.array([1, 2])])
def test_uids_that_are_null_or_no_strings_are_refused(bad):
    with pytest.raises(InputError, match="uids"):
        draws(0, "keep", bad)


def test_a_null_outside_the_slice_is_nobodys_business():
    assert len(draws(0, "keep", pa.array(["a", None, "b"]).slice(2))) == 1


def test_a_seed_that_is_no_integer_is_refused():
    with pytest.raises(InputError, match="seed"):
        draws("0", "keep", pa.array(["a"]))


def test_a_seed_of_numpy_draws_like_one_of_python():
    assert draws(np.int64(7), "keep", ["a"]) == draws(7, "keep", ["a"])


def test_draws_lie_evenly_in_zero_to_one():
    drawn = draws(0, "keep", uids())
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert chi_square(np.bincount((drawn * 1000).astype(int), minlength=1000)) < chi_square_limit(999)


@pytest.mark.parametrize("other", [(0, "text"), (1, "keep"), (256, "keep"), (-1, "keep")])
def test_another_seed_or_purpose_draws_independently(other):
    pairs = (draws(0, "keep", uids()) * 32).astype(int) * 32 + (draws(*other, uids()) * 32).astype(int)
    assert chi_square(np.bincount(pairs, minlength=1024)) < chi_square_limit(1023)


def test_neighbouring_uids_draw_independently():
    drawn = draws(0, "keep", pa.array([str(i) for i in range(ROWS)]))
    pairs = (drawn[:-1] * 32).astype(int) * 32 + (drawn[1:] * 32).astype(int)
    assert chi_square(np.bincount(pairs, minlength=1024)) < chi_square_limit(1023)


def chi_square(seen):
    expected = seen.sum() / len(seen)
    return ((seen - expected) ** 2 / expected).sum()


def chi_square_limit(degrees):
    return degrees + 4 * (2 * degrees) ** 0.5  # four standard deviations
