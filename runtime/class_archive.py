"""Make an archive of the classes of Spark, with which a JVM starts in half the time: `python -m runtime.class_archive`.

It has 120 MB, lies in the folder of the installed pyspark, and serves this Java and this Spark: spark-env.sh names it
to each JVM. `.ci/setup` makes it while it installs.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from pyspark.find_spark_home import _find_spark_home

_ENVIRONMENT = Path(__file__).with_name("spark-env.sh")
# It loads the classes that a small run needs. An archive of those of DataFrames, too, takes twice as long to make.
_JOB = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.config("spark.serializer", "org.apache.spark.serializer.KryoSerializer").getOrCreate()
each = spark.sparkContext.broadcast(9)
spark.sparkContext.parallelize(range(9), 2).map(lambda n: (n, each.value)).partitionBy(2).map(str).collect()
spark.stop()
"""


def path() -> Path:
    """Return where the archive is for this Java and this Spark, or will be."""
    command = ["bash", "-c", '. "$0" && class_archive', str(_ENVIRONMENT)]
    own = os.environ | {"SPARK_HOME": _find_spark_home()}
    return Path(subprocess.run(command, env=own, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


def make() -> None:
    """Make the archive unless it is there."""
    archive = path()
    if archive.exists():
        return
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        job, made = Path(folder, "job.py"), Path(folder, "archive")
        job.write_text(_JOB, encoding="utf-8")
        command = [f"{_find_spark_home()}/bin/spark-submit", "--master", "local[2]", str(job)]
        options = f"-XX:ArchiveClassesAtExit={made} -XX:TieredStopAtLevel=1"
        own = os.environ | {"SPARK_SUBMIT_OPTS": options, "SPARK_CONF_DIR": str(_ENVIRONMENT.parent)}
        subprocess.run(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600, check=True)
        os.replace(made, archive)


if __name__ == "__main__":
    make()
