"""Uids as numbers: sorted, and saved."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metadata import InputError
from runtime.arrow.uid_keys import exact_numbers, hex_keys, save_sorted

MD5 = st.text("0123456789abcdef", min_size=32, max_size=32)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(MD5, max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_keys_are_the_numbers_that_uids_spell_in_every_slice(uids, start, length):
    array = pa.array(uids, pa.string()).slice(min(start, len(uids)), length)
    keys = hex_keys(array)
    assert [int.from_bytes(key.ljust(16, b"\0"), "big") for key in keys.tolist()] == [
        int(uid, 16) for uid in array.to_pylist()
    ]


@settings(deadline=None)  # the machine may be busy
@given(st.lists(MD5, max_size=30))
def test_keys_sort_as_numbers_do(uids):
    in_order = np.argsort(hex_keys(uids), kind="stable").tolist()
    assert [uids[place] for place in in_order] == sorted(uids)


def test_capital_digits_spell_the_same_number_but_another_uid():
    capital, small = "AB" * 16, "ab" * 16
    assert hex_keys([capital]) == hex_keys([small])
    assert exact_numbers([capital]).tolist() != exact_numbers([small]).tolist()


@pytest.mark.parametrize("uid", ["", "12", "g" * 32, "é" * 16, "0" * 31 + "x", None])
def test_a_uid_that_is_no_32_digits_is_refused_by_name(uid):
    with pytest.raises(InputError, match=rf"uid {re.escape(repr(uid))} is no 32 hexadecimal digits"):
        hex_keys(pa.array(["0" * 32, uid], pa.string()))


def test_uids_of_an_input_have_keys_of_their_own():
    uids = ["0" * 32, "12", "", "é" * 16, "laion/7", "0" * 31 + "A"]
    assert len({*map(tuple, exact_numbers(uids).tolist())}) == len(uids)
    assert exact_numbers(pa.array(uids).slice(2, 2)).tolist() == exact_numbers(uids)[2:4].tolist()
    assert len(exact_numbers([])) == 0
    with pytest.raises(InputError, match="1 of 2 uids are null"):
        exact_numbers(["a", None])


def test_keys_come_sorted_from_disk_in_whatever_batches_they_went(tmp_path):
    uids = [f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}" for number in range(500)] + ["0" * 32]
    keys = hex_keys(uids)
    for cut in (1, 250, 501):
        save_sorted([keys[:cut], keys[cut:]], tmp_path / f"{cut}.npy")
    assert np.load(tmp_path / "1.npy").tolist() == sorted(keys.tolist())
    assert len({path.read_bytes() for path in tmp_path.glob("*.npy")}) == 1
    assert len(list(tmp_path.iterdir())) == 3  # and nothing else stays
