"""Compile kernels before they are needed, in one process per core.

Numba caches compiled kernels on each machine. With an empty cache, all processes would compile the same kernels at the
same time, for up to a minute.
"""

import hashlib
import importlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from pkgutil import resolve_name

import llvmlite
import numba
from numba.core import event

from runtime.kernel_caches import COMPILED, COMPILED_FOR, brings_compiled, processor, require_safe
from runtime.kernels.hashes import siphash
from runtime.progress import Progress
from runtime.storage.locks import alone
from runtime.storage.paths import make_folder

MAX_SECONDS = 1800.0  # for all kernels, which take one or two minutes on one core
_COUNT = "compiling-count"  # a file with a line for each kernel that is compiled by now, some twice
_log = logging.getLogger(__name__)
# With -I nothing is imported from the folder where the command runs; a package there may have the name of one of ours.
_PROGRAM = """
import sys
sys.path[:] = sys.argv[1].split("\\n")
from runtime.warming import _call_all
_call_all(sys.argv[2], sys.argv[3:])
"""

Call = Callable[[], object]


def compile_kernels(calls: Mapping[Call, int], progress: Progress | None = None) -> None:
    """Compile the kernels that `calls` use, unless they are in the cache of this machine.

    `calls` are functions of a module that use kernels with arguments of the usual types, each with the number of
    kernels that the function compiles. InputError if a folder for kernels is not this user's own.
    """
    require_safe()
    missing = _missing(calls)
    if not missing:
        return
    folder = next(iter(missing.values())).parent
    total = sum(calls[call] for call in missing)
    with (progress or Progress()).stage(f"compile {total} kernels, once on this machine", "kernels") as stage:
        stage.follow(lambda: _compiled(folder / _COUNT, total))
        with alone(folder / "compiling"):
            # Another process has not compiled these meanwhile.
            left = [call for call, marker in missing.items() if not marker.exists()]
            if left and _run(left, folder / _COUNT):
                for call in left:
                    with suppress(OSError):
                        missing[call].touch()


def _missing(calls: Iterable[Call]) -> dict[Call, Path]:
    """Return the calls whose kernels are not compiled yet, each with the path of a file that is made once they are.

    The result is empty if Numba can cache nothing.
    """
    cache = _cache_folder()
    if not cache:
        return {}
    brought = _markers(calls, COMPILED_FOR) if brings_compiled() else {}
    with suppress(OSError):
        folder = make_folder(Path(cache))
        return {
            call: folder / marker
            for call, marker in _markers(calls, processor()).items()
            if not (folder / marker).exists()
            and not (call in brought and (COMPILED / "runtime" / "kernels" / brought[call]).exists())
        }
    return {}


def _markers(calls: Iterable[Call], cpu: str) -> dict[Call, str]:
    """Return the name of the file that says that the kernels of a call are compiled, for each call.

    The name does not depend on the other calls: whoever asks for some of them finds what was compiled with others.
    """
    made = [numba.__version__, llvmlite.__version__, sys.implementation.cache_tag, cpu]
    digests: dict[str, bytes] = {}  # of versions and sources, by the module of the call
    for module in {call.__module__ for call in calls}:
        digest = hashlib.sha256("".join(f"{part}\n" for part in made).encode())
        for name, source in sorted(_sources(module)):
            digest.update(f"{name} {len(source)}\n".encode() + source)
        digests[module] = digest.digest()
    return {
        call: f"compiled-{hashlib.sha256(digests[call.__module__] + _name(call).encode()).hexdigest()[:16]}"
        for call in calls
    }


def _compiled(count: Path, total: int) -> Counter[str]:
    """Return the number of kernels compiled so far, read from the file `count`, as the progress of a stage."""
    lines = count.read_bytes().splitlines() if count.exists() else []
    return Counter(done=len({*lines}), total=total)  # Two processes may compile the same kernel.


def _cache_folder() -> str | None:
    """Return the folder where Numba caches the kernels of this package; None if there is none."""
    return siphash.stats.cache_path


def _sources(module: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each source file on which the compiled kernels of a module's calls depend."""
    yield module, Path(importlib.import_module(module).__file__ or "").read_bytes()
    for package in {"runtime", module.partition(".")[0]}:
        folder = Path(importlib.import_module(package).__file__ or "").parent
        for file in {*folder.rglob("kernels/**/*.py")}:
            yield f"{package}/{file.relative_to(folder)}", file.read_bytes()


def _run(calls: Sequence[Call], count: Path) -> bool:
    """Run the calls in other processes, which add a line to `count` for each kernel; return whether all succeeded."""
    count.write_bytes(b"")
    command = [sys.executable, "-I", "-c", _PROGRAM, "\n".join(sys.path), str(count), *map(_name, calls)]
    # In a session of their own: Ctrl-C reaches only this process, which then ends the others.
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            process.wait(MAX_SECONDS)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
    if process.returncode:  # The code is negative if the process was killed.
        _log.warning("kernels could not be compiled ahead; each is compiled where it is first needed")
    return process.returncode == 0


def _call_all(count: str, names: list[str]) -> None:
    """Call functions by their names, in one process per core; add a line to the file `count` for each kernel."""
    for name in names:
        resolve_name(name)  # The module is imported once for all processes.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    workers = min(usable_cores(), len(names))
    # Unlike multiprocessing's Pool, it notices a killed process.
    with ProcessPoolExecutor(workers, context, _count_kernels, (count,)) as pool:
        for _ in pool.map(_call, names):
            pass


def _call(name: str) -> None:
    resolve_name(name)()


def _count_kernels(count: str) -> None:
    file = os.open(count, os.O_WRONLY | os.O_APPEND)
    event.register("numba:compile", _Counting(file))


class _Counting(event.Listener):
    """Adds a line to a file for each compiled kernel that has a cache, but not for functions of Numba itself."""

    def __init__(self, file: int) -> None:
        self._file = file

    def on_start(self, event: event.Event) -> None:
        pass

    def on_end(self, event: event.Event) -> None:
        kernel = event.data["dispatcher"]
        if kernel.stats.cache_path:
            os.write(self._file, f"{kernel.py_func.__qualname__} {event.data['args']}\n".encode())


def _name(call: Call) -> str:
    return f"{call.__module__}:{call.__qualname__}"


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
