"""Tables of evaluation sets as clip-hash writes them, and images to look for in them."""

import random
from hashlib import md5, sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.plugins.gate.evaluation import EvaluationSets

HASH = pa.binary(8)
COLUMNS = {"uid": pa.string(), "url": pa.string(), "sha256": pa.string(), "phash": HASH, "phash_mirrored": HASH}
PLAIN = ["8000000000000000", "0000000000000000", "ff00000000000000", "8080808080808080"]


def write_set(folder: Path, name: str, rows: list[dict], files: int = 1) -> str:
    """Write a set into a folder of this name, cut into files."""
    (folder / name).mkdir()
    table = pa.table({column: pa.array([row[column] for row in rows], kind) for column, kind in COLUMNS.items()})
    each = -(-len(rows) // files)
    for number in range(files):
        pq.write_table(table.slice(number * each, each), folder / name / f"{number}.parquet")
    return str(folder / name)


def random_pictures(chance: random.Random, number: int) -> list[dict]:
    """Return rows of a few pictures, so that many of two such lists are alike: by URL, by file, by near hashes."""
    return [_picture(chance) for _ in range(number)]


def _picture(chance: random.Random) -> dict:
    url = chance.choice([None, f"http://é.example/{chance.randrange(400)}.jpg"])
    uid = md5(url.encode()).hexdigest() if url else chance.choice([None, "cats/1.jpg", "A" * 31 + "7"])
    digest = sha256(bytes([chance.randrange(200)])).hexdigest()
    row = {"uid": uid, "url": url, "sha256": digest, "phash": _hash(chance), "phash_mirrored": _hash(chance)}
    lost = [name for name in ("sha256", "phash", "phash_mirrored") if chance.random() < 0.1]
    return row | dict.fromkeys(lost)


def _hash(chance: random.Random) -> bytes:
    number = random.Random(chance.randrange(100)).getrandbits(64)
    for _ in range(chance.randrange(8)):
        number ^= 1 << chance.randrange(64)
    return (number if chance.random() < 0.95 else int(chance.choice(PLAIN), 16)).to_bytes(8, "big")


def found(sets: EvaluationSets, images: list[dict]) -> dict[str, list[set[str]]]:
    """Return the names of the sets that have each image, by url, sha256 and phash."""
    columns = {name: pa.array([row[name] for row in images], kind) for name, kind in COLUMNS.items()}
    masks = {
        "url": sets.by_url(columns["uid"]),
        "sha256": sets.by_hash("sha256", columns["sha256"]),
        "phash": sets.by_hash("phash", columns["phash"]),
    }
    return {
        by: [{each.name for bit, each in enumerate(sets.sets) if int(mask) >> bit & 1} for mask in found.tolist()]
        for by, found in masks.items()
    }
