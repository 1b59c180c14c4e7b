"""Images whose hashes are listed are found as by brute force, and nothing of them is written."""

import hashlib
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, GateOptions, Options, curate
from curation.plugins.gate.given_tables import GivenTables
from curation.plugins.gate.listed_hashes import HashTables, ListedHashes
from metadata.entries import Entries
from runtime.errors import InputError

BITS = 31


def flipped(digest: bytes, bits: int, chance: random.Random) -> bytes:
    number = int.from_bytes(digest, "big")
    for place in chance.sample(range(256), bits):
        number ^= 1 << place
    return number.to_bytes(32, "big")


def distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def words(digests: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(len(digests), -1)


def test_hashes_are_found_as_by_brute_force(tmp_path):
    chance = random.Random(3)
    listed = [chance.randbytes(32) for _ in range(200)]
    images = [flipped(chance.choice(listed), chance.randrange(45), chance) for _ in range(800)]
    images += [chance.randbytes(32) for _ in range(400)] + listed[:5]
    files = [chance.randbytes(32) for _ in range(50)]
    kinds = {"pdq": words(listed), "sha256": words(files), "md5": words([each[:16] for each in files])}
    saved = ListedHashes.open(ListedHashes.of([kinds], BITS).save(tmp_path / "lists"))
    near = [
        any((int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count() <= BITS for b in listed) for a in images
    ]
    given = [None, *images]
    found = saved.by_hash("pdq", pa.array(given, pa.binary(32))) != 0
    assert found.tolist() == [False, *near]
    assert 400 < sum(near) < 700
    digits = pa.array([each if each is None else each.hex() for each in given])
    assert (saved.by_hash("pdq", digits) != 0).tolist() == found.tolist()
    for kind, size in (("sha256", 32), ("md5", 16)):
        some = [None, *(each[:size] for each in files[:3]), b"x" * size, flipped(files[0], 1, chance)[:size][::-1]]
        expected = [each is not None and each in {one[:size] for one in files} for each in some]
        assert (saved.by_hash(kind, pa.array(some, pa.binary(size))) != 0).tolist() == expected
    assert saved.by_hash("md5", pa.array([], pa.string())).tolist() == []


@pytest.mark.slow
def test_an_image_with_a_listed_hash_is_in_no_file_of_the_run_and_only_counted(engine, tmp_path):
    chance = random.Random(7)
    urls = [f"https://img.example/{number}.jpg" for number in range(60)]
    pdq = [chance.randbytes(32) for _ in urls]
    hashes = {
        "url": urls,
        "sha256": [hashlib.sha256(url.encode()).hexdigest() for url in urls],
        "md5": [hashlib.md5(url.encode()).digest() for url in urls],
        "pdq": pdq,
    }
    texts = [f"a photo of a dog on the sofa, picture {number}" for number in range(60)]
    pq.write_table(pa.table({"url": urls, "text": texts}), tmp_path / "pairs.parquet")
    pq.write_table(pa.table(hashes).slice(0, 50), tmp_path / "hashes.parquet")
    near = [flipped(pdq[4], BITS, chance).hex(), flipped(pdq[5], BITS + 1, chance).hex(), pdq[55].hex()]
    lists = {
        "sha256": [hashes["sha256"][1], "0" * 64],
        "md5": [hashes["md5"][2].hex(), hashes["md5"][1].hex()],
        "pdq": near,
    }
    for kind, values in lists.items():
        (tmp_path / f"{kind}.txt").write_text("\n".join(values))
    out, entries = tmp_path / "out", Entries.build({"en": ["dog"]})
    options = Options(
        exclude=[f"{kind}={tmp_path / kind}.txt" for kind in lists],
        gate=GateOptions(images=[[str(tmp_path / "hashes.parquet")]]),
    )

    def run(options: Options) -> dict:
        given = {"config": CurationConfig(balance=False), "options": options, "engine": engine}
        return curate([tmp_path / "pairs.parquet"], out, metadata=entries, **given).facts

    hit = {1, 2, 4}
    facts = run(options)
    assert +Counter(facts["dropped"]) == {"excluded_hash": len(hit)}
    assert [(each["values"], each["found"]) for each in facts["exclusion_lists"]] == [(2, 1), (2, 2), (3, 1)]
    left = set(pq.read_table(out / "curated")["url"].to_pylist())
    said = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    for number in hit:
        for value in (urls[number], hashlib.md5(urls[number].encode()).hexdigest(), hashes["sha256"][number]):
            assert value.encode() not in said
            assert value.encode() not in b"".join(map(_parts, out.rglob("*.parquet")))
    assert not (out / "gated").exists()
    again = run(Options())  # without lists, all images are matched again
    every = set(pq.read_table(out / "curated")["url"].to_pylist())
    assert left == every - {urls[number] for number in hit}
    assert len(left) == len(every) - len(hit)
    assert not +Counter(again["dropped"])


def _parts(path: Path) -> bytes:
    return str(pq.read_table(path).to_pydict()).encode()


def test_hashes_that_no_table_has_are_refused(tmp_path):
    pq.write_table(pa.table({"uid": ["a"], "sha256": ["0" * 64]}), tmp_path / "hashes.parquet")
    table = [[str(tmp_path / "hashes.parquet")]]
    with pytest.raises(InputError, match="exclude has pdq hashes, but no table .* column pdq; .* clip-hash --pdq"):
        GateOptions(images=table).find(["sha256", "pdq"])
    with pytest.raises(InputError, match=r"exclude has md5 hashes, but no table .* img2dataset writes it"):
        GateOptions().find(["md5"])
    plan = GateOptions(images=table).find(["sha256"])
    assert not plan
    assert [path for path, _ in plan.hashes.files()] == [str(tmp_path / "hashes.parquet")]
    with pytest.raises(InputError, match="but no option reads it; say by keep which images stay"):
        GateOptions(images=table).find()


def test_a_table_whose_hashes_are_null_is_refused(engine, tmp_path):
    pq.write_table(pa.table({"uid": ["a"], "pdq": pa.nulls(1, pa.binary())}), tmp_path / "hashes.parquet")
    tables = HashTables.among(GivenTables.find((), (), [[tmp_path / "hashes.parquet"]]), ["pdq"])
    with pytest.raises(InputError, match="exclude has pdq hashes, but tables of images have only nulls in pdq"):
        tables.find(engine, [{"pdq": np.zeros((1, 4), np.uint64)}], BITS, tmp_path)
