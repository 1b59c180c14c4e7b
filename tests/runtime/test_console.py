"""A command that cannot go on ends in one sentence and a status: 2 for bad input, 1 for other failures."""

import errno
import os

import pytest
from botocore.exceptions import EndpointConnectionError
from pyspark.errors import PythonException

from metadata import InputError
from runtime.console import command
from runtime.errors import ParameterError
from runtime.storage.paths import FullDisk

FULL = os.strerror(errno.ENOSPC)
OF_A_WORKER = """An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "/x/y.py", line 7, in work
    raise %s
%s
"""


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (InputError("no such file"), 2, "no such file"),
        (
            PythonException(OF_A_WORKER % ("x", "runtime.errors.InputError: no space left in /o; y")),
            2,
            "no space left in /o; y",
        ),
        (
            PythonException(OF_A_WORKER % ("x", "runtime.storage.paths.FullDisk: no space left in /o; y")),
            1,
            "no space left in /o; y",
        ),
        (FullDisk("no space left in /o; y"), 1, "no space left in /o; y"),
        (PythonException(OF_A_WORKER % ("x", "ValueError: 7")), 1, "Spark failed: ValueError: 7"),
        (
            PythonException(f"java.io.IOException: {FULL}"),
            1,
            "a disk is full: make room in the output folder or on the disks of workers (spark.local.dir)",
        ),
        (
            OSError(errno.ENOSPC, FULL, "/out/.work"),
            1,
            "no space left in /out, on the file system /; make room and run the same command again",
        ),
        (
            OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "/out/.work"),
            1,
            "no space left in /out, on the file system /; make room",
        ),
        (OSError(errno.ENOSPC, FULL), 1, "no space left in /"),
        (PermissionError(errno.EACCES, "Permission denied", "/out"), 1, "/out is not writable"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/proc/x"), 1, "/proc/x can be neither made nor"),
        (EndpointConnectionError(endpoint_url="http://x"), 1, "Could not connect to the endpoint URL"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_a_job_that_fails_ends_in_one_sentence(capsys, error, status, sentence):
    with pytest.raises(SystemExit) as stopped, command("curate"):
        raise error
    assert stopped.value.code == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"curate: {sentence}")


def test_what_nobody_foresaw_keeps_its_trace():
    with pytest.raises(ZeroDivisionError), command("curate"):
        1 / 0  # noqa: B018


def test_a_wrong_parameter_is_called_by_its_flag(capsys):
    with pytest.raises(SystemExit), command("curate"):
        raise ParameterError("are both given", "target_size", "tail_share")
    assert capsys.readouterr().err == "curate: --target-size and --tail-share are both given\n"
