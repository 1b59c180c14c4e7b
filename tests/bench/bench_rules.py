"""Measure the rules of policies, and the search in evaluation sets, in one process: processor time and what is removed.

    python tests/bench/bench_rules.py [rules judge sets texts chain] --input crawl.wat.gz ... --rows 1000000

rules: nanoseconds per image or text of each recommended rule, and the share that it removes, on pairs of `--input`
judge: microseconds per text of the judge: its probabilities, and the reasons for a thousand texts
sets:  microseconds per image of the search for near hashes in evaluation sets of several sizes
texts: nanoseconds per text of the comparison with 100,000 exact texts
chain: microseconds of all processors per pair of `--input`, of a job over `--entries`: without witnesses and policies,
       with the witnesses of a default run, and with all that is recommended, in turns; start-up left out
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import usage

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from curation.inputs import files
from curation.plugins.gate.evaluation import EvaluationTexts, HashesOfSets
from curation.plugins.gate.filters import IMAGE, TEXT, ImageBatch
from curation.plugins.gate.judge.judge import JudgedOutput, standard
from curation.plugins.gate.judge.reasons import reasons_of
from curation.plugins.gate.policies.policies import Policy

TRIES = 3
DISTANCE = 4
SETS = (50_000, 1_000_000, 3_000_000)
IMAGES_AT_ONCE = 65_536


def rules(args: argparse.Namespace) -> None:
    """Print a row of the table for each rule."""
    batch = _matched(args)
    total = 0.0
    policy = Policy.parse(["recommended", "personal_data"])
    for chosen in (*policy.filters(IMAGE), *policy.filters(TEXT)):
        seconds, fails = _timed(lambda chosen=chosen: chosen.mask(ImageBatch.of(batch)))
        total += seconds
        print(f"| {chosen.title} | {seconds / args.rows * 1e9:.0f} | {fails.mean():.2%} |", flush=True)
    print(f"| all | {total / args.rows * 1e9:.0f} | |", flush=True)


def judge(args: argparse.Namespace) -> None:
    """Print the time per text."""
    batch = _matched(args)
    few = ImageBatch.of(batch.slice(0, 1_000))
    scored, shares = _timed(lambda: standard().probabilities(ImageBatch.of(batch)))  # scored anew
    said, _ = _timed(lambda: reasons_of(few, JudgedOutput("junk", 70)))
    print(f"{scored / args.rows * 1e6:.2f} µs a text, {said / len(few.texts) * 1e6:.0f} with reasons", flush=True)
    print(f"mean probabilities: {', '.join(f'{share:.1%}' for share in shares.mean(axis=0))}", flush=True)


def sets(args: argparse.Namespace) -> None:
    """Print a row of the table for each size of the sets."""
    random = np.random.default_rng(0)
    for number in SETS:
        own, images = (random.integers(0, 2**64, (rows, 1), dtype=np.uint64) for rows in (number, IMAGES_AT_ONCE))
        begin = time.process_time()
        hashes = HashesOfSets.of([own], DISTANCE)
        built = time.process_time() - begin
        seconds, _ = _timed(lambda hashes=hashes, images=images: hashes.find(images, DISTANCE))
        size = sum(array.nbytes for array in vars(hashes).values()) / 1e6
        print(f"| {number:,} | {built:.1f} | {size:.0f} | {seconds / len(images) * 1e6:.1f} |", flush=True)


def texts(args: argparse.Namespace) -> None:
    """Print the time per text."""
    given = _matched(args)["candidates"].values.field("text")
    evaluation = EvaluationTexts.of(given.slice(0, 100_000))
    seconds, fails = _timed(lambda: evaluation.fails(given))
    print(f"{seconds / args.rows * 1e9:.0f} ns a text, {fails.mean():.0%} found")


def chain(args: argparse.Namespace) -> None:
    """Print the cost of each job in each turn."""
    jobs = {"none": ["--witnesses", "none"], "witnesses": [], "recommended": ["--policy", "recommended"]}
    number = sum(batch.num_rows for source in files.find(args.input) for batch in files.read(source))
    for _ in range(TRIES):
        for name, flags in jobs.items():
            cost = _job(args, args.input, flags) - _job(args, [args.few], flags)
            print(f"{name}: {cost / number * 1e6:.2f} µs a pair", flush=True)


def _job(args: argparse.Namespace, inputs: list[str], flags: list[str]) -> float:
    """Return the seconds of all processors that a job takes."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYSPARK_SUBMIT_ARGS": "--master local[2] pyspark-shell"}
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, str(ROOT / "jobs/curate.py"), "--input", *inputs, "--metadata", args.entries]
        command += ["--set", "tail_share=0.06", "--output", output + "/run", *flags]
        return sum(usage.run(command, cwd=ROOT, env=environment).cpu.values())


def _timed(call: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    found, least = call(), float("inf")
    for _ in range(TRIES):
        begin = time.process_time()
        found = call()
        least = min(least, time.process_time() - begin)
    return least, found


def _matched(args: argparse.Namespace) -> pa.RecordBatch:
    """Return images of one text each, drawn from the pairs of the input, with signals and sizes that are made up."""
    batches = [batch for source in files.find(args.input) for batch in files.read(source)]
    pairs = pa.Table.from_batches(batches)
    pairs = pairs.filter(pairs["url"].is_valid()).select(["url", "text", "kind", "page_url"]).combine_chunks()
    random = np.random.default_rng(0)
    pairs = pairs.take(pa.array(random.integers(0, len(pairs), args.rows)))
    url, text, kind, page = (pairs[name].chunk(0) for name in ("url", "text", "kind", "page_url"))
    language = pa.array(["en"]).take(pa.array(np.zeros(args.rows, np.int64)))
    own = pa.nulls(args.rows, pa.string())
    structs = pa.StructArray.from_arrays([text, kind, language, own], ["text", "kind", "language", "page_url"])
    candidates = pa.ListArray.from_arrays(pa.array(np.arange(args.rows + 1, dtype=np.int32)), structs)
    most = {"signals": 64, "stated_width": 600, "stated_height": 600, "shown": 3}
    stated = {name: pa.array(random.integers(0, end, args.rows).astype(np.int32)) for name, end in most.items()}
    return pa.RecordBatch.from_pydict({"url": url, "page_url": page, "candidates": candidates, **stated})


def main() -> None:
    """Run the parts that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["rules", "judge", "sets", "texts"])
    parser.add_argument("--input", nargs="+", default=[])
    parser.add_argument("--few", help="for the chain: an input of few pairs, whose job is what starting up takes")
    parser.add_argument("--entries", help="for the chain: a folder of metadata")
    parser.add_argument("--rows", type=int, default=1_000_000)
    args = parser.parse_args()
    for part in args.parts:
        globals()[part](args)


if __name__ == "__main__":
    main()
