"""Measure the gate over synthetic matched images and tables: wall time, processor time and the largest processes.

    python tests/bench/bench_gate.py [keep only policy sha256 phash texts domains] --millions 2 20

keep:    a condition over a score and one over a size, in a table of as many rows as there are images, in another order
only:    a list of the uids of half the images
policy:  the recommended rules, and texts that more than a hundred images have
sha256:  each tenth image is a copy of another by the hash in a table
phash:   the same by hashes within 4 bits
texts:   texts that more than one image has, nearly all of which are distinct pairs
domains: at most 1,000 images of each of a hundred thousand domains, whose sizes follow Zipf's law
Each runs in a process of its own, on two cores. What a thousand images take is left out of the rows that follow.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import usage
from chain_inputs import hex_strings, joined

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from curation.config import CurationConfig
from curation.plugins.gate.options import GateOptions
from curation.schemas import MATCHED, MATCHED_ROW_GROUP

FILE, FEW = 1_000_000, 1_000  # images
DOMAINS = 100_000
PARTS = ("keep", "only", "policy", "sha256", "phash", "texts", "domains")


def options_of(part: str, folder: Path) -> GateOptions:
    """Return what a part asks of the gate."""
    tables = [[str(folder / "scores")]]
    return {
        "keep": GateOptions(images=tables, keep="score > 0.3 AND least(width, height) >= 200"),
        "only": GateOptions(only=[str(folder / "only.parquet")]),
        "policy": GateOptions(policy=["recommended", "max_images_per_text:100"]),
        "sha256": GateOptions(images=tables, same_image="sha256"),
        "phash": GateOptions(images=tables, same_image="phash:4"),
        "texts": GateOptions(policy=["max_images_per_text:1"]),
        "domains": GateOptions(policy=["max_images_per_domain:1000"]),
    }[part]


def write_inputs(folder: Path, number: int) -> None:
    """Write matched images and their tables."""
    (folder / "matched").mkdir()
    (folder / "scores").mkdir()
    random = np.random.default_rng(0)
    order = random.permutation(number)
    for file, begin in enumerate(range(0, number, FILE)):
        rows = np.arange(begin, min(begin + FILE, number))
        pq.write_table(
            _images(rows, random), folder / "matched" / f"{file:05d}.parquet", row_group_size=MATCHED_ROW_GROUP
        )
        pq.write_table(_scores(order[rows], random), folder / "scores" / f"{file:05d}.parquet")
    pq.write_table(pa.table({"uid": _uids(order[: number // 2])}), folder / "only.parquet")


def _images(rows: np.ndarray, random: np.random.Generator) -> pa.Table:
    domains = np.minimum(random.zipf(1.3, len(rows)), DOMAINS)
    dogs, templates = joined("a photo of a dog ", rows // 2), joined("template ", rows % 997)
    texts = pc.if_else(pa.array(rows % 10 > 0), dogs, templates)
    candidates = {
        "text": texts,
        "kind": pa.array(["alt"] * len(rows)),
        "language": pa.array(["en"] * len(rows)),
        "lid_score": pa.array(np.full(len(rows), 0.9, np.float32)),
        "entries": pa.ListArray.from_arrays(
            np.arange(0, 3 * len(rows) + 1, 3, dtype=np.int32), np.tile(np.array([1, 2, 3], np.int32), len(rows))
        ),
    }
    fields = MATCHED.field("candidates").type.value_type
    columns = [candidates.get(field.name, pa.nulls(len(rows), field.type)) for field in fields]
    structs = pa.StructArray.from_arrays(columns, fields=list(fields))
    sites = joined("https://d", domains, ".example/p/", rows)
    known = {
        "uid": _uids(rows),
        "url": joined(sites, ".jpg"),
        "page_url": sites,
        "signals": pa.array(np.zeros(len(rows), np.int32)),
        "candidates": pa.ListArray.from_arrays(pa.array(np.arange(len(rows) + 1, dtype=np.int32)), structs),
    }
    return pa.table([known.get(field.name, pa.nulls(len(rows), field.type)) for field in MATCHED], schema=MATCHED)


def _scores(rows: np.ndarray, random: np.random.Generator) -> pa.Table:
    originals = np.where(rows % 10 == 1, rows - 1, rows).astype(np.uint64)
    hashes = originals * np.uint64(0x9E3779B97F4A7C15)
    flips = np.uint64(1) << random.integers(0, 64, len(rows)).astype(np.uint64)
    near = np.where(rows % 10 == 1, hashes ^ flips, hashes).astype(">u8")
    return pa.table(
        {
            "uid": _uids(rows),
            "score": random.random(len(rows), np.float32),
            "width": random.integers(50, 2000, len(rows)),
            "height": random.integers(50, 2000, len(rows)),
            "sha256": hex_strings(np.column_stack([*[np.zeros(len(rows), np.uint64)] * 3, hashes]).astype(">u8")),
            "phash": pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(8), len(rows), [None, pa.py_buffer(near.tobytes())]
            ).cast(pa.binary()),
        }
    )


def _uids(rows: np.ndarray) -> pa.Array:
    numbers = rows.astype(np.uint64)
    return hex_strings(np.column_stack([numbers * np.uint64(0xD1342543DE82EF95), numbers]).astype(">u8"))


def run(part: str, folder: Path) -> None:
    """Pass the gate once; for `main`."""
    from curation.run.output_folder import Output
    from curation.run.request import Context
    from runtime.engine.local import Local
    from runtime.progress import Progress
    from runtime.storage.own_files import own_files

    gate = options_of(part, folder).find()
    with Output.claim(folder / part, {"inputs": [], "exclusion": None}) as output:
        # No rule changes a text here, so none is matched again.
        context = Context(Local(2), CurationConfig(), output, Progress(), lambda: None)
        _, last, _ = gate.let_pass(own_files(folder / "matched", None, ""), context)
        output.remove_work()
    print(f"passed {last['passed']}")


def measured(part: str, folder: Path) -> tuple[int, usage.Usage]:
    """Return how many images passed, and what the gate took."""
    used = usage.run([sys.executable, __file__, part, "--run", str(folder)])
    return int(used.output.rpartition("passed ")[2].split()[0]), used


def main() -> None:
    """Run the parts that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=PARTS)
    parser.add_argument("--millions", nargs="+", type=float, default=[10])
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        run(args.parts[0], args.run)
        return
    starts: dict[str, float] = {}
    print("| | passed | µs an image, all processes | wall, s | largest, MB |\n| --- | ---: | ---: | ---: | --- |")
    for images in (FEW, *(round(millions * 1e6) for millions in args.millions)):
        with tempfile.TemporaryDirectory() as folder:
            write_inputs(Path(folder), images)
            for part in args.parts:
                passed, used = measured(part, Path(folder))
                taken = sum(used.cpu.values())
                cost = (taken - starts.setdefault(part, taken)) / images * 1e6
                peaks = ", ".join(f"{kind} {peak:,.0f}" for kind, peak in used.peak.items())
                print(f"| {part}, {images:,} | {passed:,} | {cost:.1f} | {used.wall:.0f} | {peaks} |", flush=True)


if __name__ == "__main__":
    main()
