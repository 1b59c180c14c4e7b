"""A standalone Spark cluster on this machine: a master and workers, each with a work folder and a disk of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import jvm
from tests.support.checkout import of_a_user

BIN = Path(sys.executable).parent
PATIENCE = 240  # seconds for what takes ten on a machine with nothing else to do


@dataclass(frozen=True)
class Cluster:
    """A running cluster; `folder` holds the work folder, the disk and the log of each of its processes."""

    master: str
    folder: Path

    @property
    def disks(self) -> list[Path]:
        """The disk of each worker."""
        return sorted(self.folder.glob("worker*/disk"))


@dataclass(frozen=True)
class Host:
    """A host of the cluster: its address, the command that runs another one on it, and variables of its processes."""

    address: str
    inside: tuple = ()
    variables: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def running(folder: Path, hidden: Path | None = None) -> Iterator[Cluster]:
    """Give a cluster of two workers with one core each, in the block; they do not see what is in `hidden`."""
    # An empty disk is mounted over what is hidden.
    hide = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', hidden) if hidden else ()
    # Spark starts no copy of a task on the host of the original.
    workers = {folder / f"worker-{address}": Host(address, hide) for address in ("127.0.0.2", "127.0.0.3")}
    with running_on(Host("127.0.0.1"), folder / "master", workers) as url:
        yield Cluster(url, folder)


@contextmanager
def running_on(host: Host, folder: Path, workers: dict[Path, Host]) -> Iterator[str]:
    """Give the URL of a master on a host; it has a worker with one core in each folder on each of the other hosts."""
    started: list[subprocess.Popen] = []
    try:
        started.append(_start(folder, host, "master.Master", "--port", "0"))
        url = wait_for(lambda: re.search(rf"spark://{re.escape(host.address)}:\d+", _log(folder)))[0]
        for own, worker in workers.items():
            started.append(_start(own, worker, "worker.Worker", "--cores", "1", "--memory", "1g", url))
        wait_for(lambda: _log(folder).count("Registering worker") == len(workers))
        yield url
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(60)


def can_mount() -> bool:
    """Return whether this user may mount file systems."""
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


def environment(**more) -> dict[str, str]:
    """Return the environment of a command line of Spark."""
    own = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "LANG": "C.UTF-8"}
    return os.environ | own | {name: str(value) for name, value in more.items()}


def as_a_user(**more) -> dict[str, str]:
    """Return that of a user, whose kernels are compiled beside them: packages from an archive bring theirs."""
    return of_a_user(**{name: str(value) for name, value in more.items()})


def wait_for(answer: Callable, seconds: float = PATIENCE):
    """Return the first answer that is not empty."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = answer()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError(f"no answer in {seconds} s")


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started; none where it has ended."""
    try:
        tasks = [(task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []
    return [int(child) for text in tasks for child in text.split()]


def executor_of(worker: int) -> int:
    """Return the id of the JVM that a Python worker works for; in local mode that is the driver's."""
    pid = worker
    while "java" not in Path(f"/proc/{pid}/comm").read_text():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])  # its parent
    return pid


def mapped(pid: int) -> set[str]:
    """Return the files that a process has mapped into its memory."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if line.count("/")}


def kill(pid: int) -> None:
    """End a process at once, without a word to it."""
    os.kill(pid, signal.SIGKILL)


def _start(folder: Path, host: Host, which: str, *arguments: str) -> subprocess.Popen:
    """Start a process of the cluster in a folder of its own."""
    (folder / "disk").mkdir(parents=True)
    own = {"SPARK_LOCAL_DIRS": folder / "disk", "SPARK_WORKER_DIR": folder / "work"}
    own |= {"SPARK_LOCAL_IP": host.address, "SPARK_DAEMON_MEMORY": "256m", **host.variables}
    own |= {"SPARK_DAEMON_JAVA_OPTS": jvm.QUICK, "JAVA_HOME": jvm.home(folder / "java")}
    flags = ["--host", host.address, "--webui-port", "0", *arguments]
    command = [*host.inside, BIN / "spark-class", f"org.apache.spark.deploy.{which}", *flags]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(command, cwd=folder, env=as_a_user(**own), stdout=log, stderr=log)


def _log(folder: Path) -> str:
    return (folder / "log").read_text(encoding="utf-8", errors="replace")
