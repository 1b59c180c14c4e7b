"""What a person sees while a job runs: a session without Spark's noise, progress by stage, and one line if it fails."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from runtime.arguments import flag
from runtime.errors import InputError, ParameterError
from runtime.failures import AGAIN, BROKEN_OFF, told
from runtime.storage.paths import MAKE_ROOM, NO_SPACE, FullDisk, is_full, is_outside

_LOOK_EVERY = 0.5  # seconds
_LINE_EVERY = 30.0  # seconds between lines where the console is a file
_LOUD = ("org.apache.spark.executor.Executor", "org.apache.spark.scheduler.TaskSetManager")
# Memory that is given back to the system must be paid for page by page when it is needed again, a moment later: a fifth
# of a worker's time. The first is for Arrow's allocator, the others for NumPy's.
ALLOCATORS = {
    "MIMALLOC_PURGE_DELAY": "-1",
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}
_SETTINGS = {
    "spark.log.level": "ERROR",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "16384",
    # Else a folder `metadata` where the command starts, such as a result, would hide the package of that name.
    "spark.executorEnv.PYTHONSAFEPATH": "1",  # Python 3.11
    **{f"spark.executorEnv.{name}": value for name, value in ALLOCATORS.items()},
}


def session(name: str) -> SparkSession:
    """Return the Spark session that spark-submit configured; by itself it takes all cores of this machine."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers need the packages of this Python
    builder = SparkSession.builder.appName(name)
    for key, value in _SETTINGS.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    _quieten(spark)
    return spark


def _quieten(spark: SparkSession) -> None:
    """Silence the traces of failing tasks; `one_line_errors` gives their reason."""
    log4j = spark.sparkContext._jvm.org.apache.logging.log4j
    for logger in _LOUD:
        log4j.core.config.Configurator.setLevel(logger, log4j.Level.OFF)


def say(text: str) -> None:
    """Print a line for the person at the console."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def one_line_errors(job: str) -> Iterator[None]:
    """End the program with one sentence instead of a trace: status 2 for bad input, 1 for what failed."""
    try:
        yield
    except FullDisk as error:
        _end(f"{job}: {error}", 1)
    except ParameterError as error:
        _end(f"{job}: {error.spelled(flag)}", 2)
    except InputError as error:
        _end(f"{job}: {error}", 2)
    except (PySparkException, Py4JError) as error:
        sentence, status = told(str(error))
        _end(f"{job}: {sentence}", status)
    except ConnectionError:  # Py4J's, where the JVM has ended
        _end(f"{job}: {BROKEN_OFF}", 1)
    except KeyboardInterrupt:
        _end(f"{job}: stopped; {AGAIN}", 130)
    except Exception as error:
        if not (is_outside(error) or isinstance(error, BrokenExecutor)):
            raise
        _end(f"{job}: {_outside(error)}", 1)


def _outside(error: Exception) -> str:
    """Return a sentence for an error of files, networks or processes that the driver met."""
    if isinstance(error, OSError) and is_full(error):
        return f"{NO_SPACE} {Path(error.filename).parent if error.filename else tempfile.gettempdir()}; {MAKE_ROOM}"
    return f"{' '.join(str(error).split()) or type(error).__name__}; {AGAIN}"


def _end(sentence: str, status: int) -> None:
    say(sentence)
    sys.exit(status)


@contextmanager
def stage(spark: SparkSession, title: str) -> Iterator[None]:
    """Show the progress of what the block lets Spark do, and at its end how long it took."""
    begin, over = time.monotonic(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(spark, title, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    _show(f"{title}: {time.monotonic() - begin:.1f} s", last=True)


class Shown:
    """A callback that passes its calls on to `progress` and shows what that has to say, not more often than is read."""

    def __init__(self, progress):
        self._progress, self._shown = progress, 0.0

    def __call__(self, *event) -> None:
        self._progress(*event)
        now = time.monotonic()
        if now - self._shown > (_LOOK_EVERY if sys.stderr.isatty() else _LINE_EVERY):
            _show(str(self._progress))
            self._shown = now


def _watch(spark: SparkSession, title: str, over: threading.Event) -> None:
    """Write the running stages' tasks and rows per second until `over`."""
    begin = shown = time.monotonic()
    while not over.wait(_LOOK_EVERY):
        now = time.monotonic()
        if sys.stderr.isatty() or now - shown > _LINE_EVERY:
            _show(f"{title}: {_progress(spark, now - begin)}")
            shown = now


def _progress(spark: SparkSession, seconds: float) -> str:
    try:
        store = spark.sparkContext._jsc.sc().statusStore()
        active = [store.lastStageAttempt(id) for id in spark.sparkContext.statusTracker().getActiveStageIds()]
        done, tasks = sum(s.numCompleteTasks() for s in active), sum(s.numTasks() for s in active)
        rows = max((max(s.shuffleReadRecords(), s.shuffleWriteRecords()) for s in active), default=0)
    except Py4JError:  # a stage that has just gone, or a Spark that keeps its figures elsewhere
        return f"{seconds:.0f} s"
    speed = f", {rows:,} rows, {rows / seconds:,.0f} rows/s" if rows else ""
    return f"{done}/{tasks} tasks{speed}, {seconds:.0f} s"


def _show(line: str, last: bool = False) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="\n" if last else "", file=sys.stderr, flush=True)
    else:
        say(line)
