"""Tasks find the copies that the definition finds, however the rows are spread."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.near_duplicates import copies as module
from curation.plugins.near_duplicates.copies import ONE_ROUND, copies_of
from curation.plugins.near_duplicates.index import keys_of_hashes, words_of
from runtime.engine.local import Local
from runtime.errors import InputError
from tests.support.near_duplicates import near_copies

COPIES = 5000  # of one picture


def binary(words: np.ndarray) -> list[bytes]:
    return [row.astype(">u8").tobytes() for row in words]


def expected(uids: list[str], hashes: list[bytes | None], k: int) -> dict[str, str]:
    """Return uid -> uid of the image that stays, of images that have a copy, by `near_copies` in one process."""
    known = [(uid, each) for uid, each in zip(uids, hashes, strict=True) if each is not None]
    bits = 8 * len(known[0][1])
    leaders = binary(near_copies(words_of(b"".join(each for _, each in known), bits), k))
    first = {}
    for uid, each in sorted(known, reverse=True):
        first[each] = uid
    sizes = Counter(leaders)
    return {uid: first[leader] for (uid, _), leader in zip(known, leaders, strict=True) if sizes[leader] > 1}


def found(engine, folder, uids, hashes, partitions=4, k=6) -> dict[str, str]:
    (given := folder / "hashes").mkdir(parents=True)
    rows = pa.table({"uid": uids, "hash": pa.array(hashes, pa.binary())})
    for part in range(partitions):
        pq.write_table(rows.take(np.arange(part, len(rows), partitions)), given / f"{part}.parquet")
    files = copies_of(given, "hash", k, folder / "copies", engine)
    assert sorted(path.name for path in (folder / "copies").iterdir()) == [path.name for path in files]
    copies = [row for path in files for row in pq.read_table(path).to_pylist()]
    assert len({row["uid"] for row in copies}) == len(copies)
    return {row["uid"]: row["copy_of"] for row in copies}


@pytest.mark.slow
@pytest.mark.parametrize("bits", [64, 256])
def test_copies_are_those_of_one_process_in_one_round_and_in_two(engine, tmp_path, bits, monkeypatch):
    random = np.random.default_rng(bits)
    number = ONE_ROUND + 2000 if bits == 64 else 2000
    hashes = words_of(random.bytes(number * bits // 8), bits)
    near = hashes[random.integers(0, 300, 2000)]
    for _ in range(5):
        near[:, 0] ^= np.uint64(1) << random.integers(0, 64, 2000).astype(np.uint64)
    rows = [*binary(hashes), *binary(near), None, None]
    rows += [rows[0]] * (COPIES if bits == 64 else 10)
    uids = [f"{number:06}" for number in random.permutation(len(rows))]
    wanted = expected(uids, rows, 6)
    assert len(wanted) > 1000
    assert found(engine, tmp_path / "some", uids, rows) == wanted
    if bits == 256:
        monkeypatch.setattr(module, "SWEPT_PAIRS", 100)
        assert found(engine, tmp_path / "others", uids[::-1], rows[::-1], partitions=1) == wanted


def test_no_hashes_have_no_copies(engine, tmp_path):
    assert found(engine, tmp_path, ["a", "b", "c"], [None, None, b"1" * 8]) == {}


def test_what_is_no_hash_of_these_bits_is_refused(tmp_path):
    with pytest.raises(InputError, match="a hash does not have 64 bits; pass"):
        keys_of_hashes(pa.array([b"12345"]), 64)
    with pytest.raises(InputError, match="distance is 17"):
        found(Local(1), tmp_path, ["a"], [b"1" * 8], k=17)
