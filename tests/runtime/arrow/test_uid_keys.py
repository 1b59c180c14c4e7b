"""Uids as numbers."""

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metadata import InputError
from runtime.arrow import exact_numbers, hex_numbers

MD5 = st.text("0123456789abcdef", min_size=32, max_size=32)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(MD5, max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_numbers_are_those_that_uids_spell_in_every_slice(uids, start, length):
    array = pa.array(uids, pa.string()).slice(min(start, len(uids)), length)
    spelt = [(high << 64) + low for high, low in hex_numbers(array).tolist()]
    assert spelt == [int(uid, 16) for uid in array.to_pylist()]


def test_capital_digits_spell_the_same_number_but_another_uid():
    capital, small = "AB" * 16, "ab" * 16
    assert hex_numbers([capital]).tolist() == hex_numbers([small]).tolist()
    assert exact_numbers([capital]).tolist() != exact_numbers([small]).tolist()


@pytest.mark.parametrize("uid", ["", "12", "g" * 32, "é" * 16, "0" * 31 + "x", None])
def test_a_uid_that_is_no_32_digits_is_refused_by_name(uid):
    with pytest.raises(InputError, match=rf"uid {re.escape(repr(uid))} does not consist of 32 hexadecimal digits"):
        hex_numbers(pa.array(["0" * 32, uid], pa.string()))


def test_uids_of_an_input_have_keys_of_their_own():
    uids = ["0" * 32, "12", "", "é" * 16, "laion/7", "0" * 31 + "A"]
    assert len({*map(tuple, exact_numbers(uids).tolist())}) == len(uids)
    assert exact_numbers(pa.array(uids).slice(2, 2)).tolist() == exact_numbers(uids)[2:4].tolist()
    assert len(exact_numbers([])) == 0
    with pytest.raises(InputError, match="1 of 2 uids are null"):
        exact_numbers(["a", None])
