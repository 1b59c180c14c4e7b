"""The sentence for each way in which Spark fails; the texts are those that Spark 4.3 gave in such cases, shortened."""

import errno
import logging
from concurrent.futures.process import BrokenProcessPool

import pytest

from metadata import InputError
from runtime import errors
from runtime.console import command, spark_failure
from runtime.storage.paths import as_path, reachable

ABORTED = """An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 1 in stage 1.0 failed 4 times, most recent \
failure: Lost task 1.3 in stage 1.0 (TID 8) (10.0.0.7 executor 6): {reason}
Driver stacktrace:
	at org.apache.spark.util.SparkErrorUtils.tryWithSafeFinally(SparkErrorUtils.scala:86)
"""
PYTHON = """An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "/env/pyspark/worker.py", line 4197, in invoke_udf
    func, profiler, deserializer, serializer = read_command(pickleSer, init_info.udf_info)
{error}
 SQLSTATE: 38000
"""


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            ABORTED.format(
                reason="ExecutorLostFailure (executor 6 exited caused by one of the running tasks) Reason: Command "
                "exited with code 137"
            ),
            ["lost with its executor 4 times", "10.0.0.7 (Command exited with code 137)", "memory", "again to resume"],
        ),
        (
            ABORTED.format(
                reason="org.apache.spark.SparkException: Python worker exited unexpectedly (crashed). Consider setting "
                "'spark.python.worker.faulthandler.enabled' for the better Python traceback.\n\tat org.apache."
            ).replace("10.0.0.7 executor 6", "127.0.0.1 executor driver"),
            ["Python worker was killed 4 times", "on 127.0.0.1", "memory"],
        ),
        (
            PYTHON.format(error="ModuleNotFoundError: No module named 'metadata'"),
            ["metadata is not installed in the Python of the workers", "docs/how-to/cluster.md"],
        ),
        (
            ABORTED.format(reason='java.io.IOException: Cannot run program "/my/.venv/bin/python": error=2, No such'),
            ["workers cannot run /my/.venv/bin/python", "PYSPARK_PYTHON"],
        ),
        (
            PYTHON.format(
                error="pyspark.errors.PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] Python in worker has "
                "different version: 3.9 than that in driver: 3.11, PySpark cannot run with different minor versions."
            ),
            [
                "workers run Python 3.9",
                "the driver runs 3.11",
                "set PYSPARK_PYTHON to a Python 3.11 that all machines have",
            ],
        ),
        (
            "[JAVA_GATEWAY_EXITED] Java gateway process exited before sending its port number.",
            ["Java did not start", "Java 17", "JAVA_HOME"],
        ),
        (
            PYTHON.format(error="OSError: [Errno 30] Read-only file system: '/mnt/out/.work'"),
            ["workers cannot write /mnt/out/.work, a read-only file system"],
        ),
        (
            PYTHON.format(error="PermissionError: [Errno 13] Permission denied: '/mnt/out/a'"),
            ["the user that runs the workers may not read or write /mnt/out/a"],
        ),
        (
            PYTHON.format(error="ImportError: Install s3fs to access S3"),
            ["in the Python of the workers, s3fs is not installed", "pip install 'clip-curation[s3]'"],
        ),
        (
            PYTHON.format(error="OSError: [Errno 28] Error writing bytes to file. Detail: No space left on device"),
            ["a disk is full", "again to resume"],
        ),
        (
            "An error occurred while calling o1.x.\n: org.apache.spark.SparkException: Job 3 cancelled because "
            "SparkContext was shut down\n\tat org.apache",
            ["Spark or its master has ended"],
        ),
        (
            PYTHON.format(error="OSError: http://a/1.gz cannot be read, 8 times in a row: Connection refused"),
            ["Spark failed: OSError: http://a/1.gz cannot be read"],
        ),
        (PYTHON.format(error="ValueError: a surprise: ü"), ["Spark failed: ValueError: a surprise: ü"]),
        (
            "An error occurred while calling o1.x.\n: java.lang.IllegalStateException: no one knows\n\tat a.Error(A:1)",
            ["Spark failed: java.lang.IllegalStateException: no one knows"],
        ),
        ("", ["Spark failed"]),
    ],
)
def test_a_failure_is_one_sentence_with_its_reason(text, parts):
    sentence, status = spark_failure(text)
    assert [part for part in parts if part not in sentence] == []
    assert "\n" not in sentence
    assert "stage" not in sentence
    assert status == 1


def test_bad_input_that_a_worker_found_is_told_as_it_is():
    assert spark_failure(PYTHON.format(error="runtime.errors.InputError: a.parquet has vanished")) == (
        "a.parquet has vanished",
        2,
    )


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (OSError(28, "No space left on device", "out/rates.npy"), 1, "no space left in out, on the file system /"),
        (BrokenProcessPool("A process in the process pool was terminated"), 1, "was terminated"),
        (ConnectionRefusedError(111, "Connection refused"), 1, "Spark or its master has ended"),
        (InputError("no such file"), 2, "curate: no such file"),
        (ImportError("Install s3fs to access S3"), 2, "s3fs is not installed: pip install 'clip-curation[s3]'"),
        (
            ImportError('HTTPFileSystem requires "requests" and "aiohttp" to be installed'),
            2,
            "pip install 'clip-curation[http]'",
        ),
        (ImportError("Please install gcsfs to access Google Storage"), 2, "pip install gcsfs"),
        (
            OSError(30, "Read-only file system", "/mnt/out"),
            1,
            "/mnt/out cannot be written (its file system is read-only)",
        ),
        (
            PermissionError(13, "Permission denied", "/no/out"),
            1,
            "/no/out cannot be written (you have no permission); specify another output folder",
        ),
        (KeyboardInterrupt(), 130, "stopped; run the same command again to resume"),
    ],
)
def test_what_fails_in_the_driver_ends_in_one_sentence(error, status, sentence, capsys):
    with pytest.raises(SystemExit) as ended, command("curate"):
        raise error
    assert ended.value.code == status
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert sentence in line


def test_a_file_that_may_not_be_read_is_not_called_unwritable(tmp_path, monkeypatch, capsys):
    secret = tmp_path / "secret"
    secret.touch()
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root, too, may read any
    with pytest.raises(SystemExit), command("curate"):
        raise PermissionError(13, "Permission denied", str(secret))
    assert f"you have no permission to read {secret}" in capsys.readouterr().err


def test_an_import_of_our_own_that_fails_keeps_its_trace():
    with pytest.raises(ImportError), command("curate"):
        raise ImportError("cannot import name 'x' from 'curation'")


def test_messages_of_the_packages_are_lines_of_the_command(capsys):
    with command("curate"):
        logging.getLogger("runtime.warming").warning("kernels could not be %s", "compiled")
    assert capsys.readouterr().err == "curate: kernels could not be compiled\n"


def test_a_url_without_its_package_names_the_extra_that_brings_it():
    sentence = r"s3://b/k cannot be used \(s3fs is not installed: pip install 'clip-curation\[s3\]'\)"
    with pytest.raises(InputError, match=sentence), reachable("s3://b/k"):
        raise ImportError("Install s3fs to access S3")


def test_too_few_open_files_are_said_to_be_too_few(monkeypatch, capsys):
    monkeypatch.setattr(errors.resource, "getrlimit", lambda of: (256, 256))
    limit = "this process may only have 256 files open at once"
    said = f"{limit}; allow more with ulimit -n 4096, and run the same command again to resume"
    assert spark_failure("[JAVA_GATEWAY_EXITED] Java gateway process exited before sending its port number.") == (
        said,
        1,
    )
    with pytest.raises(SystemExit), command("curate"):
        raise OSError(errno.EMFILE, "Too many open files", "out/a.parquet")
    assert capsys.readouterr().err == f"curate: {said}\n"
    monkeypatch.setattr(errors.resource, "getrlimit", lambda of: (errors.resource.RLIM_INFINITY,) * 2)
    assert "Java did not start" in spark_failure("JAVA_GATEWAY_EXITED")[0]


def test_a_url_that_needs_a_package_which_is_not_installed_is_refused_in_a_sentence():
    with pytest.raises(InputError, match="^git://h/x cannot be opened: Install pygit2"):
        as_path("git://me:SECRET@h/x")
