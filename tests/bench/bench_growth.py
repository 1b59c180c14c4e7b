"""Measure whether a pair costs the same however many pairs, inputs and ranges of keys a run has.

    python tests/bench/bench_growth.py --entries DIR --data SHARED_DATA [pairs inputs ranges engines large]

pairs:  the whole job on 2, 8 and 20 million captions in Parquet files of 200,000.
inputs: on 2 million captions in 10, 200 and 2,000 files.
ranges: on 2 million captions whose keys are cut into 8, 512 and 4,096 buckets, grouped by 8 tasks; and 512 by as many.
engines: on 2 and 20 million, by processes of this machine and on Spark, in turns.
large:  a run of --millions of pairs with short URLs, its export for Hugging Face, and the same steps on DataFrames;
        not measured unless it is named.
The processor time of all processes on two cores, start-up (a run of 1,000 pairs) left out.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

import bench_dataframes
import chain_inputs
import usage

ROOT = Path(__file__).parent.parent.parent
CAPTIONS = "pairs/cc3m_validation.tsv"
MILLION = 1_000_000
KINDS = ("worker", "jvm")
JOB = [str(ROOT / "jobs/curate.py")]


def pairs(args) -> None:
    """Print the figures for more and more pairs."""
    for millions in (2, 8, 20):
        _print_row(args, f"{millions} million pairs", _files(args, millions * MILLION, millions * 5), JOB)


def engines(args) -> None:
    """Print the figures of both engines, and the memory of all their processes together."""
    for millions in (2, 20):
        folder, few = _files(args, millions * MILLION, millions * 5), _files(args, 1_000, 1)
        turns: dict[str, list[tuple[usage.Usage, usage.Usage]]] = {"processes": [], "Spark": []}
        for _ in range(args.turns):
            for engine, found in turns.items():
                job = JOB if engine == "Spark" else [sys.executable, *JOB]
                with tempfile.TemporaryDirectory(dir=args.folder) as output:
                    found.append(tuple(_run(args, each, job, Path(output, each.name)) for each in (folder, few)))
        for engine, found in turns.items():
            cost = median(sum(whole.cpu.values()) - sum(start.cpu.values()) for whole, start in found) / millions
            wall, sums = median(whole.wall for whole, _ in found), max(whole.together for whole, _ in found)
            largest = max(max(whole.peak.values()) for whole, _ in found)
            cells = f"{cost:.2f} | {wall:.0f} | {largest:.0f} | {sums:.0f}"
            print(f"| {millions} million pairs, {engine}: µs, s, largest process, all together | {cells} |", flush=True)


def inputs(args) -> None:
    """Print the figures for the same pairs in more and more files."""
    for number in (10, 200, 2_000):
        _print_row(args, f"{number:,} inputs", _files(args, 2 * MILLION, number), JOB)


def ranges(args) -> None:
    """Print the figures for the same pairs in more and more ranges."""
    script = str(Path(__file__).with_name("curate_with_ranges.py"))
    for number, tasks in ((8, 8), (512, 8), (4_096, 8), (512, 512)):
        job = [script, str(number), str(tasks)]
        _print_row(args, f"{number:,} ranges in {tasks} tasks", _files(args, 2 * MILLION, 10), job)


def large(args) -> None:
    """Print the figures for a run of many pairs, for its export and for DataFrames."""
    starts = _all_steps(args, 1_000, 1)
    for millions in args.millions:
        found = _all_steps(args, millions * MILLION, millions * 5)
        for title, whole in found.items():
            _print_usage(f"{millions} million pairs, {title}", millions, whole, starts[title])


def _all_steps(args, pairs: int, files: int) -> dict[str, usage.Usage]:
    """Return what each step took; what the job wrote stays in the folder."""
    folder, run = _files(args, pairs, files, short=True), args.folder / f"run-{pairs}"
    export = [ROOT / "jobs/run.py", "clip-export", run, "--format", "huggingface", "--output", f"{run}-export"]
    found = {"job": _run(args, folder, JOB, run), "export for Hugging Face": _submit([*map(str, export)])}
    with tempfile.TemporaryDirectory(dir=args.folder) as frames:
        return found | {"DataFrames": bench_dataframes.frames(args, folder, frames)}


def _print_usage(title: str, millions: int, whole: usage.Usage, start: usage.Usage) -> None:
    cost = sum(whole.cpu.values()) - sum(start.cpu.values())
    worker = whole.cpu.get("worker", 0.0) - start.cpu.get("worker", 0.0)
    cells = [f"{cost / millions:.2f}", f"{worker / millions:.2f}", f"{whole.wall:.0f}"]
    print(f"| {title} | {' | '.join(cells + [f'{whole.peak.get(kind, 0):.0f}' for kind in KINDS])} |", flush=True)


def _files(args, number: int, files: int, short: bool = False) -> Path:
    """Return a folder with so many pairs in so many files."""
    each, folder = number // files, args.folder / f"{number}-{files}{'-short' if short else ''}"
    for file in range(files):
        chain_inputs.pairs(args.data / CAPTIONS, folder / f"{file:05}.parquet", each, file * each, short)
    return folder


def _print_row(args, title: str, folder: Path, job: list[str]) -> None:
    few = _files(args, 1_000, 1)
    turns = []
    for _ in range(args.turns):
        with tempfile.TemporaryDirectory(dir=args.folder) as output:
            turns.append([_run(args, each, job, Path(output, each.name)) for each in (folder, few)])
    number = int(folder.name.partition("-")[0])
    cost = median(sum(whole.cpu.values()) - sum(start.cpu.values()) for whole, start in turns) / number * 1e6
    worker = median(whole.cpu["worker"] - start.cpu["worker"] for whole, start in turns) / number * 1e6
    wall = median(whole.wall for whole, _ in turns)
    peaks = " | ".join(f"{max(whole.peak[kind] for whole, _ in turns):.0f}" for kind in KINDS)
    print(f"| {title} | {cost:.2f} | {worker:.2f} | {wall:.0f} | {peaks} |", flush=True)


def _run(args, folder: Path, job: list[str], output: Path) -> usage.Usage:
    given = ["--input", str(folder), "--metadata", args.entries, "--set", "tail_share=0.06"]
    return _submit([*job, *given, "--output", str(output)])


def _submit(job: list[str]) -> usage.Usage:
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": here, "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    on_spark = [] if job[0] == sys.executable else ["spark-submit", "--master", "local[2]"]
    return usage.run([*on_spark, *job], cwd=ROOT, env=environment)


def main() -> None:
    """Run the parts that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["pairs", "inputs", "ranges"])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--entries", required=True, help="folder of metadata")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bench_growth")
    parser.add_argument("--millions", type=int, nargs="+", default=[2, 20, 100])
    parser.add_argument("--turns", type=int, default=1)
    args = parser.parse_args()
    print("| | µs a pair, all processes | workers | wall, s | largest worker, MB | JVM, MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in args.parts:
        {"pairs": pairs, "inputs": inputs, "ranges": ranges, "engines": engines, "large": large}[name](args)


if __name__ == "__main__":
    main()
