"""Compile kernels before they are needed, in one process per core.

Numba caches compiled kernels on each machine. With an empty cache, all processes would compile the same kernels at the
same time, for up to a minute.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from pkgutil import resolve_name

import llvmlite.binding
import numba

from runtime.caches import require_safe
from runtime.kernels.hashes import siphash
from runtime.progress import Progress, advance
from runtime.storage.locks import alone
from runtime.storage.paths import make_folder

_log = logging.getLogger(__name__)
# With -I nothing is imported from the folder where the command runs; a package there may have the name of one of ours.
_PROGRAM = """
import sys
sys.path[:] = sys.argv[1].split("\\n")
from runtime.warming import _call_all
_call_all(sys.argv[2:])
"""

Call = Callable[[], object]


def compile_kernels(calls: Sequence[Call], seconds: float, progress: Progress | None = None) -> None:
    """Make sure that the kernels which `calls` use are in the cache of this machine.

    `calls` are functions of a module that use kernels with arguments of the usual types. `seconds` is the time that one
    core needs for them. InputError where a folder for kernels is not this user's own.
    """
    require_safe()
    marker = _marker(calls)
    if marker is None or marker.exists():
        return
    cores = min(_cores(), len(calls))
    title = f"compile kernels, once per machine (about {seconds / cores:.0f} s)"
    with alone(marker.parent / "compiling"), (progress or Progress()).stage(title, "groups"):
        if not marker.exists() and _run(calls):
            with suppress(OSError):
                marker.touch()


def _marker(calls: Sequence[Call]) -> Path | None:
    """Return the file that says that all is compiled; None where Numba can cache nothing."""
    cache = _cache_folder()
    if not cache:
        return None
    digest = hashlib.sha256()
    for part in (numba.__version__, llvmlite.binding.get_host_cpu_name(), *sys.version_info, *map(_name, calls)):
        digest.update(f"{part}\n".encode())
    for name, source in sorted(_sources(calls)):
        digest.update(f"{name} {len(source)}\n".encode() + source)
    with suppress(OSError):
        return make_folder(Path(cache)) / f"compiled-{digest.hexdigest()[:16]}"
    return None


def _cache_folder() -> str | None:
    """Return the folder where Numba caches the kernels of this package."""
    return siphash.stats.cache_path


def _sources(calls: Sequence[Call]) -> Iterator[tuple[str, bytes]]:
    """Yield name and text of the calls' modules and of all kernels in their packages."""
    for module in {call.__module__ for call in calls}:
        yield module, Path(importlib.import_module(module).__file__ or "").read_bytes()
    for package in {"runtime", *(call.__module__.partition(".")[0] for call in calls)}:
        folder = Path(importlib.import_module(package).__file__ or "").parent
        for file in folder.glob("kernels/**/*.py"):
            yield f"{package}/{file.relative_to(folder)}", file.read_bytes()


def _run(calls: Sequence[Call]) -> bool:
    """Run the calls in other processes; return whether all ended well."""
    command = [sys.executable, "-I", "-c", _PROGRAM, "\n".join(sys.path), *map(_name, calls)]
    advance(total=len(calls))
    # A session of its own: Ctrl-C is for this process, which then ends them.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout
            for _ in process.stdout:
                advance(done=1)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        _log.warning("kernels could not be compiled ahead; each is compiled where it is first needed")
    return process.returncode == 0


def _call_all(names: list[str]) -> None:
    """Call functions by their names, in a process per core, and print the name of each that is done."""
    for name in names:
        resolve_name(name)  # imported once for all processes
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with context.Pool(min(_cores(), len(names))) as pool:
        for name in pool.imap_unordered(_call, names, chunksize=1):
            print(name, flush=True)


def _call(name: str) -> str:
    resolve_name(name)()
    return name


def _name(call: Call) -> str:
    return f"{call.__module__}:{call.__qualname__}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
