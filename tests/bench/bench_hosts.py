"""Time what hosts cost an image at the gate, in one process: python tests/bench/bench_hosts.py RUN ROBOTS [TIMES].

RUN is the output folder of a run, ROBOTS a folder of robots.txt files; the run's images are taken TIMES times.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from curation.leaves.gate.checks import rewrite, rewrite_one
from curation.leaves.gate.hosts import FOUND, HostFiles, Meeting, _marked, _pass_on, _send
from curation.leaves.gate.robots_text import robots_agents
from curation.leaves.gate.steps import StepFolder
from runtime.placed_rows import Places
from runtime.storage.own_files import own_files
from runtime.storage.parquet import row_counts
from runtime.tallies import Tallies


@contextmanager
def timed(what: str, images: int) -> Iterator[None]:
    """Print the processor time of a block for each image."""
    begin = time.process_time()
    yield
    seconds = time.process_time() - begin
    print(f"{what}: {seconds:.2f} s, {1e6 * seconds / images:.2f} µs an image")


def main(run: str, robots: str, times: int = 1) -> None:
    images = own_files(Path(run) / "matched", None, "") * times
    places, files, tallies = Places.of(row_counts(images)), [*HostFiles.find([robots]).files], Tallies()
    meeting, number = Meeting(64, places, tuple(map(str.lower, robots_agents()))), places.images
    print(f"{number:,} images")
    blocks: list[bytes] = []
    with timed("files of hosts read", number):
        blocks += [block.data for block in _send(files, tallies, meeting)]
    with timed("URLs sent", number):
        for item in enumerate(images):
            blocks += [block.data for block in _send(item, tallies, meeting)]
    with timed("files parsed, paths tested", number):
        found = [block for block in _pass_on(0, iter(blocks), tallies, meeting)]
    with TemporaryDirectory() as folder, timed("files rewritten", number):
        write = partial(rewrite_one, images=images, change=_marked, folder=StepFolder(Path(folder)))
        for task in range(places.tasks):
            sent = [block.data for block in found if block.scaled(places.tasks) == task]
            places.written(task, iter(sent), FOUND, write)
    with TemporaryDirectory() as folder, timed("of that without any signal", number):
        for file in images:
            rewrite(file, _marked, StepFolder(Path(folder)))
    known = {name: tallies[name] for name in ("asked.image", "asked.page", "known.image", "known.page")}
    print(known, tallies.beginning("fault."))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
