"""Blocks reach their partition in each engine, and each tally is counted once.

`make soak` tries all engines. That commands give the same bytes in two of them is in `tests/jobs/test_engines.py`.
"""

import os
from functools import partial
from pathlib import Path
from random import Random

import pytest
from pyspark.errors import PythonException

from runtime.engine import Stage
from runtime.engine.local import Local
from runtime.engine.spark import Spark
from runtime.kernel_caches import scratch_folder
from runtime.tallies import TaskResult
from tests.simulator.engine import Engine, JobFailed, Session
from tests.simulator.machine import Machine
from tests.simulator.processes import Driver, Fault
from tests.support import exchanges
from tests.support.checkout import ROOT
from tests.support.cluster import wait_for
from tests.support.exchanges import BUCKETS, buckets_of

LARGE = 8 << 20  # more bytes than Spark moves at once
# Each item is a number and how many blocks it sends.
ITEMS = {
    "none": [],
    "one": [(0, 40)],
    "one that sends nothing": [(0, 0)],
    "few": [(number, number % 3 * 20) for number in range(7)],
}


ENGINES = [
    "processes",
    pytest.param("here", marks=pytest.mark.soak),
    pytest.param("stand-in", marks=pytest.mark.soak),
    pytest.param("local[3]", marks=[pytest.mark.spark, pytest.mark.soak]),
]


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, tmp_path_factory):
    if request.param in ("here", "processes"):
        local = Local(1 if request.param == "here" else 3)
        yield local
        local.close()
        return
    if request.param == "stand-in":
        machine = Machine(folder := tmp_path_factory.mktemp("machine"), folder)
        driver = Driver([], Random(0), lambda aside: None)
        with machine.command(driver):
            twice = {0: Fault(0, "again", 0, 0.0)}
            yield Spark(Session(Engine(machine, driver, twice, cores=2, tries=1)))  # the first sends twice
        return
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(request.param).config("spark.ui.enabled", "false")
    builder = builder.config("spark.local.dir", str(tmp_path_factory.mktemp("disks")))
    session = builder.config("spark.executorEnv.PYTHONPATH", str(ROOT)).getOrCreate()
    yield Spark(session)
    session.stop()


def naive_exchange(items: list[tuple[int, int]], partitions: int) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Return the rows of each partition in order, and the sums of both sides in the order of their numbers."""
    rows: dict[str, list[str]] = {str(partition): [] for partition in range(partitions)}
    sums = {"sent": 0, "weight": 0.0, "received": 0}
    for number, blocks in items:
        own = 0.0
        for block, bucket in enumerate(buckets_of(number, blocks)):
            rows[str(int(bucket / BUCKETS * partitions))].append(f"{number}/{block}/{bucket}")
            sums["sent"] += 1
            own += 0.1 * (number + 1)
        sums["weight"] += own
    for received in rows.values():
        sums["received"] += len(received)
        sums["weight"] += 0.1 * len(received)
    return {partition: sorted(received) for partition, received in rows.items()}, sums


@pytest.mark.slow
@pytest.mark.parametrize(("items", "partitions"), [("none", 3), ("one", 1), ("one that sends nothing", 4), ("few", 3)])
def test_each_partition_gets_exactly_its_blocks_and_sums_are_exact(tmp_path, engine, items, partitions):
    assert exchanged(engine, items, partitions, tmp_path) == naive_exchange(ITEMS[items], partitions)


@pytest.mark.slow
def test_there_may_be_more_partitions_than_blocks_and_than_spark_writes_a_file_for(tmp_path, engine):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    rows, sums = exchanged(engine, "few", 300, one)
    wanted, exact = naive_exchange(ITEMS["few"], 300)
    assert rows == wanted
    assert sums == pytest.approx(exact)  # Spark adds up the tallies of so many, part by part
    assert exchanged(engine, "few", 300, other) == (rows, sums)


def exchanged(engine, items: str, partitions: int, folder: Path) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Return what workers received by partition, and the sums."""
    receive = partial(exchanges.receive, folder=folder)
    tallies = engine.exchange(ITEMS[items], exchanges.send, [Stage(receive, partitions)])
    rows = {path.name: path.read_text("utf-8").splitlines() for path in folder.iterdir()}
    return rows, {name: tallies[name] for name in ("sent", "weight", "received")}


@pytest.mark.slow
def test_a_block_may_be_large(engine):
    items = [(number, LARGE) for number in range(2)]
    tallies = engine.exchange(items, exchanges.send_large, [Stage(exchanges.receive_sizes, 2)])
    assert tallies["bytes"] == tallies["sent"] > LARGE
    assert (tallies["blocks"], tallies["called"]) == (4, 2)


def test_an_item_that_cannot_be_sent_ends_in_its_error(engine):
    items = [(number, 3) for number in range(5)]
    with pytest.raises((PythonException, JobFailed, KeyError), match="'item three is broken'"):
        engine.exchange(items, exchanges.send_or_fail, [Stage(exchanges.receive_sizes, 2)])


@pytest.mark.slow
def test_a_partition_that_cannot_be_received_ends_in_its_error(engine, tmp_path):
    (tmp_path / "1").touch()  # so that its file cannot be made
    with pytest.raises((PythonException, JobFailed, FileExistsError), match="FileExistsError|File exists"):
        engine.exchange(ITEMS["few"], exchanges.send, [Stage(partial(exchanges.receive, folder=tmp_path), 2)])


@pytest.mark.slow
def test_nothing_to_send_and_no_blocks_give_no_sums(engine):
    assert engine.exchange([], exchanges.send, [Stage(exchanges.receive_nothing, 2)]).rows() == TaskResult().rows()


def test_tallies_are_counted_where_a_receiver_takes_no_block(engine):
    stages = [Stage(exchanges.pass_on, 2), Stage(exchanges.take_nothing, 3)]
    tallies = engine.exchange(ITEMS["few"], exchanges.send, stages)
    sent = naive_exchange(ITEMS["few"], 3)[1]["sent"]
    assert (tallies["sent"], tallies["passed on"]) == (sent, sent)


def test_blocks_and_tallies_pass_through_stages(engine, tmp_path):
    stages = [Stage(exchanges.pass_on, partitions) for partitions in (5, 1)]
    stages.append(Stage(partial(exchanges.receive, folder=tmp_path), 3))
    tallies = engine.exchange(ITEMS["few"], exchanges.send, stages)
    rows, sums = naive_exchange(ITEMS["few"], 3)
    assert {path.name: path.read_text().split("\n") for path in tmp_path.iterdir()} == rows
    assert tallies["passed on"] == 2 * sums["sent"]
    assert tallies["sent"] == sums["sent"]


@pytest.mark.spark
def test_a_session_of_spark_passes_blocks_through_stages_and_ends_in_an_item_s_error(spark, tmp_path):
    test_blocks_and_tallies_pass_through_stages(Spark(spark), tmp_path)
    test_an_item_that_cannot_be_sent_ends_in_its_error(Spark(spark))


def test_no_block_stays_on_a_disk_once_all_were_received(engine, tmp_path):
    in_spark = not isinstance(engine, Local) and not isinstance(engine.session, Session)  # the stand-in has no disk
    disks = Path(engine.session.conf.get("spark.local.dir")) if in_spark else tmp_path
    of_others = {*disks.rglob("shuffle_*")}  # such as of a test whose DataFrames Spark has not cleaned up yet
    engine.exchange(ITEMS["few"], exchanges.send, [Stage(partial(exchanges.receive, folder=tmp_path), 3)])
    if isinstance(engine, Local):
        assert not [*scratch_folder().glob(f"scratch-{os.getpid()}-*/*/0")]
    elif in_spark:
        wait_for(lambda: not {*disks.rglob("shuffle_*")} - of_others)
