"""An archive of the classes of Spark, with which a JVM starts in half the time: tests start a hundred of them.

`python -m tests.support.spark_archive` makes it once for an environment. Tests do without where it is missing or not of
this Java.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.checkout import ROOT

# Jobs of a few seconds end before it pays to compile the JVM's code well: half of its time, a second of each run.
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
ARCHIVE = Path(sys.prefix, "spark-classes.jsa")
# Java archives classes only where no folder on the class path holds a file, and Spark puts its settings there.
NO_SETTINGS = Path(sys.prefix, "no-spark-settings")
LOGGING = ROOT / "runtime" / "log4j2.properties"
SILENT = "-Xlog:cds=off -Xlog:cds+dynamic=off -Xlog:class+path=off"
JOB = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.range(1000).write.parquet(sys.argv[1])
rows = spark.read.parquet(sys.argv[1]).mapInArrow(lambda batches: batches, "id long")
print(rows.join(rows, "id").groupBy("id").count().sort("id").count())
print(spark.sparkContext.parallelize(range(9), 2).map(abs).groupBy(abs).count())
spark.stop()
"""


def environment() -> dict[str, str]:
    """Return the variables of Spark's JVMs in tests."""
    return _with(f"-XX:SharedArchiveFile={ARCHIVE}") if _is_usable() else {"SPARK_SUBMIT_OPTS": QUICK}


def options() -> str:
    """Return the options of JVMs that read no such variable, those of a cluster."""
    return f"{QUICK} -XX:SharedArchiveFile={ARCHIVE} {SILENT}" if _is_usable() else QUICK


def make() -> None:
    """Make the archive from the classes that a session loads which does a little of everything."""
    NO_SETTINGS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        job, archive = Path(folder, "job.py"), Path(folder, "archive")
        job.write_text(JOB, encoding="utf-8")
        command = ["spark-submit", "--master", "local[2]", job, Path(folder, "rows")]
        own = os.environ | _with(f"-XX:ArchiveClassesAtExit={archive}")
        subprocess.run(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
        if archive.exists():
            os.replace(archive, ARCHIVE)


def _is_usable() -> bool:
    return ARCHIVE.is_file() and " " not in f"{ARCHIVE}{LOGGING}"  # Spark's scripts cut options at spaces


def _with(option: str) -> dict[str, str]:
    logging = f"-Dlog4j2.configurationFile={LOGGING.as_uri()}"
    return {"SPARK_SUBMIT_OPTS": f"{QUICK} {option} {SILENT} {logging}", "SPARK_CONF_DIR": str(NO_SETTINGS)}


if __name__ == "__main__":
    if not ARCHIVE.exists():
        make()
