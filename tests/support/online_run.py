"""A finished run and tars of some of its images, for tests of balancing while training."""

import io
import json
import random
import tarfile
from hashlib import md5

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import online
from curation.balancing.sampling import sample_batch
from curation.balancing.thresholds import EntryCounts
from curation.balancing.thresholds import rates as rates_at
from curation.schemas import MATCHED
from metadata.entries import Entries
from tests.naive.online import naive_epoch
from tests.support.in_turn import in_turn

ENTRIES = Entries.build({"en": ["a", "photo", "dog", "black dog", "cat"]})
FORKS = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # of Python 3.12, where threads run
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT}


def rows_of(index, shard):
    """The rows of a shard of an index."""
    return [row for block in index.rows(shard) for row in block.to_pylist()]


def image(number, texts):
    """One matched image; a text is its entries."""
    url = f"https://é.example/{number}.jpg"
    candidates = texts and [
        {"text": f"犬 {number}.{place}", "kind": "alt", "language": "en", "lid_score": 0.5, "entries": entries}
        for place, entries in enumerate(texts)
    ]
    return {"uid": md5(url.encode()).hexdigest(), "url": url, "page_url": None, "candidates": candidates}


def images(number, seed=0):
    chance = random.Random(seed)

    def entries():
        return sorted(chance.sample(range(5), chance.randrange(1, 4)))

    return [image(i, [entries() for _ in range(chance.randrange(1, 4))]) for i in range(number)]


def nasty():
    return [image(0, None), image(1, []), *images(40)[2:], image(40, [None, [], [0]]), image(41, None)]


def batch(rows):
    return pa.RecordBatch.from_pylist(rows, MATCHED)


def write_tar(path, rows, form="ustar", **without):
    """Write a tar as img2dataset does: jpg, json and txt of each image, under keys that count."""
    with tarfile.open(path, "w", format=FORMATS[form]) as tar:
        for number, row in enumerate(rows):
            key = row.get("key") or f"{path.stem}{number:04d}"
            stated = {"uid": row["uid"], "url": row["url"], "caption": "old", "key": key}
            of_sample = {"jpg": b"JPEG of " + row["uid"].encode() * (1 + number % 30), "txt": b"old"}
            of_sample["json"] = json.dumps({k: v for k, v in stated.items() if k not in without}).encode()
            for extension in ("jpg", "txt", "json"):
                if extension not in without:
                    add(tar, f"{key}.{extension}", of_sample[extension])


def add(tar, name, content):
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(content), 1e9 + 0.5  # a fraction: PAX gives it a header of its own
    tar.addfile(member, io.BytesIO(content))


def build(tars, run, folder, *block_rows):
    """Build an index in tasks of this process."""
    return online.build(tars, run, folder, *block_rows, engine=in_turn())


class Made:
    """A finished run of curate over 400 images, and three tars: of 300 of these, and of 30 others."""

    def __init__(self, folder, block_rows=16):
        self.folder, self.images = folder, images(400)
        self.rates = np.array([1, 0.5, 0.3, 0.05, 0.7], np.float32)
        write_run(folder / "run", self.images)
        self.there = self.images[50:350]
        others = [image(number, None) for number in range(1000, 1030)]
        (folder / "tars").mkdir()
        for number in range(3):
            rows = self.there[number * 100 : (number + 1) * 100] + others[number * 10 : (number + 1) * 10]
            random.Random(number).shuffle(rows)
            write_tar(folder / "tars" / f"{number:05d}.tar", rows)
        self.index = build(folder / "tars", folder / "run", folder / "index", block_rows)

    def dataset(self, rank=0, ranks=1, seed=0, mixed=2, **options):
        config, world = online.OnlineConfig(seed, mixed), online.World(rank, ranks)
        return online.BalancedDataset(self.index, self.rates, config, world=world, **options)

    def epoch(self, number, seed=0):
        return naive_epoch(self.there, self.rates.tolist(), seed, number)


def write_run(folder, rows, digest=ENTRIES.digest, rates=None):
    """Write the output folder of a run over matched images; return what it kept."""
    half = len(rows) // 2
    write_parts(folder / "matched", [pa.Table.from_pylist(part, MATCHED) for part in (rows[:half], rows[half:])])
    stamp = {"version": 1, "made_from": {"metadata": digest}}
    (folder / "matched" / "_folder.json").write_text(json.dumps(stamp))
    counts = EntryCounts.zeros(5, ENTRIES.digest)
    counts.count([text["entries"] for row in rows for text in row["candidates"] or []])
    rates = rates_at(counts.values, 40) if rates is None else rates
    counts.save(folder / "counts.parquet", ENTRIES, rates)
    curated = sample_batch(batch(rows), rates, 0)
    write_parts(folder / "curated", [pa.Table.from_batches([curated])])
    facts = {"rows": {"matched": len(rows), "kept": len(curated)}, "languages": {}, "made_from": {"metadata": digest}}
    (folder / "run.json").write_text(json.dumps(facts))
    return curated


def write_parts(folder, tables):
    folder.mkdir(parents=True)
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"{number:05d}.parquet")


def pairs(kept):
    return [(sample["__uid__"], sample["txt"].decode()) for sample in kept]
