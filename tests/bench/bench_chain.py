"""Measure the time of `curate` by step, against a plain chain, by cores and by size.

    python tests/bench/bench_chain.py --entries DIR --data SHARED_DATA [profile plain cores]

profile: µs a text of each step on one core, with the floor beside it: the least that its input and output cost anyhow.
plain:   from WAT to manifest against the plain chain of `plain_chain`, both on one core; start-up apart.
cores:   the whole job on two cores and on one.
Start-up is what a run of one copy of each file takes. Without --entries the wordnets of the data make the metadata.
Inputs are made once, in --folder.
"""

import argparse
import os
import sys
import tempfile
import time
import zlib
from pathlib import Path
from statistics import median

import chain_inputs
import pyarrow as pa
import pyarrow.parquet as pq
import usage
from plain_chain import PlainChain, sample

from curation import rates as rates_at
from curation import schemas, threshold
from curation.balancing import sampling as curated
from curation.balancing.thresholds import EntryCounts
from curation.config import CurationConfig
from curation.images import grouping
from curation.images.combining import combine
from curation.images.grouping import group_images
from curation.inputs import files as inputs
from curation.language.engines import default_model
from curation.language.label_decisions import Stated
from curation.matching.finders import save_matchers
from curation.run.tasks import Artefacts, MatchPlan, Sampling
from metadata.entries import Entries
from runtime.arrow import parts
from runtime.buckets import BLOCKS_ENDING, Packer, bucket_of, read_blocks, rows_of_block, write_blocks
from runtime.session import ALLOCATORS
from runtime.shipping import Shipped, opened_itself
from runtime.storage.arrays import save_array
from runtime.storage.parquet import part_writer
from runtime.tallies import TaskResult

ROOT = Path(__file__).parent.parent.parent
TEXTS_OF = {"aut-warc-example.warc.wat.gz": 600, "fundus.warc.wat.gz": 4_000, "recipes.warc.wat.gz": 27_500}
CAPTIONS = "pairs/cc3m_validation.tsv"
PROFILED = 300_000  # texts in a profile
BUCKETS = 16
TAIL_SHARE = 0.06  # as in the papers: about a quarter of what matches is kept
CODEC = pa.Codec("zstd", compression_level=1)


class Clock:
    """Processor time of this process by step."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    def __call__(self, step: str, function):
        begin = time.process_time()
        result = function()
        self.seconds[step] = self.seconds.get(step, 0.0) + time.process_time() - begin
        return result


def profile(args) -> None:
    """Print the table of steps for WAT files and for a table of pairs."""
    wats = chain_inputs.wats(args.data / "wat", args.folder / "wats", PROFILED, TEXTS_OF)
    table = chain_inputs.pairs(args.data / CAPTIONS, args.folder / "profile.parquet", PROFILED)
    for title, files in (("WAT files", wats), ("Parquet of captions", [table])):
        turns = [_steps(args, files) for _ in range(args.turns + 1)][1:]  # the first turn compiles or loads kernels
        texts = turns[0][2]
        print(f"\n{title}: {texts:,} texts, µs a text on one core, medians of {args.turns} turns\n")
        print("| step | time | floor | what the floor is |\n| --- | --- | --- | --- |")
        total, least = 0.0, 0.0
        for step, (floor, what) in FLOORS.items():
            own = median(turn[0].seconds[step] for turn in turns) / texts * 1e6
            low = median(turn[1].seconds.get(floor, turn[0].seconds[step]) for turn in turns) / texts * 1e6
            total, least = total + own, least + low
            print(f"| {step} | {own:.2f} | {low:.2f} | {what} |")
        print(f"| sum | {total:.2f} | {least:.2f} | |")
        kernels = sum(median(turn[0].seconds[step] for turn in turns) for step in FLOORS if step not in MOVING)
        print(f"\nparsing and kernels are {kernels / texts * 1e6 / total:.0%} of the time")


# Of each step: the step whose time is its floor (None: it is kernels all through, and its own), and what that is.
FLOORS = {
    "read and parse": ("inputs", "gunzip by zlib alone; Parquet read alone"),
    "uids and hashes": (None, ""),
    "identify": (None, ""),
    "find entries": (None, ""),
    "combine": (None, "sort and take"),
    "write pairs": ("pack", "zstd of the same bytes, and the file"),
    "read pairs": ("unpack", "the file, and zstd alone"),
    "combine again": (None, "sort and take"),
    "group": (None, ""),
    "write matched": ("write matched", "is Parquet alone"),
    "read to count": ("read to count", "is Parquet alone, one column"),
    "count": (None, ""),
    "read to sample": ("read to sample", "is Parquet alone"),
    "sample": (None, ""),
    "by section": ("by section", "is zstd"),
    "write curated": ("curated", "Parquet alone"),
}
MOVING = (
    "write pairs",
    "read pairs",
    "write matched",
    "read to count",
    "read to sample",
    "by section",
    "write curated",
)


def _steps(args, files: list[Path]) -> tuple[Clock, Clock, int]:
    """Return the times of all steps over these files, those of the floors, and the number of texts."""
    own, floor, folder = Clock(), Clock(), Path(tempfile.mkdtemp(dir=args.folder))
    artefacts = Artefacts(Shipped(args.matchers), Shipped(default_model()), None)
    matching = MatchPlan(artefacts, CurationConfig()).open()
    read = [batch for path in files for batch in own("read and parse", lambda path=path: _read(path))]
    for path in files:
        floor("inputs", lambda path=path: _read_alone(path))
    batches = list(read)
    texts = sum(batch.num_rows for batch in batches)
    packer, blocks = Packer(BUCKETS), []
    rows = [own("uids and hashes", lambda b=batch: grouping.keyed(b)) for batch in batches]
    for run in grouping.runs(rows):
        rows = own("combine", lambda run=run: combine(run, 64, TaskResult()))
        asked = rows["text"], rows["given"], Stated(rows["page_language"], rows["pool_language"])
        languages, *_ = own("identify", lambda asked=asked: matching._languages(*asked))
        languages = languages.fill_null("other")
        own("find entries", lambda rows=rows, languages=languages: matching._entries(rows["text"], languages))
        found = matching.match(rows)
        buckets = bucket_of(found["key"].to_numpy(), BUCKETS)
        blocks += own("write pairs", lambda rows=found, buckets=buckets: list(packer.add(rows, buckets)))
        floor("pack", lambda rows=found: CODEC.compress(rows.serialize()))
    blocks += own("write pairs", lambda: list(packer.finish()))
    pairs = folder / f"pairs{BLOCKS_ENDING}"
    own("write pairs", lambda: write_blocks(pairs, schemas.PAIRS, blocks))
    blocks = own("read pairs", lambda: list(read_blocks(pairs, schemas.PAIRS)))
    images = []
    for fourth in range(4):
        own_blocks = [block.read() for block in blocks if block.scaled(4) == fourth]
        rows = own("read pairs", lambda blocks=own_blocks: [rows_of_block(data, schemas.PAIRS) for data in blocks])
        packed = [CODEC.compress(block.serialize()) for block in rows]
        sizes = [block.serialize().size for block in rows]
        floor("unpack", lambda p=packed, s=sizes: [CODEC.decompress(x, n) for x, n in zip(p, s, strict=True)])
        rows = own("combine again", lambda rows=rows: combine(pa.concat_batches(rows), 64, TaskResult()))
        images.append(own("group", lambda rows=rows: group_images(rows, TaskResult())))
    _after_matching(own, floor, images, folder)
    return own, floor, texts


def _after_matching(own: Clock, floor: Clock, images: list[pa.RecordBatch], folder: Path) -> None:
    matched = folder / "matched.parquet"
    own("write matched", lambda: _write(matched, schemas.MATCHED, images, grouping.MATCHED_ROW_GROUP))
    column = ["candidates.list.element.entries"]
    entries = own("read to count", lambda: list(pq.ParquetFile(matched).iter_batches(50_000, columns=column)))
    largest = max(parts(parts(batch["candidates"])[0].field("entries"))[0].to_numpy().max() for batch in entries)
    counts = EntryCounts.zeros(int(largest) + 1, "")
    for batch in entries:
        own("count", lambda b=batch: counts.count(parts(b["candidates"])[0].field("entries")))
    rates = rates_at(counts.values, threshold(counts.values, TAIL_SHARE))
    batches = own("read to sample", lambda: list(pq.ParquetFile(matched).iter_batches(50_000)))
    path = folder / "00000.parquet"
    kept = [own("sample", lambda b=batch: curated.sampled(b, rates, 0, TaskResult())) for batch in batches]
    lettered = opened_itself(save_array(folder / "lettered.npy", counts.values > 0))
    grouping = Sampling(lettered, lettered, 0, 1, folder, 100_000).grouping
    received = own("by section", lambda: list(grouping.packed(kept)))
    own("write curated", lambda: [*grouping.run(0, received, TaskResult())])
    ordered = list(pq.ParquetFile(path).iter_batches())
    floor("curated", lambda: _write(folder / "curated.parquet", schemas.CURATED, ordered, 100_000))


def _read(path: Path) -> list[pa.RecordBatch]:
    (source,) = inputs.find([str(path)])
    return list(inputs.read(source))


def _read_alone(path: Path) -> None:
    if path.suffix == ".parquet":
        list(pq.ParquetFile(path).iter_batches(8192))
        return
    with path.open("rb") as file:
        inflate = zlib.decompressobj(31)
        while data := inflate.unused_data or file.read(1 << 16):
            inflate = zlib.decompressobj(31) if inflate.eof else inflate
            inflate.decompress(data)


def _write(path: Path, schema: pa.Schema, batches: list[pa.RecordBatch], row_group: int) -> None:
    with part_writer(path, schema, row_group) as writer:
        for batch in batches:
            writer.write(batch)


def plain(args) -> None:
    """Print the time of the plain chain and of the job, over the same WAT files, on one core."""
    files = chain_inputs.wats(args.data / "wat", args.folder / "wats", args.texts, TEXTS_OF)
    few = files[: len(TEXTS_OF)]
    chain = PlainChain(Entries.open(args.entries))
    matched = args.folder / "plain.jsonl"
    matched.unlink(missing_ok=True)
    begin = time.process_time()
    texts = sum(chain.match(path, matched) for path in files[: args.plain_files])
    sample(matched, args.folder / "plain_curated.jsonl", TAIL_SHARE)
    naive = (time.process_time() - begin) / texts
    print(f"\nplain chain, {texts:,} texts: {naive * 1e6:.1f} µs a text", flush=True)
    turns = [(_job(args, files, "local[1]"), _job(args, few, "local[1]")) for _ in range(args.turns)]
    more = _figure(turns[0][0].output, "pairs") - _figure(turns[0][1].output, "pairs")
    own = median(_processor(whole) - _processor(start) for whole, start in turns) / more
    worker = median(whole.cpu["worker"] - start.cpu["worker"] for whole, start in turns) / more
    wall = median(whole.wall - start.wall for whole, start in turns) / more
    print(f"curate on local[1], {more:,} pairs: {own * 1e6:.2f} µs of all its processes a pair: {naive / own:.1f} ×")
    print(f"of its workers {worker * 1e6:.2f} µs, by wall time {wall * 1e6:.2f} µs")
    start = turns[0][1]
    print(f"start-up apart: {start.wall:.1f} s of wall time, {_processor(start):.1f} s of processors")


def cores(args) -> None:
    """Print how much faster the job is on two cores than on one."""
    files = chain_inputs.wats(args.data / "wat", args.folder / "wats", args.texts, TEXTS_OF)
    few = files[: len(TEXTS_OF)]
    ratios = []
    for _ in range(args.turns):
        seconds = {}
        for master in ("local[1]", "local[2]"):
            seconds[master] = _job(args, files, master).wall - _job(args, few, master).wall
        ratios.append(seconds["local[1]"] / seconds["local[2]"])
        one, two = seconds["local[1]"], seconds["local[2]"]
        print(f"one core {one:.1f} s, two {two:.1f} s, start-up left out: {ratios[-1]:.2f} ×")
    print(f"median {median(ratios):.2f} ×")


def _job(args, files: list[Path], master: str) -> usage.Usage:
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        command = [
            *("spark-submit", "--master", master, str(ROOT / "jobs/curate.py"), "--input", *map(str, files)),
            *("--metadata", args.entries, "--set", f"tail_share={TAIL_SHARE}", "--output", folder),
        ]
        here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": here, "PYSPARK_PYTHON": sys.executable}
        return usage.run(command, cwd=ROOT, env=environment)


def _processor(job: usage.Usage) -> float:
    return sum(job.cpu.values())


def _figure(output: str, name: str) -> int:
    line = next(line for line in output.splitlines() if line.startswith(f"{name} "))
    return int(line.split()[1].replace(",", ""))


def as_workers_are() -> None:
    """Start again with the allocators set as in the job's workers: they are when a process begins."""
    if not ALLOCATORS.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ALLOCATORS)


def main() -> None:
    """Run the parts that the command line names."""
    as_workers_are()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["profile", "plain"], help="profile, plain, cores")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--entries", help="folder of metadata; without it, the wordnets of the data")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bench_chain")
    parser.add_argument("--texts", type=int, default=2_000_000, help="of the WAT files of `plain` and `cores`")
    parser.add_argument("--plain-files", type=int, default=4, help="WAT files that the plain chain reads")
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    args.entries = args.entries or _wordnets(args)
    args.matchers = args.folder / "matchers"
    save_matchers(Entries.open(args.entries), "unicode", args.matchers)
    for name in args.parts:
        {"profile": profile, "plain": plain, "cores": cores}[name](args)


def _wordnets(args) -> str:
    output = args.folder / "metadata"
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["spark-submit", str(ROOT / "jobs/build_metadata.py"), "--wordnet", str(args.data / "wordnet")]
    environment = os.environ | {"PATH": here, "PYSPARK_PYTHON": sys.executable}
    usage.run([*command, "--output", str(output)], cwd=ROOT, env=environment)
    return str(output)


if __name__ == "__main__":
    main()
