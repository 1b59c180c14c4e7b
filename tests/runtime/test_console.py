"""A command that cannot go on ends in one sentence and a status: 2 for bad input, 1 for other failures."""

import errno
import os
import pickle
import subprocess
import sys

import pytest
from botocore.exceptions import EndpointConnectionError
from pyspark.errors import PythonException

from metadata import InputError
from runtime.console import command
from runtime.engine.local import Local
from runtime.errors import ParameterError
from runtime.storage.paths import FullDisk
from tests.support.checkout import ROOT

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
        (PermissionError(errno.EACCES, "Permission denied", "/out"), 1, "/out cannot be written"),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "/proc/x"),
            1,
            "/proc/x cannot be opened or created",
        ),
        (EndpointConnectionError(endpoint_url="http://x"), 1, "Could not connect to the endpoint URL"),
        (
            RuntimeError("can't start new thread"),
            1,
            "the system does not let this command start more threads or processes",
        ),
        (
            BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)),
            1,
            "the system does not let this command start more",
        ),
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), 1, "this process may not write files of more than"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_a_job_that_fails_ends_in_one_sentence(capsys, error, status, sentence):
    with pytest.raises(SystemExit) as stopped, command("curate"):
        raise error
    assert stopped.value.code == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"curate: {sentence}")


def test_a_limit_of_memory_is_named():
    program = "import resource\nfrom runtime.console import command\n"
    program += "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))\n"
    program += "with command('job'):\n    bytearray(4 << 30)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    expected = "job: this command may only use 3,221,225,472 bytes of address space, which is too little; allow more"
    assert (done.returncode, done.stderr[: len(expected)]) == (1, expected)


def test_what_nobody_foresaw_keeps_its_trace():
    with pytest.raises(ZeroDivisionError), command("curate"):
        1 / 0  # noqa: B018


@pytest.mark.parametrize(
    ("error", "flags", "parameters"),
    [
        (
            ParameterError("are both given; leave out --seed", "target_size", "english_threshold"),
            "--target-size and --english-threshold are both given; leave out --seed",
            "target_size and english_threshold are both given; leave out seed",
        ),
        (
            InputError("allow more (--set max_bad_files=0.3), or replace it by --overwrite"),
            "allow more (--set max_bad_files=0.3), or replace it by --overwrite",
            "allow more (max_bad_files=0.3), or replace it by overwrite=True",
        ),
        (
            InputError("a.tar is cut; run clip-hash again with --overwrite, or img2dataset with --compute_hash"),
            "a.tar is cut; run clip-hash again with --overwrite, or img2dataset with --compute_hash",
            "a.tar is cut; run clip-hash again with --overwrite, or img2dataset with --compute_hash",
        ),
    ],
)
def test_an_error_names_flags_in_a_command_and_parameters_in_python(capsys, error, flags, parameters):
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == parameters
    with pytest.raises(SystemExit), command("curate"):
        raise error
    assert capsys.readouterr().err == f"curate: {flags}\n"


def test_a_worker_leaves_the_wording_to_its_driver(capsys):
    with pytest.raises(InputError, match="give by itself: output"):
        Local(2).run([1, 2], _refuse)
    with pytest.raises(SystemExit), command("curate"):
        Local(2).run([1, 2], _refuse)
    assert capsys.readouterr().err == "curate: give by itself: --output\n"


def _refuse(item):
    try:
        raise InputError("--output")
    except InputError as error:
        raise InputError(f"give by itself: {error}") from None
