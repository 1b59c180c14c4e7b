"""A session of Spark for the tests of the gate."""

import pytest

from tests.support.checkout import ROOT


@pytest.fixture(scope="module")
def spark():
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.executorEnv.PYTHONPATH", str(ROOT)).getOrCreate()
    session.conf.set("spark.sql.shuffle.partitions", "3")
    yield session
    session.stop()
