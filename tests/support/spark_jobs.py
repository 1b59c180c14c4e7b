"""Command lines of jobs: by spark-submit as a user runs them, or quicker in a session of Spark that tests share."""

import os
import runpy
import signal
import subprocess
import sys
from unittest.mock import patch

from pyspark import SparkContext
from pyspark.sql import SparkSession

from runtime import session
from tests.support.checkout import ROOT, of_a_user


def submit(job: str, *arguments: object, master: str = "local[2]") -> subprocess.CompletedProcess:
    """Run spark-submit on a job with these arguments; return the finished process."""
    command = ["spark-submit", "--master", master, job, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=of_a_user(), capture_output=True, text=True, timeout=600)


def run_here(job: str, *arguments: object) -> int:
    """Run a job in this process, without Spark unless it asks for SQL; return its status."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    with patch.object(sys, "argv", [job, *map(str, arguments)]):
        try:
            runpy.run_path(str(ROOT / job), run_name="__main__")
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            signal.signal(signal.SIGINT, on_interrupt)
    return 0


def shared_session(master: str = "local[2]") -> SparkSession:
    """Return the session of this process on a master; one on another master, or with another S3, is ended.

    The JVM and its workers stay for the next test: to start them takes longer than most tests. The JVM keeps the
    environment in which it began, so workers are told in their settings where S3 is.
    """
    settings = {f"spark.executorEnv.{name}": os.environ[name] for name in os.environ if name.startswith("AWS_")}
    settings |= {"spark.master": master, "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "3"}
    running = SparkContext._active_spark_context
    if running is not None and any(running.getConf().get(name) != value for name, value in settings.items()):
        SparkSession.builder.getOrCreate().stop()
    flags = " ".join(f"--conf {name}={value}" for name, value in settings.items())
    if SparkContext._jvm is not None:
        for name, value in settings.items():
            SparkContext._jvm.java.lang.System.setProperty(name, value)
    with patch.dict(os.environ, {"PYSPARK_SUBMIT_ARGS": f"{flags} pyspark-shell"}):
        return session.session("tests")
