"""Run a command for a person: write messages to the terminal, and one sentence instead of a trace if it ends early.

The sentence names bad input, a failure of files or networks, or what Spark reports.
"""

import errno
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path

from runtime import terminal
from runtime.arguments import with_advice
from runtime.errors import AGAIN, InputError, LowLimit, few_files, low_limit, name_flags, refusal_in, without_secrets
from runtime.interrupts import INTERRUPTED, interruptible
from runtime.kernel_caches import require_safe
from runtime.packages import missing_package, table_rows
from runtime.progress import current
from runtime.storage.paths import FullDisk, is_full, is_outside, no_space

BROKEN_OFF = f"Spark or its master has ended; {AGAIN}"
_LEVELS: dict[str, terminal.Level] = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "error"}
BAD_INPUT, FAILED = 2, 1  # exit statuses
_OF_PATHS = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)  # errors that the next run would meet again
_MEMORY = "the usual cause is too little memory: give executors more memory or fewer cores (docs/how-to/cluster.md)"
_TASK = r"failed (?P<times>\d+) times?, most recent failure: Lost task [^(]*\(TID \d+\) \((?P<host>\S+) \S+ \S+\): "
# Each pattern finds a failure in Spark's trace; its sentence may contain the names of groups of the pattern.
_SENTENCES = {
    row["pattern"].replace("{task}", _TASK): row["sentence"] for row in table_rows("runtime", "spark_failures.csv")
}
_OF_SENTENCES = {"again": AGAIN, "memory": _MEMORY, "broken_off": BROKEN_OFF}


@contextmanager
def command(name: str) -> Iterator[None]:
    """Run the block; if it fails, write one sentence and exit with status 2 (bad input), 1 (failure) or 130 (Ctrl-C).

    Unforeseen errors pass through, without secrets of URLs.
    """
    terminal.attach()
    sentence = f"{name}: stopped; {AGAIN}"
    with _messages(name), interruptible(sentence) as stopped:
        try:
            require_safe()
            yield
        except KeyboardInterrupt:
            if not stopped.is_set():
                terminal.say(sentence, "error")
            sys.exit(INTERRUPTED)
        except Exception as error:
            if stopped.is_set():  # Ctrl-C has ended Spark, and so caused this error.
                sys.exit(INTERRUPTED)
            failure = sentence_for(error)
            if failure is None:
                shown = without_secrets(error)
                if shown is error:
                    raise
                raise shown from None
            reason, status = failure
            terminal.say(f"{name}: {with_advice(reason)}", "error")
            sys.exit(status)


@contextmanager
def _messages(name: str) -> Iterator[None]:
    """Name flags in errors, and write log messages of this project's packages as lines that begin with `name`."""
    name_flags()
    handler = _TerminalHandler()
    handler.setFormatter(logging.Formatter(f"{name}: %(message)s"))
    loggers = [logging.getLogger(package) for package in ("runtime", "metadata", "curation")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
            logger.removeHandler(handler)
        name_flags(False)


class _TerminalHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        terminal.say(self.format(record), _LEVELS.get(record.levelname, "info"), current().title or None)


def sentence_for(error: Exception) -> tuple[str, int] | None:
    """Return a sentence on why a command failed, and its exit status; None for an unforeseen error."""
    if isinstance(error, InputError):
        return str(error), FAILED if isinstance(error, FullDisk | LowLimit) else BAD_INPUT
    if limit := low_limit(error):
        return str(limit), FAILED
    if isinstance(error, ConnectionError):  # Py4J raises it if the JVM has ended.
        return BROKEN_OFF, FAILED
    # Spark is not imported, because some commands do not need it.
    if type(error).__module__.partition(".")[0] in ("pyspark", "py4j"):
        return spark_failure(str(error))
    if isinstance(error, ImportError):
        missing = missing_package(str(error))
        return (missing, BAD_INPUT) if missing else None
    if is_outside(error) or isinstance(error, BrokenExecutor):
        return _outside(error), FAILED
    return None


def spark_failure(text: str) -> tuple[str, int]:
    """Return a sentence for an error that Spark raised, given its text, and the exit status."""
    if ("JAVA_GATEWAY_EXITED" in text or "Too many open files" in text) and (reason := few_files()):
        return reason, FAILED
    refused = refusal_in(text)
    if refused:
        return refused, BAD_INPUT
    lines = [line.strip() for line in text.splitlines()]
    for pattern, sentence in _SENTENCES.items():
        match = re.search(pattern, text)
        if match:
            return sentence.format(**match.groupdict(), **_OF_SENTENCES), FAILED
    missing = [missing_package(line) for line in lines if line.startswith("ImportError: ")]
    if missing and missing[0]:
        return f"in the Python of the workers, {missing[0]}", FAILED
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    reasons = [line.removeprefix(": ") for line in lines if line.startswith(": ")]
    return f"Spark failed: {['it stated no reason', *lines[:1], *reasons, *errors][-1]}", FAILED


def _outside(error: Exception) -> str:
    """Return a sentence for an error of files, networks or processes in the driver."""
    if isinstance(error, OSError) and is_full(error):
        return no_space(Path(error.filename).parent if error.filename else tempfile.gettempdir())
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and error.filename:
        return _denied(error.filename, error.errno == errno.EROFS)
    if isinstance(error, OSError) and error.errno == errno.EMFILE and (reason := few_files()):
        return reason
    if isinstance(error, OSError) and error.errno in _OF_PATHS and error.filename:
        return f"{error.filename} cannot be opened or created ({error.strerror}); specify another path"
    reason = re.sub(r"\[Errno -?\d+\] ", "", " ".join(str(error).split()))
    return f"{reason or type(error).__name__}; {AGAIN}"


def _denied(path: str, read_only: bool) -> str:
    if not read_only and os.path.exists(path) and not os.access(path, os.R_OK):
        return f"you have no permission to read {path}; change its permissions, and {AGAIN}"
    why = "its file system is read-only" if read_only else "you have no permission"
    return f"{path} cannot be written ({why}); specify another output folder, or make this one writable, and {AGAIN}"
