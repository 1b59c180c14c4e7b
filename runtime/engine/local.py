"""The engine of one machine: processes of its own, which exchange blocks through files.

Processes start when a stage has several tasks, and stay for later stages. They are forked from a server that has
imported the packages, never from this process, whose threads may hold locks. A stage of one task, or on one core, runs
in this process. A process that dies is replaced, and its tasks begin again.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from multiprocessing import forkserver, resource_tracker, spawn
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, NamedTuple, cast

import cloudpickle
import numpy as np

from runtime import engine
from runtime.argument_types import MOST_CORES, require_integer
from runtime.arrow import ALLOCATORS
from runtime.buckets import Block, Extent
from runtime.engine import Numbered, RunTask, Stage
from runtime.errors import AGAIN, InputError, LowLimit, name_flags, without_secrets
from runtime.interrupts import postponed
from runtime.progress import Progress, advance, advanced, current, running, visible
from runtime.redaction import learn, secret_addresses
from runtime.shipping import Shipped, opened_itself
from runtime.storage.paths import FullDisk, is_full, make_folder, remove, room
from runtime.storage.scratch import scratch, scratch_of_process
from runtime.tallies import TaskResult
from runtime.warming import usable_cores

TRIES = 3  # tries of a task whose process, or the server that forks processes, dies
AHEAD = 2  # tasks per core that the processes hold at a time, waiting ones included
_OWN = ("curation", "metadata", "runtime")
_CTRL_C = {signal.SIGINT}
_ADDRESS = 107 - len("/listener-12345678")  # the most bytes of the path of a folder of sockets
_HERE = "pass Local(1) as the engine, which needs no other processes"
_MOMENT = 0.2  # seconds: until a killed server has ended, Python would ask it for further workers
_LOOK_EVERY = 1.0  # seconds: how often a process that waits makes sure that the server runs
_PATIENCE = 300.0  # seconds for the server to start and to fork a worker; most of it are imports from a slow disk
_preparation = spawn.get_preparation_data
_unregister = resource_tracker.unregister

# The position of a block: its partition, the index of its file, where it begins in the file, and its number of bytes.
# The driver holds the position of each block of an exchange, so the fields are small.
_PLACES = np.dtype([("partition", "<i4"), ("file", "<i4"), ("begin", "<i8"), ("size", "<u4")])

Call = Callable[[int, Any], Any]  # returns the result of a task, given the index and the item


class Local:
    """An engine that runs tasks in `cores` processes of this machine, by default one for each core."""

    is_local = True

    def __init__(self, cores: int | None = None) -> None:
        if cores is not None:
            require_integer("cores", cores, 1, MOST_CORES)
        self.cores = cores or usable_cores()
        self._pool: ProcessPoolExecutor | None = None
        self._pid = os.getpid()

    def start(self, progress: Progress) -> None:
        """Do nothing: processes start when they are needed."""

    def run(
        self, items: list[Any], function: Callable[[Any], TaskResult], tasks_per_core: int | None = None
    ) -> TaskResult:
        """Call `function(item)` for each item; return the sum of the results."""
        sums = Sums(len(items))
        for numbered in self._each(items, partial(_numbered, function)):
            sums.add(numbered)
        return sums.total()

    def exchange(self, items: list[Any], send: RunTask, stages: Sequence[Stage]) -> TaskResult:
        """Send the blocks of all items through the stages, in files; return the sum of all results."""
        tasks = [*(stage.partitions for stage in stages), 0]
        sums = Sums(len(items) + sum(tasks))
        first = 0
        inputs = cast("Sequence[Any]", items)
        with scratch() as folder:
            for number, run in enumerate((send, *(stage.run for stage in stages))):
                sending = _Sending(run, first, make_folder(folder / str(number)), tasks[number])
                first += len(inputs)
                inputs = _gathered(self._each(inputs, sending.send), tasks[number], sums)
                if number:
                    remove(folder / str(number - 1))
        return sums.total()

    def ship(self, source: Path) -> Shipped:
        """Return a file or a folder as an artefact, which workers open where it is."""
        return opened_itself(source)

    def require_shared(self, folder: Path) -> None:
        """Accept any folder: workers see what this process sees."""

    def close(self) -> None:
        """Kill the processes, even if they are at work."""
        with postponed():
            pool, self._pool = self._pool, None
            if pool is not None and self._pid == os.getpid():  # A fork of this process leaves them alone.
                for process in [*(pool._processes or {}).values()]:
                    process.kill()
                _continue_server()
                pool.shutdown(cancel_futures=True)

    def __del__(self) -> None:
        # If a pool is not closed, Python closes it at exit, which may fail and print a trace.
        with suppress(Exception):
            self.close()

    def _each(self, items: Sequence[Any], call: Call) -> Iterator[Any]:
        """Yield the results of `call(index, item)` for all items, in any order."""
        if len(items) > 1 and self.cores > 1:
            return self._in_processes(items, call)
        advance(total=engine.to_do(items)["total"])
        return (_here(call, *numbered) for numbered in enumerate(items))

    def _in_processes(self, items: Sequence[Any], call: Call) -> Iterator[Any]:
        done = engine.to_do(items)
        waiting = deque(_Task(*numbered) for numbered in enumerate(items))
        with scratch() as folder:
            current().follow(lambda: done + running(folder))
            path = folder / "call"
            path.write_bytes(cloudpickle.dumps((call, secret_addresses())))
            task_by_future: dict[Future, _Task] = {}
            try:
                while waiting or task_by_future:
                    try:
                        while waiting and len(task_by_future) < AHEAD * self.cores:
                            task = waiting[0]  # The task stays there if a process has died since the last one.
                            with postponed():  # A worker that Ctrl-C leaves half started would print a trace.
                                task_by_future[self._processes().submit(_called, path, task.index, task.item)] = task
                            waiting.popleft()
                        ended = wait(task_by_future, _LOOK_EVERY, FIRST_COMPLETED).done
                        if not ended:
                            _continue_server()
                        for future in ended:
                            result, counts = future.result()
                            done.update(counts)
                            del task_by_future[future]
                            yield result
                    except BrokenProcessPool:  # All tasks handed out are lost.
                        # If none was handed out, the next task loses a try: a server that always dies must end the run.
                        lost = [*task_by_future.values()] or [waiting.popleft()]
                        waiting.extendleft(task.again() for task in lost)
                        task_by_future.clear()
                        self.close()
                        time.sleep(_MOMENT)
            except BaseException:
                self.close()
                raise

    def _processes(self) -> ProcessPoolExecutor:
        if self._pool is None or self._pid != os.getpid():
            _start_server()
            try:
                self._pool = ProcessPoolExecutor(self.cores, _Context(), _begin, (dict(os.environ),))
                self._pid = os.getpid()
            except OSError as error:
                kind = FullDisk if is_full(error) else InputError
                fault = error.strerror
                raise kind(
                    f"/dev/shm cannot be written ({fault}), but worker processes need it; free or enable it, or use "
                    "--cores 1, which needs no workers"
                ) from error
        return self._pool


@dataclass
class _Task:
    """An item that waits for a process: its index, and `tries`, how many more processes may work on it."""

    index: int
    item: Any
    tries: int = TRIES

    def again(self) -> _Task:
        """Return the task with one try fewer; WorkerLost if none is left."""
        self.tries -= 1
        if not self.tries:
            raise WorkerLost(
                f"processes were killed {TRIES} times while they ran the same task; the usual cause is too little "
                "memory: use fewer --cores"
            )
        return self


class WorkerLost(OSError):
    """Processes of this machine were killed, by the system or by a person."""


@dataclass(frozen=True)
class Partition:
    """The blocks for one partition, which are in `files`."""

    files: list[Path]
    places: np.ndarray  # _PLACES[block]

    def __iter__(self) -> Iterator[Block]:
        """Yield each block; its rows are still in the file."""
        for _, file, begin, size in self.places.tolist():
            yield Block.at(Extent(self.files[file], begin, size))


class _Sent(NamedTuple):
    """The return value of a sending task: the files of its blocks, where the blocks are in them, and its result."""

    files: list[Path]
    places: np.ndarray  # _PLACES[block]
    numbered: Numbered


class Sums:
    """The sums of the results of `number` items, independent of the order in which the items end."""

    def __init__(self, number: int) -> None:
        self._number = number
        indices = range(number) if number > engine.ADDED_ONE_BY_ONE else ()
        self._sizes = Counter(engine.part_of(index, number) for index in indices)
        self._waiting: dict[int, list[Numbered]] = {}  # The keys are numbers of parts.
        self._added: list[Numbered] = []

    def add(self, numbered: Numbered) -> None:
        """Add the result of an item; of more than ADDED_ONE_BY_ONE items, each part (`part_of`) is summed once full."""
        if self._number <= engine.ADDED_ONE_BY_ONE:
            self._added.append(numbered)
            return
        part = engine.part_of(numbered[0], self._number)
        waiting = self._waiting.setdefault(part, [])
        waiting.append(numbered)
        if len(waiting) == self._sizes[part]:
            self._added.append((part, engine.in_order(self._waiting.pop(part))))

    def total(self) -> TaskResult:
        """Return the sums over all items."""
        return engine.in_order(self._added)


def _gathered(sent: Iterator[_Sent], partitions: int, sums: Sums) -> list[Partition]:
    """Return the blocks of each partition after all senders end; add their results to `sums`."""
    indices: dict[Path, int] = {}
    gathered = [np.empty(0, _PLACES)]
    for message in sent:
        of_files = [indices.setdefault(file, len(indices)) for file in message.files]
        message.places["file"] = np.array(of_files)[message.places["file"]]
        gathered.append(message.places)
        sums.add(message.numbered)
    places = np.concatenate(gathered)
    gathered.clear()
    places = places[np.lexsort((places["begin"], places["file"], places["partition"]))]
    bounds = np.searchsorted(places["partition"], np.arange(partitions + 1))
    files = list(indices)
    return [Partition(files, places[begin:end]) for begin, end in pairwise(bounds)]


def _numbered(function: Callable[[Any], TaskResult], index: int, item: Any) -> Numbered:
    """Call the function with an item; return the item's index and the result."""
    return index, function(item)


@dataclass(frozen=True)
class _Sending:
    """Runs a task of an exchange; its blocks, for `partitions` tasks of the next stage, are written below `folder`.

    `first` is the number of tasks in earlier stages, whose numbers come before the numbers of this stage.
    """

    run: RunTask
    first: int
    folder: Path
    partitions: int

    def send(self, index: int, item: Any) -> _Sent:
        """Run the task `index` of the stage with its item."""
        result = TaskResult()
        blocks = self.run(index, item, result) or ()
        files, places = _places(blocks, self.folder, self.partitions)
        return _Sent(files, places, (self.first + index, result))


def _places(blocks: Iterable[Block], folder: Path, partitions: int) -> tuple[list[Path], np.ndarray]:
    """Return the files of the blocks, and where the blocks are, _PLACES[block].

    Blocks that are not yet in a file that stays are appended to this process's file in `folder`. An exchange has a
    folder for each stage, and the folders of earlier stages are soon removed.
    """
    own = folder / str(os.getpid())
    exchanged = f"{folder.parent}{os.sep}"
    indices = {own: 0}
    places = list[tuple[int, int, int, int]]()
    with room(folder), own.open("ab") as file:
        for block in blocks:
            extent = block.extent
            if extent is None or str(extent.path).startswith(exchanged):
                data = block.read()
                extent = Extent(own, file.tell(), len(data))
                file.write(data)
            index = indices.setdefault(extent.path, len(indices))
            places.append((block.scaled(partitions), index, extent.begin, extent.size))
    return list(indices), np.array(places, _PLACES)


def _here(call: Call, index: int, item: Any) -> Any:
    """Run a task in this process; return the result."""
    result = call(index, item)
    advance(done=engine.size(item))
    return result


def _called(path: Path, index: int, item: Any) -> tuple[Any, Counter[str]]:
    """Run a task in a worker; return the result, and the progress that the task counted for its stage.

    `path` is the file of the pickled function.
    """
    call, addresses = _opened(path)
    learn(addresses)
    before = advanced()
    try:
        with visible(path.parent, str(index)):
            result = call(index, item)
    except Exception as error:
        raise _portable(without_secrets(error)) from None
    return result, advanced() - before + Counter(done=engine.size(item))


@lru_cache(maxsize=1)
def _opened(path: Path) -> tuple[Call, Any]:
    return pickle.loads(path.read_bytes())


def _portable(error: Exception) -> Exception:
    """Return an error that can be pickled for the driver: `error`, or a RuntimeError with its class and text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _start_server() -> None:
    """Start the server that workers are forked from, unless it runs.

    From Python 3.11 on, the server first imports the modules of this project that this process has imported.
    """
    process: Any = multiprocessing.current_process()
    if process.daemon:
        raise InputError(
            f"a daemonic process of multiprocessing may not start other processes; set daemon=False, or {_HERE}"
        )
    process._config.setdefault("tempdir", _folder_of_sockets())
    modules = [name for name in sys.modules if name.partition(".")[0] in _OWN]
    # Before Python 3.11 the server would import from the current folder first, which may have a module of such a name.
    multiprocessing.set_forkserver_preload(modules if sys.version_info >= (3, 11) else [])
    settings = ALLOCATORS | {"PYTHONSAFEPATH": "1"}
    before = {name: os.environ.get(name) for name in settings}
    warnings.filterwarnings("ignore", "resource_tracker: process died unexpectedly", UserWarning)
    resource_tracker.unregister = _unregister_at_any  # type: ignore[assignment]
    resource_tracker.ensure_running()  # Otherwise it would start below, and unblock signals.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _CTRL_C)
    os.environ.update(settings)
    try:
        forkserver.ensure_running()
    except ChildProcessError:
        raise InputError(
            "this process was forked (by os.fork, or multiprocessing's fork) from a process that had started workers, "
            f"and it cannot use these; start it by multiprocessing's spawn or by subprocess, or {_HERE}"
        ) from None
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _unregister_at_any(name: str, kind: str) -> None:
    """Unregister a semaphore at Python's process that tracks them.

    If somebody kills that process, Python starts another, which does not know the name, and would print a trace.
    """
    resource_tracker.ensure_running()  # In Python 3.14, the message that finds it killed is lost.
    resource_tracker.register(name, kind)
    _unregister(name, kind)


@lru_cache(1)
def _folder_of_sockets() -> str:
    """Return a folder that is removed when this process ends, and whose path is short enough for sockets."""
    folder = str(scratch_of_process())
    if len(os.fsencode(folder)) > _ADDRESS:  # A long TMPDIR is the reason.
        folder = tempfile.mkdtemp(prefix="clip-", dir="/tmp")
        Finalize(None, remove, (Path(folder),), exitpriority=-1)
    return folder


class _Process(ForkServerProcess):
    """A worker that does not run the user's main module again."""

    def start(self) -> None:
        spawn.get_preparation_data = _without_main
        try:
            with _watched_server():
                super().start()
        except (EOFError, ConnectionError) as error:
            if _server_has_failed():
                raise LowLimit(
                    "no worker could be started: the system does not let this command start more processes or use more "
                    "memory; allow more (ulimit -u, ulimit -v, or a container's limits), or use fewer --cores, and "
                    f"{AGAIN}"
                ) from None
            raise BrokenProcessPool("the server that workers are forked from was killed") from error
        finally:
            spawn.get_preparation_data = _preparation


@contextmanager
def _watched_server() -> Iterator[None]:
    """Let the block, which waits for the server, end: continue a stopped server, and kill one that does not answer."""
    over = threading.Event()
    threading.Thread(target=_watch_server, args=(over,), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _watch_server(over: threading.Event) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _CTRL_C)  # Ctrl-C must wake the main thread.
    # The checks are counted, not the time: if the command itself is stopped for hours, the server is not to blame.
    for _ in range(round(_PATIENCE / _LOOK_EVERY)):
        if over.wait(_LOOK_EVERY):
            return
        _continue_server()
    _signal_server(signal.SIGKILL)


def _server_has_failed() -> bool:
    """Say whether the server ended because of an error, for example because it could not fork, and not by a signal."""
    time.sleep(_MOMENT)
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    try:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return ended is not None and ended.si_code == os.CLD_EXITED


def _continue_server() -> None:
    """Continue the server if somebody has stopped it: it would neither fork workers nor report that one has died."""
    _signal_server(signal.SIGCONT)


def _signal_server(number: signal.Signals) -> None:
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


class _Context(ForkServerContext):
    Process = _Process


def _without_main(name: str) -> dict[str, Any]:
    return {key: value for key, value in _preparation(name).items() if not key.startswith("init_main")}


def _begin(environment: dict[str, str]) -> None:
    """Prepare a worker: set the driver's environment, let Ctrl-C end it without a trace, and end it with the driver."""
    name_flags()
    os.environ.update(environment)  # The server may have started before a variable was set.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _CTRL_C)
    gc.freeze()  # Objects of libraries stay, and checking them again and again takes a tenth of a worker's time.
    threading.Thread(target=_end_with_driver, daemon=True).start()


def _end_with_driver() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
