"""What a run costs at 1, 10 and 100 billion pairs, computed from runs that fit here: the model in curation/DESIGN.md.

    python tests/bench/bench_scale.py [--entries DIR] [--data SHARED_DATA]

A pair costs the same wherever it comes from once it is read; what a WAT file costs besides follows from its JSON, most
of which is links that are no images. So one run over a table gives the time of a pair, one over WAT files that of JSON.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bench_chain
import chain_inputs
import usage
from isal import igzip

PARTS = ("pairs", "matched", "curated")
BILLIONS = (1, 10, 100)
JSON_A_PAIR = 20_000  # bytes, of a WAT file of Common Crawl: about a gigabyte with 50,000 pairs; other crawls differ
PACKED = 5.5  # bytes of JSON in one of its WAT files


@dataclass
class Cost:
    """What a pair costs: core seconds, and bytes on disk by part of the output."""

    seconds: float
    bytes: dict[str, float]


def cost(args, files: list[Path], start: usage.Usage, pairs: int) -> Cost:
    """Return what each of the pairs in these files costs, without start-up."""
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        job = bench_chain.run_job(args, files, "local[2]", folder)
        sizes = {part: sum(file.stat().st_size for file in Path(folder, part).iterdir()) for part in PARTS}
    peaks = f"largest worker {job.peak['worker']:.0f} MB, JVM {job.peak['jvm']:.0f} MB"
    print(f"{pairs:,} pairs: {job.wall:.0f} s, {peaks}")
    seconds = bench_chain.processors(job) - bench_chain.processors(start)
    return Cost(seconds / pairs, {part: size / pairs for part, size in sizes.items()})


def table(of_pair: Cost, of_json: float) -> None:
    """Print the model; `of_json` is the core seconds of a byte of JSON."""
    print("\n| pairs | core-hours from tables | from WAT | WAT read, TB | pairs/, TB | matched/ | curated/ |")
    print("| --- " * 7 + "|")
    for billions in BILLIONS:
        pairs = billions * 1e9
        hours = [pairs * seconds / 3600 for seconds in (of_pair.seconds, of_pair.seconds + of_json * JSON_A_PAIR)]
        sizes = [pairs * JSON_A_PAIR / PACKED, *(pairs * of_pair.bytes[part] for part in PARTS)]
        cells = [f"{billions} billion", *(f"{each:,.0f}" for each in hours), *(f"{each / 1e12:,.2f}" for each in sizes)]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Measure, and print the model."""
    args = bench_chain.arguments(argparse.ArgumentParser(description=__doc__.partition("\n")[0]))
    captions = args.data / bench_chain.CAPTIONS
    few, many = (chain_inputs.pairs(captions, args.folder / f"{n}.parquet", n) for n in (1_000, args.texts))
    wats = chain_inputs.wats(args.data / "wat", args.folder / "wats", args.texts, bench_chain.TEXTS_OF)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        start = bench_chain.run_job(args, [few], "local[2]", folder)
    of_pair = cost(args, [many], start, args.texts)
    json = sum(len(igzip.decompress(path.read_bytes())) for path in wats)
    pairs = bench_chain.pairs_in(wats)
    of_json = (cost(args, wats, start, pairs).seconds - of_pair.seconds) * pairs / json
    print(f"\na pair {of_pair.seconds * 1e6:.2f} µs, a megabyte of JSON {of_json * 1e9:.2f} ms")
    print(f"start-up {start.wall:.0f} s of wall time, {bench_chain.processors(start):.0f} s of processors")
    table(of_pair, of_json)


if __name__ == "__main__":
    main()
