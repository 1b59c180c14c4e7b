"""Items and rows of batches, gathered until they are enough."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.arrow import gather, gather_rows
from tests.naive.batching import naive_gather, naive_gather_rows

TEXTS = st.lists(st.sampled_from(["", "a", "犬", "bcd", "e" * 20]), max_size=20)
ROWS = st.lists(st.lists(st.sampled_from([None, "", "ä", "犬🐕", "x" * 30]), max_size=9), max_size=9)
SCHEMA = pa.schema([("text", pa.string())])


def batch_of(texts) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"text": texts}, SCHEMA)


def bytes_of(texts) -> int:
    return batch_of(texts).nbytes


@given(TEXTS, st.integers(1, 30), st.integers(1, 6))
def test_lists_are_those_of_the_definition(texts, size, number):
    assert list(gather(texts, len, size, number)) == naive_gather(texts, len, size, number)


@given(ROWS, st.integers(1, 12), st.integers(1, 200), st.booleans())
def test_batches_are_those_of_the_definition(rows, most, size, exact):
    # In one array, so that batches are slices; without nulls, whose bits a slice shares with its neighbours.
    rows = [[text or "" for text in texts] for texts in rows]
    whole, batches, at = batch_of([text for texts in rows for text in texts]), [], 0
    for texts in rows:
        batches.append(whole.slice(at, len(texts)))
        at += len(texts)
    found = list(gather_rows(batches, most, size, exact))
    assert [batch["text"].to_pylist() for batch in found] == naive_gather_rows(rows, bytes_of, most, size, exact)


@given(ROWS, st.integers(1, 12), st.booleans())
def test_no_row_is_lost_and_all_batches_but_the_last_have_enough(rows, most, exact):
    found = list(gather_rows(map(batch_of, rows), most, 1 << 20, exact))
    assert [text for batch in found for text in batch["text"].to_pylist()] == [text for texts in rows for text in texts]
    assert all(batch.num_rows == most if exact else batch.num_rows >= most for batch in found[:-1])
    assert all(0 < batch.num_rows <= most for batch in found if exact)


def test_nothing_is_read_ahead_of_what_is_enough():
    numbers = iter(range(10))
    assert next(gather(numbers, lambda _: 1, size=4)) == [0, 1, 2, 3]
    assert next(numbers) == 4


def test_an_item_that_is_enough_comes_alone_and_one_batch_is_not_copied():
    assert list(gather(["x" * 10] * 3, len, size=10)) == [["x" * 10]] * 3
    batch = batch_of(["a", "b"])
    assert next(gather_rows([batch], 5, 1000)) is batch


@pytest.mark.parametrize("exact", [True, False])
def test_no_rows_give_no_batch(exact):
    assert list(gather([], len, 1)) == []
    assert list(gather_rows([], 5, 5, exact)) == list(gather_rows([batch_of([])] * 3, 5, 5, exact)) == []
