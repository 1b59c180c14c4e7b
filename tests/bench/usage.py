"""Measure the cost of a command: wall and processor time and peak memory, of the JVM and of the Python workers apart.

Linux only: it looks into /proc.
"""

import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_EVERY = 0.1  # seconds


@dataclass
class Usage:
    """The figures of one run; `cpu` in seconds and `peak` in MB by kind of process: jvm, worker."""

    wall: float
    output: str
    cpu: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)  # of the largest process of the kind, without shared pages
    together: float = 0.0  # the most that all processes had at a time, likewise


def run(command: list[str], **options) -> Usage:
    """Run a command to its end; RuntimeError with what it said if it fails."""
    begin = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options) as process:
        watched, over = _Watched(process.pid), threading.Event()
        watcher = threading.Thread(target=watched.until, args=(over,), daemon=True)
        watcher.start()
        output = process.communicate()[0]
        over.set()
        watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output}")
    return Usage(time.monotonic() - begin, output, *watched.sums(), watched.together)


class _Watched:
    """The processes below one, seen every now and then: what a process used after the last look is lost."""

    def __init__(self, root: int):
        self._root = root
        self._cpu: dict[int, float] = {}
        self._peak: dict[int, float] = {}
        self._kind: dict[int, str] = {}
        self.together = 0.0

    def until(self, over: threading.Event) -> None:
        while not over.wait(_EVERY):
            self._look()

    def sums(self) -> tuple[dict[str, float], dict[str, float]]:
        kinds = sorted(set(self._kind.values()))
        cpu = {kind: sum(self._cpu[pid] for pid, own in self._kind.items() if own == kind) for kind in kinds}
        peak = {kind: max(self._peak[pid] for pid, own in self._kind.items() if own == kind) for kind in kinds}
        return cpu, peak

    def _look(self) -> None:
        now: dict[int, float] = {}
        stats = {int(path.name): stat for path in Path("/proc").glob("[0-9]*") if (stat := _stat(path))}
        for pid, (_, cpu) in stats.items():
            if self._is_below(pid, stats) and (kind := _kind(pid)):
                self._kind.setdefault(pid, kind)
                self._cpu[pid] = max(cpu, self._cpu.get(pid, 0.0))
                now[pid] = _memory(pid)
                self._peak[pid] = max(now[pid], self._peak.get(pid, 0.0))
        self.together = max(self.together, sum(now.values()))

    def _is_below(self, pid: int, stats: dict) -> bool:
        while pid in stats and pid != self._root:
            pid = stats[pid][0]
        return pid == self._root


def _stat(path: Path) -> tuple[int, float] | None:
    """Return the parent of a process and the seconds of processor time that it used."""
    try:
        fields = (path / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / _TICKS


def _kind(pid: int) -> str | None:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    if b"pyspark.daemon" in command or b"pyspark/daemon" in command:
        return "worker"
    program = Path(os.fsdecode(command.partition(b"\0")[0])).name
    return "jvm" if program == "java" else "driver" if program.startswith("python") else None


def _memory(pid: int) -> float:
    """Return the resident memory of a process in MB, without pages of files, which all processes share."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024
