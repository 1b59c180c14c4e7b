"""All pairs within the distance are found, each once, and no order of rows changes who leads whom."""

import numpy as np
import pytest

from curation.config import require_distance
from curation.plugins.near_duplicates import copies as module
from curation.plugins.near_duplicates import index
from curation.plugins.near_duplicates.index import band_of, order_keys, unshuffled
from runtime.errors import InputError
from tests.naive.near_duplicates import naive_leaders, naive_pairs
from tests.support.hash_kinds import HASHES, RANDOM, random_hashes, with_bits_in
from tests.support.near_duplicates import near_copies, pairs_within

pytestmark = pytest.mark.kernels

WIDTHS = pytest.mark.parametrize("words", [1, 4])


def pairs_of(hashes: np.ndarray, k: int, indexed: int | None = None) -> list[tuple[int, int]]:
    found = [*pairs_within(hashes, k, len(hashes) if indexed is None else indexed)]
    return [tuple(pair) for pairs in found for pair in pairs.tolist()]


@pytest.mark.slow
@pytest.mark.parametrize("k", [0, 1, 6, 10])
@pytest.mark.parametrize("kind", HASHES)
def test_pairs_are_all_those_within_the_distance_each_once(kind, k):
    found = pairs_of(HASHES[kind], k)
    assert sorted(found) == sorted(map(tuple, naive_pairs(HASHES[kind], k).tolist()))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "k"), [("variants", 16), ("256 bits", 31)])
def test_pairs_are_all_those_within_a_large_distance(kind, k):
    assert sorted(pairs_of(HASHES[kind], k)) == sorted(map(tuple, naive_pairs(HASHES[kind], k).tolist()))


def test_pairs_are_of_the_indexed_hashes_and_all_others():
    hashes = HASHES["variants"]
    expected = [pair for pair in map(tuple, naive_pairs(hashes, 6).tolist()) if pair[1] < 100]
    assert sorted(pairs_of(hashes, 6, indexed=100)) == sorted(expected)


def test_pairs_are_the_same_where_tables_and_results_come_in_parts(monkeypatch):
    expected = sorted(pairs_of(HASHES["one cluster"], 6))
    monkeypatch.setattr(index, "INDEXED_HASHES", 37)
    monkeypatch.setattr(index, "PAIRS_AT_ONCE", 5)
    assert sorted(pairs_of(HASHES["one cluster"], 6)) == expected


@pytest.mark.parametrize("number", [2, 100, 10_000, 1 << 22])
@pytest.mark.parametrize("k", [0, 6, 10, 31])
def test_tables_miss_no_pair(number, k):
    tables = index.tables_for(number, 240, k)
    assert tables.width == 0 or sum(flips + 1 for flips in tables.flips) == k + 1


@pytest.mark.parametrize("k", [0, 3, 6])
@pytest.mark.parametrize("kind", HASHES)
def test_leaders_are_those_of_the_definition(kind, k):
    hashes = HASHES[kind]
    numbers, keys = (numbers_of(each) for each in (hashes, order_keys(hashes)))
    expected = naive_leaders(numbers, dict(zip(numbers, keys, strict=True)), k)
    assert dict(zip(numbers, numbers_of(near_copies(hashes, k)), strict=True)) == expected


def numbers_of(hashes: np.ndarray) -> list[int]:
    return [int.from_bytes(row.astype(">u8").tobytes(), "big") for row in hashes]


def test_no_order_and_no_number_of_copies_changes_a_leader():
    hashes = HASHES["one cluster"]
    order = RANDOM.permutation(np.repeat(np.arange(len(hashes)), RANDOM.integers(1, 4, len(hashes))))
    assert np.array_equal(near_copies(hashes, 6)[order], near_copies(hashes[order], 6))


def test_more_rounds_change_no_leader(monkeypatch):
    expected = near_copies(HASHES["one cluster"], 6)
    monkeypatch.setattr(module, "shares", lambda number: (64, 8, 1))
    assert np.array_equal(near_copies(HASHES["one cluster"], 6), expected)


@pytest.mark.slow
def test_a_cluster_of_many_thousand_hashes_gives_few_pairs():
    hashes = with_bits_in(slice(0, 15), 400_000)  # all 2^15 of them, each within 6 bits of thousands
    copies = (near_copies(hashes, 6) != hashes).any(axis=1)
    assert len(hashes) > module.ONE_ROUND
    assert copies.mean() > 0.99


def test_a_chain_has_several_leaders_each_near_its_copies():
    chain = np.cumsum(np.concatenate([[0], 2 ** np.arange(40)]).astype(np.uint64), dtype=np.uint64)[:, None]
    leaders = near_copies(chain, 2)
    assert max((int(a) ^ int(b)).bit_count() for a, b in zip(chain[:, 0], leaders[:, 0], strict=True)) <= 2
    assert 41 / 5 <= len(np.unique(leaders)) <= 41 / 3


@WIDTHS
def test_keys_are_as_many_as_hashes_and_lead_back_to_them(words):
    hashes = np.concatenate([random_hashes(1000, words), np.zeros((1, words), np.uint64)])
    keys = order_keys(hashes)
    assert np.array_equal(unshuffled(keys), hashes)
    assert len(np.unique(keys[:, 0])) == 1001


@WIDTHS
def test_hashes_within_the_distance_share_a_band(words):
    hashes = random_hashes(1, words).repeat(200, axis=0)
    near = hashes.copy()
    for _ in range(6):
        bit = RANDOM.integers(0, 64 * words, 200)
        near[np.arange(200), bit // 64] ^= np.uint64(1) << (bit % 64).astype(np.uint64)
    assert np.any([band_of(hashes, band, 6) == band_of(near, band, 6) for band in range(7)], axis=0).all()


@pytest.mark.parametrize(("k", "words"), [(-1, 1), (17, 1), (65, 4), (True, 1), (1.0, 1), (3, 2)])
def test_a_distance_that_means_no_copy_is_refused(k, words):
    with pytest.raises(InputError, match="distance|bits"):
        require_distance(k, 64 * words)
