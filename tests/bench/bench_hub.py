"""Bytes, requests and time of reading URLs and texts of tables on a Hub of this machine, beside fetching them whole.

`python -m tests.bench.bench_hub FILES [ROWS [ROWS_OF_A_GROUP]]`; a file has ten columns.
"""

import io
import os
import random
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.checkout import ROOT
from tests.support.hub_server import hub_server

READ = """
import resource, sys, time
from curation.inputs import files
begin, rows = time.perf_counter(), 0
if sys.argv[1] == "whole":
    from huggingface_hub import snapshot_download
    snapshot_download("o/pairs", repo_type="dataset", local_dir=sys.argv[2], max_workers=1)
    print(f"downloaded in {time.perf_counter() - begin:.0f} s", end=", ")
address = "hf://datasets/o/pairs" if sys.argv[1] == "parts" else sys.argv[2] + "/data"
for source in files.find([address]):
    rows += sum(batch.num_rows for batch in files.read(source))
used = resource.getrusage(resource.RUSAGE_SELF)
print(f"{rows:,} rows in {time.perf_counter() - begin:.0f} s, {used.ru_utime + used.ru_stime:.1f} s of processors")
"""


def table(rows: int, group_rows: int) -> bytes:
    """Return a Parquet file of pairs with ten columns."""
    chance, numbers = random.Random(1), np.random.default_rng(1)
    words = [f"word{number}" for number in range(5000)]
    columns = {
        "key": [f"{chance.getrandbits(64):016x}" for _ in range(rows)],
        "url": [f"https://host{chance.randrange(3000)}.example/{chance.getrandbits(64):x}.jpg" for _ in range(rows)],
        "text": [" ".join(chance.choices(words, k=8)) for _ in range(rows)],
        **{name: numbers.integers(0, 4000, rows) for name in ("width", "height")},
        **{name: numbers.random(rows) for name in ("similarity", "punsafe", "watermark")},
        "sha256": [f"{chance.getrandbits(256):064x}" for _ in range(rows)],
        "note": [f"{chance.getrandbits(200):x}" for _ in range(rows)],
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=group_rows)
    return sink.getvalue()


def main(folder: str, files: int, rows: int = 200_000, group_rows: int = 100_000) -> None:
    """Print what was fetched by each way, and how long it took."""
    data = table(rows, group_rows)
    with hub_server() as hub:
        hub.dataset("o/pairs", {f"data/{number:05}.parquet": data for number in range(files)})
        more = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        for way in ("parts", "whole"):
            hub.requests.clear()
            hub.sent = 0
            command = [sys.executable, "-c", READ, way, folder]
            done = subprocess.run(
                command, cwd=ROOT, env=os.environ | more, stdout=subprocess.PIPE, text=True, check=True
            )
            stored, fetched = files * len(data) / 1e6, hub.sent / 1e6
            ranges = len(hub.asked("/store/"))
            print(f"{way}: {done.stdout.strip()}; {fetched:,.0f} MB of {stored:,.0f}, {ranges:,} requests for bytes of "
                  f"{len(hub.requests):,}")  # fmt: skip


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as temporary:
        main(temporary, *map(int, sys.argv[1:]))
