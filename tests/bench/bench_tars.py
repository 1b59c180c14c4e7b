"""Tars of a curated manifest, as `clip-export --format webdataset` writes them, beside `tarfile` with a dictionary.

Three of four samples of made-up tars are kept. Both ways write the same bytes; medians of paired runs, page cache warm.
"""

import io
import json
import shutil
import statistics
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from curation.plugins.export.formats import export
from curation.plugins.export.webdataset import WebDataset
from curation.schemas import CURATED
from tests.support.in_turn import in_turn

TARS, SAMPLES, IMAGE_BYTES, TURNS = 4, 5000, 20_000, 3


def make(folder: Path) -> None:
    """Write tars as img2dataset does, and a run that kept three of four of their samples."""
    chance = np.random.default_rng(0)
    noise = chance.bytes(1 << 20)
    for name in ("images", "run/curated"):
        (folder / name).mkdir(parents=True)
    rows = []
    for number in range(TARS):
        with tarfile.open(folder / "images" / f"{number:05d}.tar", "w") as tar:
            for sample in range(SAMPLES):
                key, uid, begin = f"{number:05d}{sample:04d}", chance.bytes(16).hex(), int(chance.integers(1 << 19))
                stated = {"uid": uid, "url": f"http://images.example/{uid}", "caption": "old", "key": key}
                add(tar, f"{key}.jpg", noise[begin : begin + IMAGE_BYTES])
                add(tar, f"{key}.json", json.dumps(stated).encode())
                add(tar, f"{key}.txt", b"old")
                rows.append({"uid": uid, "url": "", "text": f"a text of {uid}"})
    kept = [row for number, row in enumerate(rows) if number % 4]
    pq.write_table(pa.Table.from_pylist(kept, CURATED), folder / "run" / "curated" / "00000.parquet")
    facts = {"rows": {"matched": len(rows), "kept": len(kept)}, "languages": {}, "made_from": {}}
    (folder / "run" / "run.json").write_text(json.dumps(facts))


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def ours(folder: Path, to: Path) -> None:
    export(in_turn(), folder / "run", to, WebDataset([folder / "images"]))


def plain(folder: Path, to: Path) -> None:
    """Do the same with the standard library, one tar after the other."""
    to.mkdir()
    curated = pq.read_table(folder / "run" / "curated")
    texts = dict(zip(curated["uid"].to_pylist(), curated["text"].to_pylist(), strict=True))
    for path in sorted((folder / "images").iterdir()):
        with tarfile.open(path) as tar, tarfile.open(to / path.name, "w", format=tarfile.GNU_FORMAT) as out:
            members = [tar.extractfile(member).read() for member in tar if not member.name.endswith(".txt")]
            for image, stated in zip(members[::2], members[1::2], strict=True):
                known = json.loads(stated)
                if known["uid"] in texts:
                    add(out, f"{known['key']}.jpg", image)
                    add(out, f"{known['key']}.json", stated)
                    add(out, f"{known['key']}.txt", texts[known["uid"]].encode())


def main() -> None:
    """Print samples a second of both ways, and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder, seconds = Path(name), {ours: [], plain: []}
        make(folder)
        for _ in range(TURNS):
            for way, taken in seconds.items():
                begin = time.perf_counter()
                way(folder, folder / way.__name__)
                taken.append(time.perf_counter() - begin)
            for path in (folder / "plain").iterdir():
                assert path.read_bytes() == (folder / "ours" / path.name).read_bytes()
            for way in seconds:
                shutil.rmtree(folder / way.__name__)
    for way, taken in seconds.items():
        print(f"{way.__name__}: {TARS * SAMPLES / statistics.median(taken):,.0f} samples/s")
    ratios = [theirs / own for own, theirs in zip(seconds[ours], seconds[plain], strict=True)]
    print(f"ratio: {statistics.median(ratios):.1f} ({', '.join(f'{each:.1f}' for each in ratios)})")


if __name__ == "__main__":
    main()
