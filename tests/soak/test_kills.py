"""All processes of a command are killed at once, or one of them; the same command then makes the folder complete.

The bytes are those of a command that nobody disturbed, nothing else is left, and clip-verify passes. Half of the
moments are drawn from those at which files appear; others are just before the descriptor has its name, and after it.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.folders.descriptor import name_of_descriptor
from runtime.folders.verify import verify
from tests.soak.test_random_kills import descendants
from tests.support import cluster, kinds
from tests.support.checkout import ROOT
from tests.support.downloaded import all_bytes
from tests.support.gate_inputs import left_by

pytestmark = [pytest.mark.soak, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]
MOMENTS = ["files", "descriptor", "files", "any", "files", "complete", "files", "one"]
FEW_MOMENTS = [["files", "descriptor"], ["files", "any"]]  # of a kind on Spark, by turns
LAST = 20  # requests, in which the descriptor is written and stamps are removed
OF_OWNERSHIP = {"lock", "claim.json"}  # files of .work that no task writes


@dataclass(frozen=True)
class Command:
    """A command that writes to an output, which is killed and run again."""

    kind: str
    inputs: dict[str, Path]
    scratch: Path
    more: Sequence[str] = ()

    def start(self, output: Path) -> subprocess.Popen:
        """Start the command in a group of processes of its own."""
        if self.kind in kinds.KEYED:
            output.mkdir(exist_ok=True)
        line = kinds.command_line(self.kind, self.inputs, output, *self.more)
        own = cluster.as_a_user(TMPDIR=str(self.scratch), SPARK_LOCAL_DIRS=str(self.scratch))
        with self.log.open("wb") as log:
            return subprocess.Popen(line, cwd=ROOT, env=own, stdout=log, stderr=log, start_new_session=True)

    @property
    def log(self) -> Path:
        """What the last process said."""
        return self.scratch / "log"

    def finish(self, output: Path) -> dict[str, object]:
        """Run the command to its end; return the files that it leaves."""
        assert self.start(output).wait(600) == 0, self.log.read_text()
        if self.kind not in kinds.KEYED:
            verify(output)
        is_run = self.kind in kinds.RUNS or self.kind in kinds.COPIED
        return left_by(output) if is_run else all_bytes(output)


def kill_all(job: subprocess.Popen) -> bool:
    """Kill a process and all that it has started at once; say whether it had not ended."""
    others = descendants(job.pid)
    with suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)
    for other in others:  # Spark's workers have a group of their own
        with suppress(ProcessLookupError):
            cluster.kill(other)
    return job.wait(60) == -signal.SIGKILL


def present(folder: Path) -> set[str]:
    """Return the paths of the files that are in a folder now, which may change meanwhile."""
    return {os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names}


def killed_at(job: subprocess.Popen, output: Path, is_moment: Callable[[set[str], set[str]], bool]) -> tuple[bool, int]:
    """Kill a command at a moment that the files say: those there, and those seen so far.

    Return whether it was killed, and the number of files that were seen.
    """
    seen = set[str]()
    while job.poll() is None:
        files = present(output)
        seen |= {file for file in files if Path(file).name not in OF_OWNERSHIP}
        if is_moment(files, seen):
            return kill_all(job), len(seen)
        time.sleep(0.0005)
    return False, len(seen)


def is_moment_of(name: str, chance: random.Random, seconds: float, number: int, files: Iterable[str]) -> Callable:
    """Return what says whether a moment of this name has come, for a command that takes so long and writes so many."""
    descriptor = name_of_descriptor({file for file in files if "/" not in file})
    if name == "files":
        place = chance.randrange(1, number)
        return lambda files, seen: len(seen) >= place
    if name == "descriptor":
        return lambda there, _: descriptor not in there and {*files} - {descriptor} <= there
    if name == "complete":
        return lambda there, _: descriptor in there
    end = time.monotonic() + chance.uniform(0, seconds)
    return lambda *_: time.monotonic() > end


def kill_one(command: Command, output: Path, chance: random.Random, seconds: float) -> bool:
    """Kill one process at any moment; the command ends well, or in a sentence. Say whether it had not ended before."""
    job = command.start(output)
    time.sleep(chance.uniform(0, seconds))
    was_running = job.poll() is None
    with suppress(ProcessLookupError):
        cluster.kill(chance.choice(descendants(job.pid)))
    status = job.wait(600)
    with suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)  # workers that outlive their driver
    said = command.log.read_text().splitlines()
    assert status in (0, -signal.SIGKILL) or said[-1].startswith("clip-"), said
    return was_running


def kill_at_moments(command: Command, folder: Path, moments: Sequence[str]) -> None:
    """Kill a command at each of these moments, and run it again."""
    chance = random.Random(f"kills {command.kind} {command.more}")
    began = time.monotonic()
    output = folder / "out"  # which a run names where it copies a table
    _, number = killed_at(command.start(output), output, lambda *_: False)
    seconds = time.monotonic() - began
    whole = command.finish(output)
    files = present(output)
    top = {*os.listdir(output)}
    left = {*os.listdir(command.scratch)}
    kills = Counter[str]()
    for moment in moments:
        shutil.rmtree(output)
        if moment == "one":
            was_killed = kill_one(command, output, chance, seconds)
        else:
            is_moment = is_moment_of(moment, chance, seconds, number, files)
            was_killed, _ = killed_at(command.start(output), output, is_moment)
        kills[moment if was_killed else "none"] += 1
        assert command.finish(output) == whole, moment
        assert present(output) == files
        assert {*os.listdir(output)} == top
        assert "--master" in command.more or {*os.listdir(command.scratch)} == left
    print(f"{command.kind} {' '.join(command.more)}: {dict(kills)}, {seconds:.1f} s, {number} files")
    assert kills.total() > kills["none"], "no command was killed before it ended"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, sample) -> dict[str, Path]:
    return kinds.write_inputs_of_kinds(tmp_path_factory.mktemp("inputs"), sample)


@pytest.fixture
def scratch(tmp_path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_command_that_is_killed_is_done_again(inputs, scratch, tmp_path, kind):
    kill_at_moments(Command(kind, inputs, scratch), tmp_path, MOMENTS)


@pytest.mark.spark
@pytest.mark.parametrize(("number", "kind"), [*enumerate(kinds.ON_SPARK)])
def test_a_command_that_is_killed_on_spark_is_done_again(inputs, scratch, tmp_path, number, kind):
    command = Command(kind, inputs, scratch, ("--master", "local[2]"))
    kill_at_moments(command, tmp_path, FEW_MOMENTS[number % 2])


class Requests:
    """Counts the requests to a server of S3; kills a process before the one with the number `end`."""

    def __init__(self, answer: Callable):
        self.answer = answer
        self.number = 0
        self.end: float = float("inf")
        self.kill: Callable[[], object] = lambda: None

    def __call__(self, environ, start_response):
        self.number += 1
        if self.number == self.end:
            self.kill()
        return self.answer(environ, start_response)

    def until(self, end: float) -> None:
        """Count from zero, and end before the request `end`."""
        self.number = 0
        self.end = end


@pytest.mark.parametrize("kind", kinds.AT_URLS)
def test_a_command_that_is_killed_before_a_request_is_done_again(
    inputs, scratch, s3_server, s3_folder, monkeypatch, kind
):
    chance = random.Random(f"requests {kind}")
    requests = Requests(s3_server.app)
    monkeypatch.setattr(s3_server, "app", requests)
    command = Command(kind, inputs, scratch)
    assert command.start(s3_folder / "quiet").wait(600) == 0
    total = requests.number
    whole = command.finish(s3_folder / "quiet")
    kills = 0
    for number, end in enumerate([chance.randrange(1, total), total - chance.randrange(min(LAST, total - 1))]):
        output = s3_folder / str(number)
        requests.until(end)
        job = command.start(output)
        requests.kill = lambda job=job: kill_all(job)
        kills += job.wait(600) == -signal.SIGKILL
        requests.until(float("inf"))
        assert command.finish(output) == whole, f"request {end} of {total}"
    print(f"{kind}: {total} requests, {kills} kills")
    assert kills, "no command was killed before it ended"
