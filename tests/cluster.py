"""A standalone Spark cluster on this machine: a master and workers, each a process with a work folder and a disk of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT

BIN = Path(sys.executable).parent
PATIENCE = 120  # seconds for what takes five on a machine with nothing else to do


@dataclass(frozen=True)
class Cluster:
    """A running cluster; `folder` holds the work folder, the disk and the log of each of its processes."""

    master: str
    folder: Path
    workers: list[int]  # their process ids

    def disks(self) -> list[Path]:
        """Return the disk of each worker."""
        return sorted(self.folder.glob("worker*/disk"))

    def executors(self) -> list[int]:
        """Return the process ids of all executors."""
        return [child for worker in self.workers for child in children(worker)]


@contextmanager
def running(folder: Path, workers: int = 2) -> Iterator[Cluster]:
    """Give a cluster of workers with one core each that runs inside the block."""
    started = []
    try:
        master = _start(folder / "master", started, "master.Master", "--host", "127.0.0.1", "--port", "0")
        url = wait_for(lambda: re.search(r"spark://127\.0\.0\.1:\d+", _log(folder / "master")))[0]
        pids = [
            _start(folder / f"worker{number}", started, "worker.Worker", "--cores", "1", "--memory", "1g", url)
            for number in range(workers)
        ]
        wait_for(lambda: _log(folder / "master").count("Registering worker") == workers)
        yield Cluster(url, folder, [each.pid for each in pids])
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(60)
    assert master.returncode is not None


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a command line of Spark."""
    return os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "LANG": "C.UTF-8", **more}


def wait_for(answer, seconds: float = PATIENCE):
    """Return the first answer that is not empty."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = answer()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError(f"no {answer} in {seconds} s")


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children; none where it has ended."""
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """Return the process ids of all that a process has started, and so on."""
    return [each for child in children(pid) for each in (child, *descendants(child))]


def command_of(pid: int) -> str:
    """Return the command line of a process; an empty one where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def kill(pid: int) -> None:
    """End a process at once, without a word to it."""
    os.kill(pid, signal.SIGKILL)


def _start(folder: Path, started: list, which: str, *arguments: str) -> subprocess.Popen:
    """Start a process of the cluster in a folder of its own."""
    (folder / "disk").mkdir(parents=True)
    (folder / "work").mkdir()
    own = {
        "SPARK_LOCAL_DIRS": str(folder / "disk"),
        "SPARK_WORKER_DIR": str(folder / "work"),
        "SPARK_DAEMON_MEMORY": "256m",
    }
    command = [BIN / "spark-class", f"org.apache.spark.deploy.{which}", "--webui-port", "0", *arguments]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment(**own), stdout=log, stderr=log)
    started.append(process)
    return process


def _log(folder: Path) -> str:
    return (folder / "log").read_text(encoding="utf-8", errors="replace")
