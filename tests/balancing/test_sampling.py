"""Sampling keeps the rows that the definition keeps, with the probabilities that the rates give."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.balancing import sampling as module
from curation.balancing.sampling import (
    keep_probability,
    kept_by_language,
    kept_probabilities,
    sample_batch,
    texts_by_language,
)
from curation.balancing.thresholds import rates as rates_at
from curation.schemas import CANDIDATE, CURATED, MATCHED, SAMPLED
from runtime.errors import InputError
from tests.naive.sampling import naive_expected_size, naive_keep_probability, naive_sample

pytestmark = pytest.mark.kernels

LISTS = pa.list_(pa.int32())
RATES = np.array([1, 0.5, 0.3, 0.01, 0.7], np.float32)
TEXTS = st.lists(st.none() | st.lists(st.integers(0, 4), unique=True, max_size=5), max_size=20)


def image(number, texts):
    """One image; a text is its entries, and its language is that of its place."""
    candidates = texts and [
        {
            "text": f"犬 {number}.{place}",
            "kind": "alt",
            "language": ("en", "ja", None)[place % 3],
            "lid_score": None if place == 1 else 0.5,
            "entries": entries,
            "page_url": f"https://é.example/{number}/{place}" if place % 3 == 1 else None,
        }
        for place, entries in enumerate(texts)
    ]
    page_url = None if number % 4 == 0 else f"https://é.example/{number}"
    return {"uid": f"{number:032x}", "url": f"u{number}", "page_url": page_url, "candidates": candidates}


def images(rows, seed=0):
    chance = random.Random(seed)

    def entries():
        return sorted(chance.sample(range(5), chance.randrange(1, 5)))

    return [image(number, [entries() for _ in range(chance.randrange(1, 5))]) for number in range(rows)]


def batch(rows):
    return pa.RecordBatch.from_pylist(rows, MATCHED)


def nasty():
    """Images without texts, null texts, null ids lists and candidates without entries, amid ordinary ones."""
    return [image(0, None), image(1, []), *images(40), image(41, [None, [], [0]]), image(42, None), image(43, [[1]])]


def test_hand_values_of_the_paper_come_out():
    assert keep_probability(pa.array([[0, 1]], LISTS), rates_at([6, 10], 3))[0] == pytest.approx(0.65, abs=1e-7)


@pytest.mark.slow
@settings(deadline=None)  # the first call compiles
@given(TEXTS, st.integers(0, 20), st.integers(0, 20))
def test_probabilities_are_those_of_the_definition_in_every_slice(texts, start, length):
    for kind in (LISTS, pa.large_list(pa.int32())):
        found = keep_probability(pa.array(texts, kind).slice(start, length), RATES)
        assert found.dtype == np.float64
        assert found.tolist() == [
            naive_keep_probability(text, RATES.tolist()) for text in texts[start : start + length]
        ]


def test_a_text_without_entries_has_probability_zero():
    for none in (pa.array([[], None], LISTS), pa.array([None, None]), pa.array([[], None])):
        assert keep_probability(none, RATES).tolist() == [0, 0]


def test_chunks_and_python_lists_have_the_same_probabilities():
    texts = [[0], [1, 2], None, [3]]
    expected = keep_probability(pa.array(texts, LISTS), RATES).tolist()
    for form in (pa.chunked_array([texts[:1], [], texts[1:]], LISTS), texts, pa.array(texts, pa.list_(pa.int64()))):
        assert keep_probability(form, RATES).tolist() == expected


def test_no_texts_have_no_probabilities():
    for none in ([], pa.array([], LISTS), pa.chunked_array([], LISTS), pa.array([[1]], LISTS)[1:]):
        assert keep_probability(none, RATES).shape == (0,)
    assert keep_probability(pa.array([[]], LISTS), []).tolist() == [0]


def test_read_only_rates_are_taken_as_they_are():
    frozen = RATES.copy()
    frozen.flags.writeable = False
    assert keep_probability([[1]], frozen).tolist() == [0.5]


@pytest.mark.parametrize(
    "texts", [[[0, 5]], [[0], [-1]], [[2**31 - 1]], [[2**31]], [[2**70]], [[0, None]], [["a"]], [1]]
)
def test_ids_outside_the_rates_are_refused(texts):
    with pytest.raises(InputError):
        keep_probability(texts, RATES)


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.string()])
def test_entries_that_are_no_lists_of_ids_are_refused(kind):
    with pytest.raises(InputError, match="entries"):
        keep_probability(pa.array([["a"] if pa.types.is_list(kind) else "a"], kind), RATES)


def test_a_wrong_id_outside_the_slice_or_under_a_null_is_nobodys_business():
    lists = pa.array([[9], [1], [None], [-4]], LISTS)
    assert keep_probability(lists.slice(1, 1), RATES).tolist() == [0.5]
    hidden = pa.ListArray.from_arrays([0, 2, 3], pa.array([0, 9, 1], pa.int32()), mask=pa.array([True, False]))
    assert keep_probability(hidden, RATES).tolist() == [0, 0.5]


@pytest.mark.parametrize("rates", [[["a"]], ["a"], [1], np.ones((2, 2)), 0.5])
def test_rates_that_are_no_row_of_numbers_are_refused(rates):
    with pytest.raises(InputError, match="rates"):
        keep_probability([[0]], rates)


def test_the_expected_size_of_an_image_is_the_mean_over_its_texts():
    found = kept_probabilities(batch(nasty()), RATES)
    assert found == pytest.approx([naive_expected_size(row, RATES.tolist()) for row in nasty()], abs=1e-15)
    assert found[:2].tolist() == [0, 0]


def test_several_thresholds_are_answered_in_one_pass():
    table = np.stack([RATES, RATES / 2, np.ones(5, np.float32)], axis=1)
    found = kept_probabilities(batch(nasty()), table)
    assert found.T.tolist() == [kept_probabilities(batch(nasty()), column).tolist() for column in table.T]
    assert found[-1, 2] == 1


def test_rows_kept_are_those_of_the_definition():
    for seed in range(5):
        found = sample_batch(batch(nasty()), RATES, seed)
        assert found.schema.equals(CURATED)
        assert found.to_pylist() == naive_sample(nasty(), RATES.tolist(), seed)


@pytest.mark.slow
@settings(deadline=None)  # the first call compiles
@given(st.integers(0, 45), st.integers(0, 45))
def test_rows_are_kept_alike_however_the_batch_is_cut(start, length):
    rows = nasty()[start : start + length]
    cut = batch(nasty()).slice(start, length)
    assert sample_batch(cut, RATES, 1).to_pylist() == naive_sample(rows, RATES.tolist(), 1)
    expected = [naive_expected_size(row, RATES.tolist()) for row in rows]
    assert kept_probabilities(cut, RATES) == pytest.approx(expected, abs=1e-15)


def test_a_slice_whose_own_structs_were_cut_is_read_right():
    texts = batch(images(10)).column("candidates")
    structs = texts.values.slice(2)
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 3], pa.int32()), structs)
    ids = pa.array(["a", "b"])
    cut = pa.RecordBatch.from_arrays([ids, ids, ids, lists], schema=SAMPLED)
    assert sample_batch(cut.slice(1), np.ones(5), 0).to_pylist() == naive_sample(cut.slice(1).to_pylist(), [1.0] * 5, 0)


def test_a_threshold_that_grows_keeps_what_it_kept():
    rows = batch(images(2000))
    fewer, more = (set(sample_batch(rows, RATES * share, 0)["uid"].to_pylist()) for share in (0.4, 0.8))
    assert fewer < more


def test_no_draw_is_small_enough_for_what_has_probability_zero(monkeypatch):
    monkeypatch.setattr(module, "draws", lambda seed, purpose, uids: np.zeros(len(uids)))
    rows = batch([image(0, [[]]), image(1, None), image(2, [[3]])])
    assert sample_batch(rows, RATES, 0)["url"].to_pylist() == ["u2"]


def test_another_seed_keeps_other_rows():
    rows = batch(images(2000))
    assert sample_batch(rows, RATES, 0)["uid"].to_pylist() != sample_batch(rows, RATES, 1)["uid"].to_pylist()


def test_as_many_rows_are_kept_as_expected():
    rows = batch([image(number, [[2], [3], [1, 2, 3]][: number % 3 + 1]) for number in range(20_000)])
    expected = kept_probabilities(rows, RATES)
    deviation = np.sqrt((expected * (1 - expected)).sum())
    kept = [sample_batch(rows, RATES, seed).num_rows for seed in range(10)]
    assert max(abs(number - expected.sum()) for number in kept) < 4 * deviation
    assert np.std(kept) > deviation / 4


@pytest.mark.slow
def test_every_text_of_an_image_is_chosen_equally_often():
    rows = batch([image(number, [[0], [0], [0]]) for number in range(30_000)])
    chosen = [int(text[-1]) for text in sample_batch(rows, RATES, 0)["text"].to_pylist()]
    assert len(chosen) == 30_000
    assert np.abs(np.bincount(chosen) - 10_000).max() < 4 * np.sqrt(30_000 * 2 / 9)


def test_no_images_give_no_rows():
    assert sample_batch(batch([]), RATES, 0).schema.equals(CURATED)
    assert sample_batch(batch([]), RATES, 0).num_rows == 0
    assert kept_probabilities(batch([]), RATES).shape == (0,)
    assert kept_probabilities(batch([]), np.ones((5, 3))).shape == (0, 3)


def test_images_that_belong_to_other_metadata_are_refused():
    for refuses in (lambda rows: sample_batch(rows, RATES[:2], 0), lambda rows: kept_probabilities(rows, RATES[:2])):
        with pytest.raises(InputError, match="is not among the 2 entries that have a count or rate"):
            refuses(batch(images(20)))


def test_a_batch_without_candidates_is_refused():
    with pytest.raises(InputError, match="candidates"):
        sample_batch(batch(images(2)).drop_columns(["candidates"]), RATES, 0)


def test_texts_matches_and_expected_images_are_summed_by_language():
    rows = batch([image(0, [[0], [1, 2]]), image(1, [[1]]), image(2, None), image(3, [[2], [3], [0, 4]])])
    found = texts_by_language(rows.slice(0, 4), RATES).to_pydict()
    assert found.pop("expected") == pytest.approx([1 / 2 + 0.5 + 0.3 / 3, 0.65 / 2 + 0.01 / 3, 1 / 3], abs=1e-7)
    assert found == {"language": ["en", "ja", None], "texts": [3, 2, 1], "matches": [3, 3, 2]}
    assert texts_by_language(batch([]), RATES).num_rows == 0


def test_expected_images_of_all_languages_are_the_expected_size():
    rows = batch(nasty())
    assert sum(texts_by_language(rows, RATES)["expected"].to_pylist()) == pytest.approx(
        kept_probabilities(rows, RATES).sum()
    )


def test_kept_rows_are_counted_by_language():
    kept = sample_batch(batch(images(500)), RATES, 0)
    found = kept_by_language(kept).to_pydict()
    assert found["language"] == ["en", "ja", None]
    assert found["kept"] == [kept["language"].to_pylist().count(language) for language in found["language"]]


def test_the_page_of_a_row_is_that_of_its_text():
    korean = {"text": "사진", "entries": [0], "page_url": "ko"}
    arabic = {"text": "صورة", "entries": [0], "page_url": None}
    for text, page in ((korean, "ko"), (arabic, "ar")):
        rows = batch([{"uid": "a", "url": "u", "page_url": "ar", "candidates": [text]}])
        (row,) = sample_batch(rows, np.ones(1), 0).to_pylist()
        assert (row["text"], row["page_url"]) == (text["text"], page)


def test_images_of_earlier_versions_whose_texts_have_no_pages_are_sampled_with_those_of_images():
    rows = batch([{**image(number, [[0]]), "page_url": "p"} for number in range(5)])
    earlier = pa.struct([field for field in CANDIDATE if field.name != "page_url"])
    place = rows.schema.get_field_index("candidates")
    lists = rows["candidates"].cast(pa.list_(earlier))
    sampled = sample_batch(rows.set_column(place, "candidates", lists), np.ones(1), 0)
    assert sampled.equals(sample_batch(rows, np.ones(1), 0))
    assert sampled["page_url"].to_pylist() == ["p"] * 5
