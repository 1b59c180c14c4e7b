"""Measure which copies pHash finds at which distance, and the search for near copies among synthetic hashes.

    python tests/bench/bench_near_copies.py [pictures descriptors search tasks] [--spark] --millions 20

pictures: the share of copies of each kind within 0, 2, ... 10 bits of their originals, and the pairs of different
pictures within; needs scikit-image and scikit-learn (`make bench`).
descriptors: what `--decontaminate-cosine` finds by simple descriptors, made here of 32 x 32 pixels (gradients by
direction in 16 cells, colours in 16), beside pHash within 4 bits: recall by kind of copy, precision by set,
and speed. A real encoder's figures need that encoder.
search: processor time and memory of `near_copies` in one process.
tasks:  the same in tasks of two processes or, with --spark, of Spark on two cores: all processes.
Of the synthetic hashes a tenth equals another, a fifth is up to 8 bits from another, the others are random.
"""

import argparse
import io
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageFilter, ImageOps

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from curation.plugins.hashing.clip_hash import hash_picture
from curation.plugins.near_duplicates.index import binaries, words_of
from curation.plugins.near_duplicates.vectors import LeastCosine, scaled
from tests.support.near_duplicates import near_copies
from tests.support.photographs import cropped

DISTANCES = (0, 2, 4, 6, 8, 10)
DESCRIBED = (0.99, 0.97, 0.95, 0.9, 0.8)  # cosines
LIKE_PHASH = (
    "JPEG, quality 20",
    "half as large",
    "grey",
    "20 % brighter",
    "20 % more contrast",
    "small mark in a corner",
)
LIKE_PHASH += ("caption over a tenth", "5 % cut off at each side", "white frame of 5 %", "mirrored")


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


def descriptors(args) -> None:
    """Print recall for each kind of copy, precision for each set, and the speed of the comparison."""
    from tests.support.photographs import COPIES
    from tests.support.photographs import pictures as made

    whole = made(args.drawn)
    sets = {"photographs": whole[: -args.drawn : 2], "drawn": whole[-args.drawn :: 2]}
    others = whole[1 : -args.drawn : 2] + whole[-args.drawn + 1 :: 2]
    members = [image for own in sets.values() for image in own]
    kinds = {**{kind: COPIES[kind] for kind in LIKE_PHASH}, **_kinds(others)}
    found = {kind: [kind_of(image) for image in members] for kind, kind_of in kinds.items()} | {"others": others}
    mean = _described(members).mean(axis=0)
    own = {name: scaled(_described(images) - mean) for name, images in sets.items()}
    pool = {kind: scaled(_described(images) - mean) for kind, images in found.items()}
    both = scaled(_described(members) - mean)
    near = {kind: [_has_near(each, both, cosine) for cosine in DESCRIBED] for kind, each in pool.items()}
    hashes = np.array([_hash(image) for image in members], np.uint64)
    for kind, images in found.items():
        theirs = [np.bitwise_count(hashes ^ np.uint64(_hash(image))).min() <= 4 for image in images]
        shares = " | ".join(f"{each.mean():.1%}" for each in [*near[kind], np.array(theirs)])
        print(f"| {kind} | {shares} |", flush=True)
    for name, vectors in own.items():
        row = []
        for cosine in DESCRIBED:
            right = sum(int(_has_near(each, vectors, cosine).sum()) for kind, each in pool.items() if kind != "others")
            wrong = int(_has_near(pool["others"], vectors, cosine).sum())
            row.append(f"{right:,} of {right + wrong:,}")
        print(f"| right of what {name} flags | {' | '.join(row)} |")
    vectors = np.random.default_rng(0).normal(size=(20_000, 512)).astype(np.float32)
    _has_near(vectors[:10], vectors[:10], 0.9)  # compiles
    begin = time.process_time()
    _has_near(vectors, vectors[:10_000] + 1, 0.9)
    ours, begin = time.process_time() - begin, time.process_time()
    for block in range(0, 20_000, 1024):
        vectors[block : block + 1024] @ vectors[:10_000].T
    product = time.process_time() - begin
    print(f"20,000 images, a set of 10,000: {ours / 20_000 * 1e6:.0f} µs an image, {ours / product:.2f} of the product")


def _has_near(vectors: np.ndarray, others: np.ndarray, cosine: float) -> np.ndarray:
    return LeastCosine(vectors.shape[1], cosine).has_near(vectors, others)


def _kinds(others: list) -> dict:
    """Return functions that make a copy of a picture: crops, collages with other pictures, and filters."""

    def collage(image, columns: int, rows: int):
        side, chance = 128, np.random.default_rng(image.width * 1000 + image.height)
        sheet = Image.new("RGB", (columns * side, rows * side))
        shown = [image, *(others[number] for number in chance.integers(0, len(others), columns * rows - 1))]
        for place, each in enumerate(shown):
            sheet.paste(each.resize((side, side)), (place % columns * side, place // columns * side))
        return sheet

    return {
        **{f"{share:.0%} cut off at each side": cropped(share) for share in (0.1, 0.2)},
        "left half": lambda image: image.crop((0, 0, image.width // 2, image.height)),
        "beside another (collage of 2)": partial(collage, columns=2, rows=1),
        "in a collage of 4": partial(collage, columns=2, rows=2),
        "sepia": lambda image: ImageOps.colorize(image.convert("L"), "#2b1b0e", "#fff0c8"),
        "inverted": ImageOps.invert,
        "posterised to 3 bits": lambda image: ImageOps.posterize(image, 3),
        "blurred by 2 pixels": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    }


def _described(images: list) -> np.ndarray:
    """Return a descriptor of each picture as float32[picture, 176]."""
    return np.stack([_descriptor(image) for image in images])


def _descriptor(image) -> np.ndarray:
    """Return the lengths of gradients by 8 directions in 4 x 4 cells, and the mean colours in these cells."""
    pixels = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR), np.float32) / 255
    down, right = np.gradient(pixels.mean(axis=2))
    direction = ((np.arctan2(down, right) / np.pi + 1) * 4).astype(int) % 8
    cell = (np.arange(32) // 8 * 4)[:, np.newaxis] + np.arange(32) // 8
    edges = np.bincount((cell * 8 + direction).ravel(), np.hypot(down, right).ravel(), 128)
    colours = pixels.reshape(4, 8, 4, 8, 3).mean(axis=(1, 3)).ravel()
    return np.concatenate([edges / (np.linalg.norm(edges) + 1e-6), 0.25 * colours]).astype(np.float32)


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


def tasks(args) -> None:
    """Print time and memory of all processes, or of Spark's with --spark."""
    import usage

    for number in _numbers(args):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            hashes = binaries(_synthetic(number).astype(">u8").tobytes(), 8)
            uids = pa.array([f"{row:032x}" for row in range(number)])
            pq.write_table(pa.table({"uid": uids, "hash": hashes}), f"{folder}/hashes.parquet")
            command = [sys.executable, __file__, "copies", "--folder", folder, "--distance", str(args.distance)]
            found = usage.run([*command, *(["--spark"] if args.spark else [])])
        cpu, peak = sum(found.cpu.values()), {kind: round(each) for kind, each in found.peak.items()}
        print(f"| {number:,} | {cpu:.0f} s, {cpu / number * 1e6:.1f} µs a hash | {found.wall:.0f} s | {peak} MB |")


def copies(args) -> None:
    """Find the copies in a folder; for `tasks`."""
    from curation.plugins.near_duplicates.copies import copies_of
    from runtime.engine.local import Local
    from runtime.session import session

    engine = session("bench") if args.spark else Local(2)
    files = copies_of(args.folder, "hash", args.distance, args.folder / "copies", engine)
    print(sum(pq.read_metadata(file).num_rows for file in files))


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
    parser.add_argument("parts", nargs="*", default=["pictures", "search", "tasks"])
    parser.add_argument("--spark", action="store_true")
    parser.add_argument("--millions", type=float, default=20)
    parser.add_argument("--distance", type=int, default=6)
    parser.add_argument("--drawn", type=int, default=250)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    args = parser.parse_args()
    for part in args.parts:
        globals()[part](args)


if __name__ == "__main__":
    main()
