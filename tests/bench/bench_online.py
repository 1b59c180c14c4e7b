"""Online balancing beside webdataset's own reading of the same tars without balancing: medians of paired runs.

"Passed" counts every sample of the tars, kept or skipped, as an epoch of either feed passes all; "kept" counts what
comes out. One process, no loader. `raw` is bytes, `decoded` a pixel array. Every image has a match, so that "all kept",
where every rate is 1, is the worst case: it reads all that webdataset reads but the json. "without json" is webdataset
told to skip these, too. "Cold": the tars are dropped from the page cache before each run. "1 of 2", "1 of 5": batches
by entries, of super-batches of 16 blocks (--per-tar 16384 fills them).
"""

import argparse
import io
import json
import os
import statistics
import sys
import tarfile
import tempfile
import time
from hashlib import md5
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset as wds
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from curation import online
from curation.plugins.online.batches import ByEntries, OnlineConfig
from curation.plugins.online.epochs import Epoch
from curation.schemas import MATCHED

ENTRIES = 1000
SIDE = 256  # pixels, img2dataset's default
TEXTS = 3  # an image, 4 entries each
RATE = 0.065  # of each entry: about 23.6 % of images are kept
SUPER_BATCH = 3800  # samples that are kept of 16 blocks of 1,024


def make(folder: Path, tars: int, per_tar: int) -> None:
    """Write tars of JPEGs as img2dataset does, and a matched image for every sample."""
    chance = np.random.default_rng(0)
    jpegs = [jpeg(chance) for _ in range(64)]
    rows = []
    for number in range(tars):
        with tarfile.open(folder / f"{number:05d}.tar", "w") as tar:
            for sample in range(per_tar):
                url = f"https://example.org/{number}/{sample}.jpg"
                uid = md5(url.encode()).hexdigest()
                key = f"{number:05d}{sample:04d}"
                stated = {
                    "uid": uid,
                    "url": url,
                    "key": key,
                    "caption": "a caption",
                    "status": "success",
                    "width": SIDE,
                }
                add(tar, f"{key}.jpg", jpegs[chance.integers(64)])
                add(tar, f"{key}.json", json.dumps(stated).encode())
                add(tar, f"{key}.txt", b"a caption")
                rows.append({"uid": uid, "url": url, "page_url": None, "candidates": texts(chance)})
    matched = folder / "run" / "matched"
    matched.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, MATCHED), matched / "00000.parquet")
    (matched / "_folder.json").write_text(json.dumps({"version": 1, "made_from": {"metadata": ""}}))
    facts = {"rows": {"matched": len(rows), "kept": 0}, "languages": {}, "made_from": {"metadata": ""}}
    (folder / "run" / "run.json").write_text(json.dumps(facts))


def jpeg(chance) -> bytes:
    """Return a smooth picture with some noise: about 20 KB."""
    small = chance.integers(0, 255, (24, 24, 3), np.uint8)
    picture = np.asarray(Image.fromarray(small).resize((SIDE, SIDE), Image.BICUBIC), np.int16)
    noisy = np.clip(picture + chance.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noisy).save(out, "JPEG", quality=80)
    return out.getvalue()


def texts(chance) -> list[dict]:
    each = [sorted(chance.choice(ENTRIES, 4, replace=False).tolist()) for _ in range(TEXTS)]
    return [
        {"text": f"a caption of {ids[0]}", "kind": "alt", "language": "en", "lid_score": 0.5, "entries": ids}
        for ids in each
    ]


def add(tar, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def unbalanced(paths, decode: bool, select=None):
    dataset = wds.WebDataset(paths, shardshuffle=False, select_files=select)
    return dataset.decode("rgb8") if decode else dataset


def balanced(index, rate: float, decode: bool, batches: ByEntries | None = None):
    transform = wds.Decoder([wds.imagehandler("rgb8")]) if decode else None
    config = OnlineConfig(batches=batches)
    return online.BalancedDataset(index, np.full(ENTRIES, rate, np.float32), config, transform=transform)


def seconds(dataset, paths, cold: bool) -> tuple[float, int]:
    """Return how long an epoch takes, and how many samples come out of it."""
    if cold:
        for path in paths:
            with open(path, "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    start = time.perf_counter()
    number = sum(1 for _ in dataset)
    return time.perf_counter() - start, number


def compare(name: str, feeds: dict, paths, passed: int, runs: int, cold: bool) -> None:
    times = {feed: [] for feed in feeds}
    numbers = {}
    for run in range(runs):
        for feed, dataset in feeds.items():
            if isinstance(dataset, online.BalancedDataset):
                dataset.set_epoch(run)
            took, numbers[feed] = seconds(dataset, paths, cold)
            times[feed].append(took)
    for feed, took in times.items():
        median = statistics.median(took)
        ratio = statistics.median(theirs / ours for theirs, ours in zip(times["webdataset"], took, strict=True))
        rate, of_kept = numbers[feed] / median, ratio * numbers[feed] / passed
        print(f"{name:8} {feed:12} passed {passed / median:9,.0f}/s  kept {rate:8,.0f}/s", end="  ")
        print(f"ratio of passed {ratio:6.2f}, of kept {of_kept:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tars", type=int, default=4)
    parser.add_argument("--per-tar", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make(folder, args.tars, args.per_tar)
        bench(folder, args.tars * args.per_tar, args.runs)


def bench(folder: Path, passed: int, runs: int) -> None:
    start = time.perf_counter()
    index = online.build(folder, folder / "run", folder / "index")
    took = time.perf_counter() - start
    print(f"index of {index.samples:,} images in {took:.2f} s: {1e6 * took / index.samples:.1f} µs an image")
    paths = [str(index.tar(shard)) for shard in range(len(index.shards))]
    Epoch(index, np.ones(ENTRIES, np.float32), OnlineConfig(), 0).sizes()  # compiles
    start = time.perf_counter()
    kept = Epoch(index, np.full(ENTRIES, RATE, np.float32), OnlineConfig(), 0).sizes().sum()
    took = time.perf_counter() - start
    print(f"an epoch is drawn in {1e9 * took / index.matched:.0f} ns an image; kept {kept / index.samples:.1%}")
    for name, decode, cold in (("raw", False, False), ("decoded", True, False), ("raw cold", False, True)):
        feeds = {
            "webdataset": unbalanced(paths, decode),
            "without json": unbalanced(paths, decode, lambda name: not name.endswith(".json")),
            "balanced": balanced(index, RATE, decode),
            "all kept": balanced(index, 1.0, decode),
            "1 of 2": balanced(index, RATE, decode, ByEntries(SUPER_BATCH // 2)),
            "1 of 5": balanced(index, RATE, decode, ByEntries(SUPER_BATCH // 5)),
            "of a target": balanced(index, RATE, decode, ByEntries(SUPER_BATCH // 5, 1 / np.arange(1, ENTRIES + 1))),
        }
        compare(name, feeds, paths, passed, 3 if decode else runs, cold)


if __name__ == "__main__":
    main()
