"""What Spark's own scripts make of spark-env.sh, with a Java that only says how it was started."""

import os
import subprocess
from pathlib import Path

import pytest
from pyspark.find_spark_home import _find_spark_home

from tests.support.checkout import ROOT

# Spark's launcher, a class of Java, answers with the command to run; that command prints what it is given.
JAVA = r"""#!/bin/bash
if [[ " $* " == *" org.apache.spark.launcher.Main "* ]]; then
    printf '\0\n'
    printf '%s\0' "$0" --add-modules=jdk.incubator.vector --add-opens=java.base/sun.security.action=ALL-UNNAMED \
        --add-opens=java.base/java.nio=ALL-UNNAMED "a b" --add-modules=java.sql
else
    printf '%s\n' "$@" "settings: $SPARK_CONF_DIR" "options: $SPARK_SUBMIT_OPTS" "exported: $(env | grep -c BASH_FUNC)"
fi
"""


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a class by Spark's scripts, and returns what its Java prints."""
    spark, java = tmp_path / "spark", tmp_path / "java"
    (java / "bin").mkdir(parents=True)
    (java / "bin" / "java").write_text(JAVA)
    (java / "bin" / "java").chmod(0o755)
    (spark / "jars").mkdir(parents=True)
    (spark / "conf").mkdir()
    (spark / "bin").symlink_to(Path(_find_spark_home(), "bin"))
    for name in ("spark-env.sh", "log4j2.properties"):
        (spark / "conf" / name).write_text((ROOT / "runtime" / name).read_text())

    def started(version: str = "17.0.1", program: str = "org.apache.spark.deploy.SparkSubmit", **variables: str):
        (java / "release").write_text(f'JAVA_VERSION="{version}"\n')
        own = {"PATH": os.environ["PATH"], "SPARK_HOME": str(spark), "JAVA_HOME": str(java)} | variables
        command = ["bash", spark / "bin" / "spark-class", program]
        return subprocess.run(command, env=own, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()

    return started


@pytest.mark.parametrize(
    ("version", "kept"), [("17.0.1", ["--add-opens=java.base/sun.security.action=ALL-UNNAMED"]), ("25", [])]
)
def test_options_of_which_java_warns_are_left_out(start, version, kept):
    *given, _, _, exported = start(version)
    assert given == [*kept, "--add-opens=java.base/java.nio=ALL-UNNAMED", "a b", "--add-modules=java.sql"]
    assert exported == "exported: 0"


def test_settings_of_a_user_stay_on_the_class_path(start, tmp_path):
    (tmp_path / "spark" / "conf" / "spark-defaults.conf").touch()
    *_, settings, options, _ = start()
    assert settings == f"settings: {tmp_path}/spark/conf"
    *_, options, _ = start(SPARK_SUBMIT_OPTS="-Dlog4j2.configurationFile=file:///mine")
    assert options.count("log4j") == 1


def test_a_master_is_started_as_ever(start, tmp_path):
    *_, settings, options, _ = start(program="org.apache.spark.deploy.master.Master")
    assert (settings, options) == (f"settings: {tmp_path}/spark/conf", "options: ")
