"""Count the requests that `curate` sends to S3 for 1, 2 and 4 times the inputs.

    python tests/bench/bench_requests.py [--files 4] [--pairs 5000] [--master local[2]] [--folder DIR]

Inputs are Parquet files of made-up pairs with distinct texts and image URLs. Server, inputs and outputs are made anew.
The server is the one of the tests: it runs in this process and keeps a list of all requests.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

import pyarrow as pa
import pyarrow.parquet as pq
import usage

from runtime.storage.paths import as_path
from tests.support.s3_server import Throttling, serving_s3

WORDS = ("dog", "house", "tree", "river", "bread", "window", "garden", "mountain", "bicycle", "castle")
KINDS = ("GET", "LIST", "PUT", "COPY", "HEAD", "DELETE", "POST")
TIMES = (1, 2, 4)


def main() -> None:
    """Print a table of requests by kind, in total and for each thousand pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=4, help="input files of the smallest run (default: 4)")
    parser.add_argument("--pairs", type=int, default=5_000, help="pairs of each input file (default: 5000)")
    parser.add_argument("--master", default="local[2]", help="Spark's master (default: local[2])")
    parser.add_argument("--folder", type=Path, help="where temporary files lie (default: the system's)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder, serving_s3() as (server, environment):
        os.environ.update(environment)
        bucket = as_path("s3://requests")
        bucket.fs.mkdir("requests")
        entries = Path(folder, "en.txt")
        entries.write_text("\n".join(WORDS) + "\n")
        print("| files | pairs | curated rows | | " + " | ".join((*KINDS, "all")) + " |")
        print("| ---: | ---: | ---: | --- |" + " ---: |" * (len(KINDS) + 1))
        for times in TIMES:
            _write_inputs(bucket / f"in{times}", args.files * times, args.pairs)
            requests, rows = _run(args.master, bucket, times, entries, server)
            _print(args.files * times, args.files * times * args.pairs, rows, requests)


def _write_inputs(folder: Path, files: int, pairs: int) -> None:
    """Write files of one size; no text and no URL comes twice."""
    for number in range(files):
        ids = range(number * pairs, (number + 1) * pairs)
        texts = [f"a {WORDS[i % len(WORDS)]} by the {WORDS[i // 10 % len(WORDS)]}, number {i:09d}" for i in ids]
        urls = [f"https://images.example/{i:09d}.jpg" for i in ids]
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"url": urls, "text": texts}), sink)
        path = folder / f"{number:05d}.parquet"
        path.fs.pipe_file(path.path, sink.getvalue().to_pybytes())


def _run(master: str, bucket: Path, times: int, entries: Path, server: Throttling) -> tuple[Counter, int]:
    """Return the requests of one run by kind, and the number of rows that it kept."""
    output = bucket / f"out{times}"
    command = [
        *("spark-submit", "--master", master, str(ROOT / "jobs/curate.py"), "--input", str(bucket / f"in{times}")),
        *("--entries", f"en={entries}", "--english-threshold", "1000", "--output", str(output)),
    ]
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    server.reset()
    usage.run(command, cwd=ROOT, env=os.environ | {"PATH": here, "PYSPARK_PYTHON": sys.executable})
    requests = Counter(server.kinds())
    curated = [path for path in bucket.fs.find((output / "curated").path) if path.endswith(".parquet")]
    return requests, sum(_rows(bucket, path) for path in curated)


def _rows(bucket: Path, path: str) -> int:
    with bucket.fs.open(path, "rb") as file:
        return pq.read_metadata(file).num_rows


def _print(files: int, pairs: int, rows: int, requests: Counter) -> None:
    numbers = [*(requests[kind] for kind in KINDS), sum(requests.values())]
    print(f"| {files} | {pairs:,} | {rows:,} | total | " + " | ".join(f"{number:,}" for number in numbers) + " |")
    each = " | ".join(f"{number / pairs * 1000:.2f}" for number in numbers)
    print(f"| | | | per 1,000 pairs | {each} |", flush=True)


if __name__ == "__main__":
    main()
