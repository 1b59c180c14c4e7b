"""Counts of texts for each entry: added up, saved, and refused where they are damaged."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.balancing import thresholds as counts_module
from curation.balancing.thresholds import SEEN, CountedEntries, EntryCounts
from curation.schemas import COUNTS
from metadata.entries import Entries
from runtime.errors import InputError
from tests.naive.sampling import naive_counts

pytestmark = pytest.mark.kernels

TEXTS = st.lists(st.none() | st.lists(st.integers(0, 6), unique=True, max_size=5), max_size=20)
LISTS = pa.list_(pa.int32())


def stated(**members) -> Entries:
    """Entries that have these members alone."""
    entries = object.__new__(Entries)
    vars(entries).update(members)
    return entries


def entries() -> Entries:
    return stated(
        strings=pa.array(["a", "of", "crème", "犬", "猫"], pa.large_string()),
        languages={"en": slice(0, 2), "empty": slice(2, 2), "fr": slice(2, 3), "ja": slice(3, 5)},
        digest="d1",
    )


def counted(texts, size=5, digest="d1"):
    return EntryCounts.zeros(size, digest).count(pa.array(texts, LISTS))


def saved(folder):
    path = str(folder / "counts.parquet")
    counted([[0, 3], [3, 4], None, []]).save(path, entries(), np.array([1, 0.5, 1, 0.25, 1], np.float32))
    return path


@settings(deadline=None)  # the first call compiles
@given(TEXTS, TEXTS)
def test_counts_are_those_of_the_definition_batch_after_batch(first, second):
    counts = counted(first, size=7).count(pa.array(second, LISTS))
    assert counts.values.tolist() == naive_counts(first + second, 7)


@settings(deadline=None)  # the first call compiles
@given(TEXTS, st.integers(0, 20), st.integers(0, 20))
def test_a_slice_counts_its_own_rows_only(texts, start, length):
    for kind in (LISTS, pa.large_list(pa.int32())):
        counts = EntryCounts.zeros(7, "d1").count(pa.array(texts, kind).slice(start, length))
        assert counts.values.tolist() == naive_counts(texts[start : start + length], 7)


def test_chunks_and_python_lists_count_alike():
    texts = [[0, 1], None, [], [1]]
    chunked = pa.chunked_array([texts[:1], [], texts[1:]], LISTS)
    for form in (chunked, texts, pa.array(texts, pa.list_(pa.int64()))):
        assert EntryCounts.zeros(2, "d1").count(form).values.tolist() == [1, 2]


def test_items_that_lie_under_a_null_list_are_not_counted():
    lists = pa.ListArray.from_arrays([0, 2, 3], pa.array([0, 9, 1], pa.int32()), mask=pa.array([True, False]))
    assert EntryCounts.zeros(2, "d1").count(lists).values.tolist() == [0, 1]


@pytest.mark.parametrize("texts", [[[0, 5]], [[-1]], [[0], [None]]])
def test_ids_of_other_metadata_are_refused_and_nothing_is_counted(texts):
    counts = counted([])
    with pytest.raises(InputError):
        counts.count(pa.chunked_array([[[0]], texts], LISTS))
    assert counts.values.tolist() == [0] * 5


def test_counts_of_two_parts_add_up():
    total = counted([[0, 1]]) + counted([[1, 4]])
    assert (total.values.tolist(), total.digest) == ([1, 2, 0, 0, 1], "d1")


def test_counts_of_other_metadata_do_not_add():
    with pytest.raises(InputError, match="d1.*d2"):
        counted([[0]]) + counted([[0]], digest="d2")


def test_what_workers_saw_adds_up_to_the_whole():
    parts = [counted([[0, 3], [3]]).seen(), counted([]).seen(), counted([[3], [4]]).seen()]
    total = counted([])
    for part in parts:
        total.add_seen(part)
    total.add_seen(pa.Table.from_batches(parts))
    assert total.values.tolist() == [2, 0, 0, 6, 2]
    assert parts[0].to_pydict() == {"id": [0, 3], "count": [1, 2]}


@pytest.mark.parametrize("ids", [[5], [-1], [-1, 5]])
def test_seen_ids_of_other_metadata_are_refused(ids):
    seen = pa.RecordBatch.from_pydict({"id": ids, "count": [1] * len(ids)}, SEEN)
    with pytest.raises(InputError, match=f"entry id {ids[0]} is not among the 5 entries"):
        counted([]).add_seen(seen)


def test_each_language_has_its_slice_of_the_counts():
    by_language = counted([[0, 3], [3, 4]]).by_language(entries().languages)
    assert {language: counts.tolist() for language, counts in by_language.items()} == {
        "en": [1, 0],
        "empty": [],
        "fr": [0],
        "ja": [2, 1],
    }


def test_saved_counts_are_a_row_per_counted_entry_and_open_again(tmp_path):
    table = pq.read_table(saved(tmp_path))
    assert table.schema.equals(COUNTS)
    assert table.to_pydict() == {
        "id": [0, 3, 4],
        "language": ["en", "ja", "ja"],
        "entry": ["a", "犬", "猫"],
        "count": [1, 2, 1],
        "rate": [1, 0.25, 1],
    }
    found = CountedEntries.open(saved(tmp_path))
    assert (found.rates.tolist(), found.rates.dtype) == ([1, 1, 1, 0.25, 1], np.float32)
    assert found.languages == {"en": slice(0, 2), "fr": slice(2, 3), "ja": slice(3, 5)}
    opened = EntryCounts.open(saved(tmp_path), digest="d1")
    assert (opened.values.tolist(), opened.values.dtype, opened.digest) == ([1, 0, 0, 2, 1], np.int64, "d1")
    assert opened.count([[1]]).values.tolist() == [1, 1, 0, 2, 1]
    assert [file.name for file in tmp_path.iterdir()] == ["counts.parquet"]


def test_counts_of_no_entries_open_again(tmp_path):
    none = stated(strings=pa.array([], pa.string()), languages={}, digest="d0")
    EntryCounts.zeros(0, "d0").save(tmp_path / "counts.parquet", none)
    assert len(EntryCounts.open(tmp_path / "counts.parquet")) == 0


def test_counts_without_rates_are_saved_with_nulls(tmp_path):
    counted([[0, 1]]).save(tmp_path / "counts.parquet", entries())
    assert pq.read_table(tmp_path / "counts.parquet")["rate"].null_count == 2
    assert np.isnan(CountedEntries.open(tmp_path / "counts.parquet").rates).tolist() == [True, True, *[False] * 3]


def test_millions_of_entries_that_no_text_has_take_no_room(tmp_path):
    strings = pa.array(["a", "b"]).take(pa.array(np.zeros(1_000_000, np.int32)))
    many = stated(strings=strings, languages={"en": slice(0, 1_000_000)}, digest="d1")
    EntryCounts.zeros(1_000_000, "d1").count([[999_999]]).save(tmp_path / "counts.parquet", many)
    assert (tmp_path / "counts.parquet").stat().st_size < 4_000
    assert EntryCounts.open(tmp_path / "counts.parquet").values.nonzero()[0].tolist() == [999_999]


def test_counts_are_not_saved_or_opened_with_other_metadata(tmp_path):
    with pytest.raises(InputError, match="d2.*d1"):
        counted([], digest="d2").save(tmp_path / "counts.parquet", entries())
    with pytest.raises(InputError, match=f"the counts at {re.escape(str(saved(tmp_path)))} .*d1.*d2"):
        EntryCounts.open(saved(tmp_path), digest="d2")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(InputError, match="counts.parquet does not exist, but every finished run"):
        EntryCounts.open(tmp_path / "counts.parquet")


def test_a_server_that_fails_is_not_taken_for_a_damaged_file(monkeypatch):
    def fail(file):
        raise ConnectionResetError("reset")

    monkeypatch.setattr(counts_module, "intact", fail)
    with pytest.raises(ConnectionResetError):
        EntryCounts.open("memory://run/counts.parquet")


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(tmp_path, share):
    path = saved(tmp_path)
    with open(path, "rb+") as file:
        file.truncate(int(len(file.read()) * share))
    with pytest.raises(InputError, match="damaged"):
        EntryCounts.open(path)


def test_other_parquet_files_and_versions_are_refused(tmp_path):
    table = pq.read_table(saved(tmp_path))
    stated = table.schema.metadata
    cases = {
        "does not contain counts": table.drop_columns(["rate"]),
        "does not contain counts of": table.replace_schema_metadata({"version": "2"}),
        "has version": table.replace_schema_metadata(stated | {b"version": b"1"}),
        "one count for each": table.replace_schema_metadata(stated | {b"languages": b'{"en": 7}'}),
    }
    for message, wrong in cases.items():
        pq.write_table(wrong, tmp_path / "wrong.parquet")
        with pytest.raises(InputError, match=message):
            EntryCounts.open(tmp_path / "wrong.parquet")


@pytest.mark.parametrize(
    ("column", "value"), [("count", None), ("count", -1), ("count", 0), ("id", None), ("id", 3), ("id", 5), ("id", -1)]
)
def test_a_count_or_an_id_that_is_null_or_wrong_is_refused(tmp_path, column, value):
    table = pq.read_table(saved(tmp_path))
    field, values = COUNTS.field(column), table[column].to_pylist()
    wrong = table.set_column(table.column_names.index(column), field, pa.array([*values[:2], value], field.type))
    pq.write_table(wrong, tmp_path / "wrong.parquet")
    with pytest.raises(InputError, match="one count for each"):
        EntryCounts.open(tmp_path / "wrong.parquet")
