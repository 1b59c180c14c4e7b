"""Time what counting domains costs a URL, in one process: python tests/bench/bench_domains.py [URLS].

URLs are made up: hosts are drawn by Zipf's law from 300,000 domains, so that 10 million have 190,000 domains.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from curation.plugins.domains import BATCH_ROWS, _of_domains, _read_hosts, _write_domains
from runtime.storage.own_files import own_files
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import TaskResult

SUFFIXES = ("com", "org", "co.uk", "de", "github.io", "com.br")
URL = pa.schema([pa.field("url", pa.string())])
FILE_ROWS, DOMAINS = 1_000_000, 300_000


@contextmanager
def timed(what: str, urls: int) -> Iterator[None]:
    """Print the processor time of a block for each URL."""
    begin = time.process_time()
    yield
    print(f"{what}: {1e6 * (time.process_time() - begin) / urls:.2f} µs a URL")


def write_urls(folder: Path, urls: int) -> None:
    chance = np.random.default_rng(0)
    for number in range(-(-urls // FILE_ROWS)):
        rows = min(FILE_ROWS, urls - number * FILE_ROWS)
        columns = [chance.zipf(1.3, rows) % DOMAINS, chance.integers(0, 3, rows), chance.integers(0, 10**9, rows)]
        names = [
            f"https://{('', 'www.', 'img.')[prefix]}site{domain}.{SUFFIXES[domain % 6]}/wp-content/2020/{path}.jpg"
            for domain, prefix, path in zip(*(column.tolist() for column in columns), strict=True)
        ]
        with part_writer(folder / f"{number:05}.parquet", URL, 100_000) as writer:
            writer.write(pa.RecordBatch.from_arrays([pa.array(names)], schema=URL))


def main(urls: int = 10_000_000) -> None:
    with TemporaryDirectory() as folder:
        write_urls(Path(folder), urls)
        files = own_files(Path(folder), None, "")
        list(_read_hosts(0, files[0], TaskResult(), "url"))  # kernels are compiled
        with timed("column read", urls):
            for file in files:
                for _ in batches(file, BATCH_ROWS, ["url"]):
                    pass
        with timed("column read, hosts grouped", urls):
            hosts = [rows for file in files for rows in _read_hosts(0, file, TaskResult(), "url")]
        with timed("domains of hosts", urls):
            found = list(_of_domains(0, iter([hosts]), TaskResult()))
        with timed("domains written", urls):
            (Path(folder) / "out").mkdir()
            tallies = TaskResult()
            _write_domains(0, iter([found]), tallies, Path(folder) / "out")
        print(f"{tallies['domains']:,} domains of {tallies['images']:,} URLs")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
