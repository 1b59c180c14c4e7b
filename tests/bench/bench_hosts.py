"""Time what hosts cost an image at the gate, in one process: python tests/bench/bench_hosts.py RUN ROBOTS [TIMES].

RUN is the output folder of a run, ROBOTS a folder of robots.txt files; the run's images are taken TIMES times.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from curation.leaves.gate.host_files import HostFiles
from curation.leaves.gate.hosts import ASKED, FOUND, HostRanges, _marked, read_hosts, read_urls
from curation.leaves.gate.robots_text import robots_agents
from curation.leaves.gate.step import Rewriting, StepFolder
from runtime.cogroup import Grouping, Places
from runtime.storage.own_files import own_files
from runtime.storage.parquet import row_counts
from runtime.tallies import TaskResult


@contextmanager
def timed(what: str, images: int) -> Iterator[None]:
    """Print the processor time of a block for each image."""
    begin = time.process_time()
    yield
    seconds = time.process_time() - begin
    print(f"{what}: {seconds:.2f} s, {1e6 * seconds / images:.2f} µs an image")


def main(run: str, robots: str, times: int = 1) -> None:
    images = own_files(Path(run) / "matched", None, "") * times
    places, files, tallies = Places.of(row_counts(images)), [*HostFiles.find([robots]).files], TaskResult()
    ranges, number = HostRanges(64, tuple(map(str.lower, robots_agents()))), places.rows
    grouping = Grouping(ASKED, ranges.keys, ranges.signals, ranges.buckets, 1)
    print(f"{number:,} images")
    with timed("files of hosts read", number):
        blocks = [block.data for block in grouping.packed(read_hosts(0, files, tallies))]
    with timed("URLs sent", number):
        for item in enumerate(images):
            blocks += [block.data for block in grouping.packed(read_urls(*item, tallies))]
    with timed("files parsed, paths tested", number):
        found = [*grouping.run(0, blocks, tallies)]
    with TemporaryDirectory() as folder, timed("files rewritten", number):
        rewriting = places.stage(FOUND, Rewriting(images, _marked, StepFolder(Path(folder))).write)
        packed = [*rewriting.packed(found)]
        for task in range(places.tasks):
            sent = [block.data for block in packed if block.scaled(places.tasks) == task]
            assert not [*rewriting.run(task, sent, tallies)]
    with TemporaryDirectory() as folder, timed("of that without any signal", number):
        for file in images:
            Rewriting([file], _marked, StepFolder(Path(folder))).rewrite(file)
    known = {name: tallies[name] for name in ("asked.image", "asked.page", "known.image", "known.page")}
    print(known, tallies.beginning("fault."))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
