"""Stop a process of a job where it calls a function, to kill it there or to let it go on."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support import cluster, jvm
from tests.support.checkout import ROOT

# Python imports a module of this name by itself where it is on the path: in the driver and in each worker.
_SITECUSTOMIZE = '''
import functools, importlib.abc, importlib.util, json, os, sys, time
from pathlib import Path

FOLDER = Path(__file__).parent
PLACE = json.loads((FOLDER / "place.json").read_text())


class Finder(importlib.abc.MetaPathFinder):
    """Lets one function of one module wait, as soon as the module is imported."""

    def find_spec(self, name, path, target=None):
        if name != PLACE["module"]:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        spec.loader.exec_module = functools.partial(execute, spec.loader.exec_module)
        return spec


def execute(execute_module, module):
    execute_module(module)
    *owners, name = PLACE["function"].split(".")
    owner = functools.reduce(getattr, owners, module)
    setattr(owner, name, held(getattr(owner, name)))


def held(function):
    @functools.wraps(function)
    def call(*arguments, **named):
        number = announce()
        while PLACE["first"] <= number < PLACE["first"] + PLACE["waiting"] and not (FOLDER / "go").exists():
            time.sleep(0.02)
        return function(*arguments, **named)

    return call


def announce():
    """Write a file `0.call`, `1.call` … of this process, whole at once; return the number."""
    own = FOLDER / f"{os.getpid()}.announced"
    own.write_text(str(os.getpid()))
    number = 0
    while True:
        try:
            os.link(own, FOLDER / f"{number}.call")
            own.unlink()
            return number
        except FileExistsError:
            number += 1


sys.meta_path.insert(0, Finder())
'''
_HOLDS: list["Hold"] = []
_JOBS: list[subprocess.Popen] = []


@dataclass(frozen=True)
class Hold:
    """Some calls of a function wait, in whichever processes they come; the others go on."""

    folder: Path

    @classmethod
    def at(cls, folder: Path, module: str, function: str, waiting: int = 1, first: int = 0) -> "Hold":
        """Return the hold of a function, or of a method written as `Class.name`."""
        folder.mkdir()
        place = {"module": module, "function": function, "waiting": waiting, "first": first}
        (folder / "place.json").write_text(json.dumps(place))
        (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)
        _HOLDS.append(cls(folder))
        return _HOLDS[-1]

    def reached(self, number: int = 0) -> int:
        """Return the id of the process in which that call came, as soon as it has come."""
        call = self.folder / f"{number}.call"
        cluster.wait_for(lambda: call.exists() or _require_running())
        return int(call.read_text())

    def calls(self) -> int:
        """Return how many calls have come."""
        return len(list(self.folder.glob("*.call")))

    def go(self) -> None:
        """Let those who wait go on."""
        (self.folder / "go").touch()


def begin(
    master: str | None, *arguments, conf=(), hold: Hold | None = None, host: cluster.Host | None = None
) -> subprocess.Popen:
    """Start spark-submit on a job with these arguments, on a host other than this one if it is given.

    Without a master the job runs on processes of this machine.
    """
    path = {"PYTHONPATH": hold.folder} if hold else {}
    of_executors = ["spark.executor.memory=512m", f"spark.executor.extraJavaOptions={jvm.QUICK}"]
    conf = [*of_executors, *conf, *(f"spark.executorEnv.{name}={at}" for name, at in path.items())]
    command = [cluster.BIN / "spark-submit", "--master", master, *(flag for each in conf for flag in ("--conf", each))]
    if master is None:
        command = [sys.executable]
    own = {"SPARK_LOCAL_IP": host.address, **host.variables} if host else {}
    with_pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    command = [*(host.inside if host else ()), *command, *map(str, arguments)]
    job = subprocess.Popen(command, cwd=ROOT, env=cluster.as_a_user(**path, **own), **with_pipe)
    _JOBS.append(job)
    return job


def ended(job: subprocess.Popen) -> tuple[int, str]:
    """Return the status with which a job ends, and its last line but what the JVM may say while it shuts down."""
    lines = job.communicate(timeout=600)[0].strip().splitlines()
    own = [line for line in lines if re.match(r"clip-[a-z]+: |Traceback", line)]
    return job.returncode, ["", *lines, *own][-1]


def _require_running() -> None:
    """Fail with the last words of a job if all jobs have ended."""
    if all(job.poll() is not None for job in _JOBS):
        raise AssertionError(ended(_JOBS[-1]))


def leave_nothing() -> None:
    """End the jobs that a test has left running, and let go whoever still waits."""
    for job in _JOBS:
        if job.poll() is None:
            job.kill()
            job.communicate()
    for hold in _HOLDS:
        hold.go()
    _JOBS.clear()
    _HOLDS.clear()


def curate_arguments(sample: Path, output: Path, *inputs: Path) -> list:
    """Return the command line that curates the sample, or other inputs with its entries."""
    entries = [f"{path.stem}={path}" for path in sorted((sample / "entries").glob("*.txt"))]
    inputs = inputs or (sample / "crawl", sample / "pairs")
    return ["jobs/curate.py", "--input", *inputs, "--entries", *entries, "--english-threshold", 20, "--output", output]


def looks_whole(output: Path) -> bool:
    """Return whether a folder has what only a run that came to its end leaves."""
    return (output / "run.json").exists() or (output / "curated").exists()
