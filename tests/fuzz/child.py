"""Look at files until the time is over: `python -m tests.fuzz.child FIRST_SEED SECONDS TARGET...`, seconds for each.

This is a process of its own, as what reads damage may die of it. It prints a line a target: files, and how they ended.
A file that fails is made shorter, and written to FOUND_HERE. A negative number of seconds is a number of seeds.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from tests.fuzz.target import Failure, Run, late, minimised
from tests.fuzz.targets import TARGETS

FOUND_HERE = Path(os.environ.get("FOUND_HERE", tempfile.gettempdir()))


def main(first: int, seconds: float, *names: str) -> int:
    """Return the number of targets that failed."""
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, late)
    return sum(not _is_sound(name, first, seconds) for name in names or TARGETS)


def _is_sound(name: str, first: int, seconds: float) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        print(f"{name}: from seed {first}, last file {folder}/last", flush=True)
        run, begin = Run(name, TARGETS[name], Path(folder)), time.process_time()
        try:
            run.replay()
            run.seeds(_seeds(first, seconds))
        except Failure as failure:
            path = FOUND_HERE / f"{name}-{failure.seed}"
            path.write_bytes(failure.data)
            print(f"{failure}\nwritten to {path}", flush=True)
            path.write_bytes(minimised(run, failure))
            return False
        used = time.process_time() - begin
        print(f"{name}: {run.ended.total()} files in {used:.1f} s: {dict(run.ended)}", flush=True)
    return True


def _seeds(first: int, seconds: float) -> Iterator[int]:
    if seconds < 0:
        yield from range(first, first + int(-seconds))
        return
    end = time.monotonic() + seconds
    for seed in count(first):
        if time.monotonic() > end:
            return
        yield seed


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:]))
