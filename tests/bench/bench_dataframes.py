"""Measure the steps on DataFrames against the job, over one Parquet file of pairs from WAT.

    python tests/bench/bench_dataframes.py [--entries DIR] [--data SHARED_DATA] [--pairs N] [--turns N]

Both match, count, sample and write matched and curated images on `local[2]`, in turns. The time of a run over a
thousand pairs is taken off. `copy` is what no DataFrame can be cheaper than: pairs go to Python and come back as
they are, images are copied in the same way, and their entries counted.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import chain_inputs
import pyarrow as pa
import pyarrow.parquet as pq
import usage
from bench_chain import ROOT, TAIL_SHARE, TEXTS_OF, _wordnets

from curation.inputs import files as inputs

FIELDS = ["url", "text", "page_url"]
FEW = 1000
STEPS = """
import sys
from pyspark.sql import SparkSession
from curation import CurationConfig, dataframes
from runtime.session import session

pairs, metadata, out = sys.argv[1:]
spark, config = session("frames"), CurationConfig(tail_share=%s)
dataframes.match(spark.read.parquet(pairs), metadata, config).write.parquet(out + "/matched", compression="zstd")
matched = spark.read.parquet(out + "/matched")
balance = dataframes.thresholds(dataframes.count(matched, metadata), config)
dataframes.sample(matched, balance, config.seed).write.parquet(out + "/curated", compression="zstd")
spark.stop()
"""
COPY = """
import sys
from pyspark.sql import SparkSession
from runtime.session import session

pairs, images, out = sys.argv[1:]
spark = session("frames")


def same(batches):
    yield from batches


def through(frame):
    return frame.mapInArrow(same, frame.schema)


through(spark.read.parquet(pairs)).write.format("noop").mode("overwrite").save()
spark.read.parquet(images + "/matched").write.parquet(out + "/matched", compression="zstd")
matched = spark.read.parquet(out + "/matched")
matched.selectExpr("explode(flatten(candidates.entries)) as id").groupBy("id").count().toArrow()
through(spark.read.parquet(images + "/curated")).write.parquet(out + "/curated", compression="zstd")
spark.stop()
"""


def make_pairs(args, number: int) -> Path:
    """Return a Parquet file of so many pairs of WAT files."""
    path = args.folder / f"wat_pairs_{number}.parquet"
    if not path.exists():
        schema = pa.schema([(name, pa.string()) for name in FIELDS])
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            left = number
            for batch in _candidates(args, number):
                writer.write_batch(batch.select(FIELDS).slice(0, left))
                left -= min(left, batch.num_rows)
                if not left:
                    break
    return path


def _candidates(args, number: int) -> Iterator[pa.RecordBatch]:
    for path in chain_inputs.wats(args.data / "wat", args.folder / "wats", number + number // 10, TEXTS_OF):
        for source in inputs.find([str(path)]):
            for batch in inputs.read(source):
                yield batch.filter(batch["url"].is_valid())


def job(args, pairs: Path, out: str) -> usage.Usage:
    """Run the job."""
    command = ["spark-submit", "--master", "local[2]", str(ROOT / "jobs/curate.py"), "--input", str(pairs)]
    command += ["--metadata", args.entries, "--set", f"tail_share={TAIL_SHARE}", "--output", out]
    return usage.run(command, cwd=ROOT, env=_environment())


def frames(args, pairs: Path, out: str) -> usage.Usage:
    """Take the steps on DataFrames."""
    return _in_python(STEPS % TAIL_SHARE, pairs, args.entries, out)


def copy(args, pairs: Path, out: str) -> usage.Usage:
    """Copy what the steps read and write."""
    images = args.folder / f"images_{pairs.stem}"
    if not images.exists():
        frames(args, pairs, str(images))
    return _in_python(COPY, pairs, images, out)


def _in_python(program: str, *arguments: object) -> usage.Usage:
    environment = _environment() | {"PYSPARK_SUBMIT_ARGS": "--master local[2] pyspark-shell"}
    return usage.run([sys.executable, "-c", program, *map(str, arguments)], cwd=ROOT, env=environment)


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}


def main() -> None:
    """Print the figures of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--entries", help="folder of metadata; without it, the wordnets of the data")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bench_chain")
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    args.entries = args.entries or _wordnets(args)
    many, few = make_pairs(args, args.pairs), make_pairs(args, FEW)
    runs = {"job": job, "frames": frames, "copy": copy}
    found: dict[str, list[tuple[usage.Usage, usage.Usage]]] = {name: [] for name in runs}
    for _ in range(args.turns):
        for name, run in runs.items():
            with tempfile.TemporaryDirectory(dir=args.folder) as out:
                both = [run(args, pairs, f"{out}/{number}") for number, pairs in enumerate((many, few))]
            found[name].append((both[0], both[1]))
    for name, turns in found.items():
        print(f"{name}: {_figures(turns, args.pairs - FEW)}")


def _figures(turns: list[tuple[usage.Usage, usage.Usage]], pairs: int) -> str:
    parts = []
    for kind in ("worker", "jvm"):
        cpu = median(many.cpu[kind] - few.cpu[kind] for many, few in turns) / pairs * 1e6
        parts.append(f"{kind} {cpu:.2f} µs a pair, {max(many.peak[kind] for many, _ in turns):.0f} MB")
    wall = median(many.wall - few.wall for many, few in turns) / pairs * 1e6
    return f"{'; '.join(parts)}; {wall:.2f} µs of wall time a pair, start-up {turns[0][1].wall:.0f} s"


if __name__ == "__main__":
    main()
