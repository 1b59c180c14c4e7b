"""Many cores bring many blocks together in a JVM of the usual size."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

sys.path.insert(0, str(ROOT / "tests" / "bench"))
import usage  # noqa: E402

CORES = 64
MEGABYTES = 400


@pytest.mark.soak
@pytest.mark.spark
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("partitions", [200, 5000])
def test_blocks_of_many_tasks_for_many_partitions_pass_through_a_heap_of_a_gigabyte(partitions):
    script = ROOT / "tests" / "support" / "large_exchange.py"
    command = ["spark-submit", "--master", f"local[{CORES}]", "--driver-memory", "1g", str(script)]
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": here, "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    used = usage.run([*command, str(MEGABYTES), str(partitions)], cwd=ROOT, env=environment)
    tallies = json.loads(used.output.strip().splitlines()[-1])
    print(f"{partitions} partitions: {used.wall:.0f} s, MB: {used.peak}, seconds of processors: {used.cpu}")
    assert tallies["called"] == partitions
    assert tallies["blocks"] == CORES * partitions
    assert tallies["bytes"] == tallies["sent"] > 0.99 * (MEGABYTES << 20)
