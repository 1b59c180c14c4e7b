"""Measure what an image costs where tars are joined with a run: the online index, and tars of the manifest.

    python tests/bench/bench_joined_tars.py [--images 1000000 4000000] [--turns 1]

Made-up tars of 10,000 samples of 1 KB (or as many bytes as `--bytes` says), and a run that matched all of them, each
with one or two texts of some 100 bytes. The processor time of all processes on two cores, start-up (a run of 10,000
images) left out.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import usage

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT)]

from curation.plugins.tars.headers import adding_files
from curation.schemas import CURATED, ENTRY_IDS, MATCHED

OF_TAR, OF_FILE = 10_000, 100_000
OF = ["online index", "webdataset"]
WORDS = [f"{word:x}word" for word in range(20_000)]
EXPORT = "from curation.plugins.export.clip_export import main; main()"
INDEX = "from curation import online; import sys; online.build(*sys.argv[1:])"


def make(folder: Path, images: int, size: int) -> None:
    """Write tars in an order of their own, and a run of these images."""
    chance = np.random.default_rng(0)
    uids = [chance.bytes(16).hex() for _ in range(images)]
    for name in ("tars", "run/matched", "run/curated"):
        (folder / name).mkdir(parents=True)
    for number, begin in enumerate(range(0, images, OF_FILE)):
        matched, curated = _rows(chance, uids[begin : begin + OF_FILE])
        for part, rows in (("matched", matched), ("curated", curated)):
            pq.write_table(rows, folder / "run" / part / f"{number:05}.parquet", 50_000, compression="zstd")
    noise, order = chance.bytes(size), chance.permutation(images)
    for number, begin in enumerate(range(0, images, OF_TAR)):
        with adding_files(folder / "tars" / f"{number:05}.tar") as add:
            for place, image in enumerate(order[begin : begin + OF_TAR].tolist()):
                key, stated = f"{number:05}{place:04}", {"uid": uids[image], "caption": "old"}
                add(f"{key}.jpg", noise)
                add(f"{key}.json", json.dumps(stated).encode())
    facts = {"rows": {"matched": images, "kept": images}, "languages": {}, "made_from": {"metadata": "made up"}}
    (folder / "run" / "run.json").write_text(json.dumps(facts))


def _rows(chance: np.random.Generator, uids: list[str]) -> tuple[pa.Table, pa.Table]:
    ends = np.concatenate([[0], np.cumsum(chance.integers(1, 3, len(uids)))])
    texts = [" ".join(WORDS[word] for word in words) for words in chance.integers(0, len(WORDS), (ends[-1], 12))]
    entries = pa.ListArray.from_arrays(
        np.arange(len(texts) + 1, dtype=np.int32) * 6, np.sort(chance.integers(0, 500_000, (len(texts), 6))).ravel()
    )
    known = {
        "text": pa.array(texts),
        "language": pa.repeat("en", len(texts)),
        "entries": entries.cast(ENTRY_IDS),
    }
    kind = MATCHED.field("candidates").type.value_type
    columns = [known.get(field.name, pa.nulls(len(texts), field.type)) for field in kind]
    candidates = pa.ListArray.from_arrays(ends.astype(np.int32), pa.StructArray.from_arrays(columns, fields=[*kind]))
    urls = pa.array([f"http://images.example/{uid}.jpg" for uid in uids])
    of_image = {"uid": pa.array(uids), "url": urls, "candidates": candidates, "text": pa.array(texts).take(ends[:-1])}
    return tuple(
        pa.table([of_image.get(field.name, pa.nulls(len(uids), field.type)) for field in schema], schema=schema)
        for schema in (MATCHED, CURATED)
    )


def cost(args, folder: Path, command: list[str]) -> usage.Usage:
    """Return what a command costs whose last argument is a new folder."""
    to = folder / f"made-{os.getpid()}"
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": here, "PYTHONPATH": str(args.code), "PYSPARK_PYTHON": sys.executable}
    environment |= {"PYSPARK_SUBMIT_ARGS": "--master local[2] pyspark-shell"}
    found = usage.run([sys.executable, *command, str(to)], cwd=args.code, env=environment)
    shutil.rmtree(to)
    return found


def main() -> None:
    """Print the figures of each number of images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", nargs="+", type=int, default=[1_000_000, 4_000_000])
    parser.add_argument("--of", nargs="+", default=OF[:2], choices=OF)
    parser.add_argument("--bytes", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--code", type=Path, default=ROOT, help="checkout whose code runs")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bench_joined_tars")
    args = parser.parse_args()
    print("| | µs an image, all processes | workers | wall, s | largest worker, MB | driver, MB | JVM, MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    folders = {images: args.folder / str(images) for images in (OF_TAR, *args.images)}
    for images, folder in folders.items():
        if not folder.exists():
            make(folder, images, args.bytes)
    for name in args.of:
        for images in args.images:
            turns = []
            for _ in range(args.turns):
                some, few = (cost(args, each, _command(name, each)) for each in (folders[images], folders[OF_TAR]))
                turns.append((some, few))
            print(_row(f"{name}, {images:,} images", images, turns), flush=True)


def _command(name: str, folder: Path) -> list[str]:
    tars, run = str(folder / "tars"), str(folder / "run")
    if name == "online index":
        return ["-c", INDEX, tars, run]
    return ["-c", EXPORT, run, "--format", name, "--tars", tars, "--output"]


def _row(title: str, images: int, turns: list[tuple[usage.Usage, usage.Usage]]) -> str:
    def more(kinds: tuple[str, ...]) -> float:
        sums = [sum(of.cpu.get(kind, 0.0) for kind in kinds) for pair in turns for of in pair]
        return median(some - few for some, few in zip(sums[::2], sums[1::2], strict=True)) / images * 1e6

    most = (max(some.peak.get(kind, 0) for some, _ in turns) for kind in ("worker", "driver", "jvm"))
    peaks = " | ".join(f"{each:.0f}" for each in most)
    wall = median(some.wall for some, _ in turns)
    return f"| {title} | {more(('worker', 'driver', 'jvm')):.1f} | {more(('worker',)):.1f} | {wall:.0f} | {peaks} |"


if __name__ == "__main__":
    main()
