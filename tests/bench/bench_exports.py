"""Measure what exports and removals of a finished run cost an image, for runs of more and more images.

    python tests/bench/bench_exports.py [--millions 1 4] [--turns 3] [PART ...]

PART is huggingface, columns (captions and clusters), datacomp, expert (its uids) or removal. The processor time of all
processes on two cores, start-up (a run of 1,000 images) left out, and the most memory of a process. Images have texts
of 40 characters, in files of 250,000; two of three have a caption, and each has a cluster.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import usage
from chain_inputs import hex_strings, joined

from curation.balancing.thresholds import EntryCounts, Thresholds
from curation.config import CurationConfig
from curation.report.facts import Run
from curation.schemas import CURATED
from metadata import Entries
from runtime.tallies import TaskResult

FILE_ROWS, GROUP_ROWS = 250_000, 50_000
CODES = ("en", "de", "ja")
TABLES = ["--captions", "captions", "--clusters", "clusters"]
PARTS = {
    "huggingface": ["clip-export", "--format", "huggingface"],
    "columns": ["clip-export", "--format", "huggingface", *TABLES],
    "datacomp": ["clip-export", "--format", "datacomp"],
    "expert": ["clip-export", "--format", "datacomp", *TABLES[2:], "--expert", "1", "--outsiders", "0.1"],
    "removal": ["clip-remove", "--exclude", "list.txt"],
}


def make(folder: Path, images: int) -> Path:
    """Write a run, captions, clusters and a list into a folder, if they are not there; return it."""
    if folder.exists():
        return folder
    chance, entries = np.random.default_rng(images), Entries.build({code: ["a", "text"] for code in CODES})
    for number, begin in enumerate(range(0, images, FILE_ROWS)):
        drawn = chance.integers(0, 256, (min(FILE_ROWS, images - begin), 16), np.uint8)
        write(folder, f"{number:05}.parquet", hex_strings(drawn))
    counts = EntryCounts.zeros(len(entries), entries.digest)
    counts.save(str(folder / "run" / "counts.parquet"), entries)
    thresholds = Thresholds.of(counts.by_language(entries.languages), 1)
    tallies = TaskResult([{"name": "images", "item": None, "language": None, "value": images}])
    kept = dict.fromkeys(CODES, images // 3)
    kept["en"] += images % 3
    tallies += TaskResult({"name": "kept", "item": None, "language": code, "value": kept[code]} for code in CODES)
    described = {"inputs": [], "metadata": entries.digest}
    run = Run(CurationConfig(english_threshold=1), described, entries, counts, thresholds, tallies, tallies, counts)
    # As after a removal: there is no matched/, and tables are of images of the manifest.
    removal = {"removed": 0, "reasons": {}, "exclusion": "", "from": "", "versions": {}}
    facts = run.run_json | {"removals": [removal]}
    (folder / "run" / "run.json").write_text(json.dumps(facts))
    listed = pq.read_table(folder / "captions" / "00000.parquet", columns=["uid"])["uid"].to_pylist()[:1000]
    (folder / "list.txt").write_text("".join(f"{uid}\n" for uid in listed) + "7.example\n")
    return folder


def write(folder: Path, name: str, uids: pa.Array) -> None:
    """Write a file of the manifest, of captions and of clusters."""
    numbers = np.arange(len(uids))
    entries = np.column_stack([numbers % 2, np.full(len(uids), 2), np.full(len(uids), 4)]).astype(np.int32)
    columns = {
        "uid": uids,
        "url": joined("https://", numbers % 100, ".example/", uids, ".jpg"),
        "text": joined("a text of ", pc.utf8_slice_codeunits(uids, 0, 30)),
        "language": pa.array(CODES).take(pa.array(numbers % 3)),
        "lid_score": np.full(len(uids), 0.9, np.float32),
        "entries": pa.ListArray.from_arrays(np.arange(0, entries.size + 1, 3, dtype=np.int32), entries.reshape(-1)),
        "probability": np.full(len(uids), 0.5, np.float32),
        "page_url": pa.nulls(len(uids), pa.string()),
    }
    own = uids.filter(pa.array(numbers % 3 > 0))
    captions = {"uid": own, "caption": joined("a picture of ", pc.utf8_slice_codeunits(own, 0, 25))}
    clusters = {"uid": uids, "coarse": (numbers % 10).astype(np.int32)}
    tables = (
        ("run/curated", pa.table(columns, CURATED)),
        ("captions", pa.table(captions)),
        ("clusters", pa.table(clusters)),
    )
    for part, table in tables:
        (folder / part).mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / part / name, row_group_size=GROUP_ROWS, compression="zstd")


def measured(part: str, folder: Path) -> usage.Usage:
    """Run the command of a part over what is in a folder."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    program, *flags = PARTS[part]
    command = [str(Path(sys.executable).parent / program), "run", "--output", "out", "--cores", "2", *flags]
    return usage.run(command, cwd=folder)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART")
    parser.add_argument("--millions", nargs="+", type=float, default=[1, 4])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "bench-exports"))
    args = parser.parse_args()
    few = make(args.folder / "few", 1000)
    for part in args.parts:
        for millions in args.millions:
            folder, images = make(args.folder / f"{millions:g}", round(millions * 1e6)), millions * 1e6
            turns = [(measured(part, folder), measured(part, few)) for _ in range(args.turns)]
            costs = {
                kind: median(whole.cpu.get(kind, 0) - start.cpu.get(kind, 0) for whole, start in turns) / images * 1e6
                for kind in turns[0][0].cpu
            }
            peaks = {kind: max(whole.peak.get(kind, 0) for whole, _ in turns) for kind in turns[0][0].peak}
            shown = ", ".join(f"{kind} {costs[kind]:.2f} µs, {peaks[kind]:.0f} MB" for kind in costs)
            total = sum(costs.values())
            print(f"{part}, {millions:g} million images: {total:.2f} µs an image ({shown})", flush=True)


if __name__ == "__main__":
    main()
