"""Command lines of jobs: by spark-submit as a user runs them, or quicker in this process, in a JVM that they share."""

import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

from pyspark import SparkContext
from pyspark.sql import SparkSession

from tests.support.checkout import ROOT


def submit(job: str, *arguments: object, master: str = "local[2]") -> subprocess.CompletedProcess:
    """Run spark-submit on a job with these arguments; return the finished process."""
    command = ["spark-submit", "--master", master, job, *map(str, arguments)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "LANG": "C.UTF-8"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


def run_here(job: str, *arguments: object, master: str = "local[2]") -> int:
    """Run a job in this process with a Spark session, and so workers, of its own; return its status.

    The JVM stays for the next job, which saves two thirds of what a short job costs. It keeps the environment in which
    the first of them began, so workers are told in their settings where S3 is.
    """
    settings = {f"spark.executorEnv.{name}": os.environ[name] for name in os.environ if name.startswith("AWS_")}
    settings["spark.master"] = master
    flags = " ".join(f"--conf {name}={value}" for name, value in settings.items())
    on_interrupt = signal.getsignal(signal.SIGINT)
    with patch.object(sys, "argv", [job, *map(str, arguments)]), patch.dict(os.environ):
        os.environ["PYSPARK_SUBMIT_ARGS"] = f"{flags} pyspark-shell"
        if SparkContext._jvm is not None:
            for name, value in settings.items():
                SparkContext._jvm.java.lang.System.setProperty(name, value)
        try:
            runpy.run_path(str(ROOT / job), run_name="__main__")
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            if session := SparkSession.getActiveSession():
                session.stop()
            signal.signal(signal.SIGINT, on_interrupt)
    return 0
