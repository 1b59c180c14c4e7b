"""Measure which copies pHash finds at which distance, and the search for near copies among synthetic hashes.

    python tests/bench/bench_near_copies.py [pictures search spark] --millions 20

pictures: the share of copies of each kind within 0, 2, ... 10 bits of their originals, and the pairs of different
pictures within; needs scikit-image and scikit-learn (`make bench`).
search: processor time and memory of `near_copies` in one process.
spark:  the same through Spark, on two cores, all processes.
Of the synthetic hashes a tenth equals another, a fifth is up to 8 bits from another, the others are random.
"""

import argparse
import io
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from curation.leaves.hashing.pipeline import hash_picture
from curation.leaves.near_copies.index import binaries, bytes_of, shuffled, words_of
from tests.support.near_copies import near_copies

DISTANCES = (0, 2, 4, 6, 8, 10)


def pictures(args) -> None:
    """Print a row of the table for each kind of copy, and one for pairs of different pictures."""
    from tests.support.photographs import COPIES
    from tests.support.photographs import pictures as made

    originals = made(args.drawn)
    hashes = [_hash(image) for image in originals]
    print(f"{len(originals)} pictures, {args.drawn} of them drawn")
    for kind, copy in COPIES.items():
        apart = np.array([(own ^ _hash(copy(image))).bit_count() for own, image in zip(hashes, originals, strict=True)])
        print(f"| {kind} | " + " | ".join(f"{(apart <= k).mean():.1%}" for k in DISTANCES) + " |", flush=True)
    for kind, some in (("all", hashes), ("photographs", hashes[: -args.drawn]), ("drawn", hashes[-args.drawn :])):
        apart = np.array([(a ^ b).bit_count() for number, a in enumerate(some) for b in some[:number]])
        print(f"| {kind}, of {len(apart):,} pairs | " + " | ".join(str((apart <= k).sum()) for k in DISTANCES) + " |")


def _hash(image) -> int:
    file = io.BytesIO()
    image.save(file, "PNG")
    return int.from_bytes(hash_picture(file.getvalue())["phash"], "big")


def search(args) -> None:
    """Print time and memory of one process."""
    near_copies(_synthetic(20_000), args.distance)
    for number in _numbers(args):
        hashes = _synthetic(number)
        begin = time.process_time()
        copies = (near_copies(hashes, args.distance) != hashes).any(axis=1).sum()
        seconds = time.process_time() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {number:,} | {copies:,} | {seconds:.0f} | {seconds / number * 1e6:.2f} | {peak:,.0f} |", flush=True)


def spark(args) -> None:
    """Print time and memory of all processes."""
    import usage

    for number in _numbers(args):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            keys = binaries(bytes_of(shuffled(_synthetic(number))).ravel(), 8)
            uids = pa.array([f"{row:032x}" for row in range(number)])
            pq.write_table(pa.table({"uid": uids, "key": keys}), f"{folder}/hashes.parquet")
            found = usage.run(
                [sys.executable, __file__, "copies", "--folder", folder, "--distance", str(args.distance)]
            )
        cpu, peak = sum(found.cpu.values()), {kind: round(each) for kind, each in found.peak.items()}
        print(f"| {number:,} | {cpu:.0f} s, {cpu / number * 1e6:.1f} µs a hash | {found.wall:.0f} s | {peak} MB |")


def copies(args) -> None:
    """Find the copies in a folder; for `spark`."""
    from curation.leaves.near_copies.copies import copies_of
    from runtime.session import session

    hashes = session("bench").read.parquet(f"file://{args.folder}/hashes.parquet")
    print(copies_of(hashes, args.distance, args.folder / "work").count())


def _numbers(args) -> list[int]:
    return [round(args.millions * 1e6 / share) for share in (4, 1)]


def _synthetic(number: int) -> np.ndarray:
    random = np.random.default_rng(0)
    hashes = words_of(random.bytes(number * 7 // 10 * 8), 64)
    near = hashes[random.integers(0, len(hashes), number // 5)]
    for _ in range(8):
        flip = np.uint64(1) << random.integers(0, 64, len(near)).astype(np.uint64)
        near[:, 0] ^= np.where(random.random(len(near)) < 0.7, flip, np.uint64(0))
    equal = hashes[random.integers(0, len(hashes), number - len(hashes) - len(near))]
    return np.concatenate([hashes, near, equal])


def main() -> None:
    """Run the parts that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["pictures", "search", "spark"])
    parser.add_argument("--millions", type=float, default=20)
    parser.add_argument("--distance", type=int, default=6)
    parser.add_argument("--drawn", type=int, default=250)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    args = parser.parse_args()
    for part in args.parts:
        globals()[part](args)


if __name__ == "__main__":
    main()
