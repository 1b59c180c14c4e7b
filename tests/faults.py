"""Places in the program where a test stops a process of a job, to kill it there or to let it go on."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import cluster
from conftest import ROOT

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
        while number < PLACE["waiting"] and not (FOLDER / "go").exists():
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


@dataclass(frozen=True)
class Hold:
    """The first calls of a function wait, in whichever processes they come; the others go on."""

    folder: Path

    @classmethod
    def at(cls, folder: Path, module: str, function: str, waiting: int = 1) -> "Hold":
        """Return the hold of a function, or of a method written as `Class.name`."""
        folder.mkdir()
        place = {"module": module, "function": function, "waiting": waiting}
        (folder / "place.json").write_text(json.dumps(place))
        (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)
        return cls(folder)

    def reached(self, number: int = 0) -> int:
        """Return the id of the process in which that call came, as soon as it has come."""
        call = self.folder / f"{number}.call"
        cluster.wait_for(call.exists)
        return int(call.read_text())

    def calls(self) -> int:
        """Return how many calls have come."""
        return len(list(self.folder.glob("*.call")))

    def go(self) -> None:
        """Let those who wait go on."""
        (self.folder / "go").touch()


def begin(master: str, *arguments, conf=(), hold: Hold | None = None, **more: str) -> subprocess.Popen:
    """Start spark-submit on a job with these arguments."""
    conf = [*conf, *([f"spark.executorEnv.PYTHONPATH={hold.folder}"] if hold else [])]
    flags = [flag for each in conf for flag in ("--conf", each)]
    command = [cluster.BIN / "spark-submit", "--master", master, "--executor-memory", "512m", *flags, *arguments]
    environment = cluster.environment(**({"PYTHONPATH": str(hold.folder)} if hold else {}), **more)
    return subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def said(job: subprocess.Popen) -> str:
    """Return the last line that a job writes before it ends."""
    return job.communicate(timeout=600)[0].strip().splitlines()[-1]


def executor_of(worker: int) -> int:
    """Return the id of the JVM whose Python worker has this id; in local mode that is the driver's."""
    parent = worker
    while "pyspark" in cluster.command_of(parent) and "java" not in cluster.command_of(parent).split(" ")[0]:
        parent = _parent(parent)
    return parent


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
