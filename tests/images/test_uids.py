"""Uids and hashes of rows are those of MD5 and XXH64."""

import random
from hashlib import md5 as hashlib_md5

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.image_ids import hashes, uid_hashes, uids
from runtime.errors import InputError
from runtime.kernels.hashes import LANES, md5, xxhash
from tests.naive.row_ids import naive_hash, naive_uid, naive_xxhash64

WORDS = ["", "a", "https://example.org/ä.jpg", "犬" * 40, "🙂", "x" * 55, "y" * 56, "z" * 64, None, "é" * 300]
# Published results: of the empty string, "abc" and "xxhash"
VECTORS = [(b"", 0, 0xEF46DB3751D8E999), (b"abc", 0, 0x44BC2CF5AD770999), (b"xxhash", 20141025, 0xB559B98D844E0635)]


def rows_of_bytes(lengths):
    """Return offsets and random bytes of strings with these lengths, and the strings."""
    data = random.Random(0).randbytes(sum(lengths))
    offsets = np.cumsum([0, *lengths])
    values = [data[begin:end] for begin, end in zip(offsets, offsets[1:], strict=False)]
    return offsets, np.frombuffer(data, np.uint8), values


def md5_of(offsets, data):
    out = np.zeros((len(offsets) - 1, 4), np.uint32)
    md5(data, offsets, out)
    return [row.tobytes() for row in out]


def xxhash_of(offsets, data, seeds):
    out = np.zeros(len(offsets) - 1, np.uint64)
    xxhash(data, offsets, seeds, out)
    return out.tolist()


@pytest.mark.parametrize(("data", "seed", "expected"), VECTORS)
def test_the_naive_hash_gives_the_published_results(data, seed, expected):
    assert naive_xxhash64(data, seed) == expected


def test_md5_is_that_of_the_standard_library_at_every_length_where_the_memory_ends_too():
    for length in range(301):
        offsets, data, values = rows_of_bytes([length])
        assert md5_of(offsets, data) == [hashlib_md5(values[0]).digest()]


def test_md5_of_rows_of_all_lengths_is_that_of_the_standard_library_whatever_shares_the_lanes():
    lengths = [*range(301), *range(300, 0, -7), 100_000, 0, 0, *[1, 64, 200] * 20]
    random.Random(1).shuffle(lengths)
    offsets, data, values = rows_of_bytes(lengths)
    assert md5_of(offsets, data) == [hashlib_md5(value).digest() for value in values]


@pytest.mark.parametrize("rows", [0, 1, LANES - 1, LANES, LANES + 1, 3 * LANES])
def test_md5_takes_fewer_and_more_rows_than_there_are_lanes(rows):
    offsets, data, values = rows_of_bytes([70] * rows)
    assert md5_of(offsets, data) == [hashlib_md5(value).digest() for value in values]


def test_xxhash_is_that_of_the_specification_at_every_length_and_seed():
    offsets, data, values = rows_of_bytes([*range(301)])
    seeds = np.frombuffer(random.Random(2).randbytes(8 * len(values)), np.uint64)
    assert xxhash_of(offsets, data, seeds) == list(map(naive_xxhash64, values, seeds.tolist()))


def test_xxhash_is_that_of_the_specification_where_the_memory_ends():
    for length in range(101):
        offsets, data, values = rows_of_bytes([length])
        assert xxhash_of(offsets, data, np.zeros(1, np.uint64)) == [naive_xxhash64(values[0], 0)]


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(st.none() | st.text(), st.none() | st.text())))
def test_ids_of_any_rows_are_those_of_the_definition(rows):
    first, second = (pa.array([row[k] for row in rows], pa.string()) for k in range(2))
    assert uids(first, second).to_pylist() == [naive_uid(*row) for row in rows]
    assert hashes(first, second).tolist() == [naive_hash(*row) for row in rows]


def test_a_string_of_a_megabyte_among_short_ones_gets_its_ids():
    values = ["a", "ß" * 524_288 + "!", "b"]
    assert uids(pa.array(values)).to_pylist() == [naive_uid(value) for value in values]
    assert uid_hashes(pa.array(values)).tolist() == [naive_hash(value) for value in values]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_every_kind_of_strings_gives_the_same_ids_sliced_or_not(kind):
    values, reverse = (pa.array(["x", *words, None, "y"], kind).slice(1, len(words)) for words in (WORDS, WORDS[::-1]))
    assert uids(values).to_pylist() == [naive_uid(word) for word in WORDS]
    assert uid_hashes(values).tolist() == [naive_hash(word) for word in WORDS]
    assert hashes(reverse, values).tolist() == list(map(naive_hash, WORDS[::-1], WORDS))


def test_the_uids_are_a_sound_arrow_array_of_strings():
    found = uids(pa.array(WORDS).slice(3))
    found.validate(full=True)
    assert (found.type, found.null_count) == (pa.string(), 1)


@pytest.mark.parametrize("none", [pa.array([], pa.string()), pa.array(["a"])[1:], pa.array([], pa.null())])
def test_no_rows_give_no_ids(none):
    assert uids(none).equals(pa.array([], pa.string()))
    assert uids(none, none).equals(pa.array([], pa.string()))
    assert uid_hashes(none).dtype == hashes(none, none).dtype == np.int64
    assert len(uid_hashes(none)) == len(hashes(none, none)) == 0


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_given_uid_stays_and_a_missing_one_is_made_of_the_url(kind):
    urls = pa.array(["cut", "a", "b", None, None])[1:]
    own = pa.array(["cut", None, "mine", "tally", None], kind)[1:]
    assert uids(urls, own).to_pylist() == [naive_uid("a"), "mine", "tally", None]
    assert uids(urls, own).type == pa.string()


def test_where_all_uids_are_given_or_none_is_they_stay_or_are_made():
    urls = pa.array(["a", "b"])
    assert uids(urls, pa.array(["1", "2"])).to_pylist() == ["1", "2"]
    assert uids(urls, pa.nulls(2)).to_pylist() == uids(urls).to_pylist() == [naive_uid("a"), naive_uid("b")]


def test_a_null_leaves_the_hash_as_it_is():
    empty, some = pa.array([None, None], pa.string()), pa.array(["a", None])
    assert hashes(empty, some).tolist() == [naive_hash("a"), 42]
    assert hashes(some, empty).tolist() == uid_hashes(some).tolist() == [naive_hash("a"), 42]


def test_columns_of_different_lengths_are_refused():
    one, two = pa.array(["a"]), pa.array(["a", "b"])
    with pytest.raises(InputError, match="2 texts were passed with 1 uids"):
        hashes(one, two)
    with pytest.raises(InputError, match="1 uids were passed with 2 urls"):
        uids(two, one)


@pytest.mark.parametrize("of", [uids, uid_hashes, lambda values: hashes(values, values)])
def test_what_is_no_string_is_refused(of):
    with pytest.raises(InputError, match="must be strings"):
        of(pa.array([1, 2]))
