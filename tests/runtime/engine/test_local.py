"""Processes of this machine: those that die are replaced, and none outlives the command."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from runtime.engine import spread
from runtime.engine.local import TRIES, Local, WorkerLost
from runtime.errors import InputError
from runtime.kernel_caches import scratch_folder
from runtime.progress import Progress
from runtime.tallies import Tallies
from tests.support import exchanges
from tests.support.checkout import ROOT
from tests.support.cluster import wait_for

# A program whose workers write their number to a file each, and then wait to be ended.
WAITING = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that begin in the background ignore it
from pathlib import Path
from functools import partial
from runtime.engine.local import Local
from tests.runtime.engine.test_local import pid_of_each
print(Local(2).run(list(range(4)), partial(pid_of_each, folder=Path(sys.argv[1]), seconds=600)))
"""


def tally(name: str, value: float = 1) -> Tallies:
    return Tallies([{"name": name, "language": None, "value": value}])


def double(item: int) -> Tallies:
    return tally("sum", 2 * item)


def killed_once(item: int, folder: Path, signal_number: int = signal.SIGKILL) -> Tallies:
    """Die at the first try of the items 2 and 5."""
    if item in (2, 5) and not (folder / str(item)).exists():
        (folder / str(item)).touch()
        os.kill(os.getpid(), signal_number)
    return tally("sum", 2 * item)


def killed_always(item: int) -> Tallies:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return tally("sum")


def refused(item: int) -> Tallies:
    if item == 1:
        raise InputError("a.tar is cut; leave it out")
    time.sleep(0.01)
    return tally("sum")


def pid_of_each(item: int, folder: Path, seconds: float) -> Tallies:
    (folder / str(os.getpid())).touch()
    time.sleep(seconds)
    return tally("sum")


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="module")
def local():
    engine = Local(2)
    yield engine
    engine.close()


def test_tallies_of_any_number_of_items_are_added(local):
    for items in ([], [7], [*range(9)], [*range(700)]):  # of many, part by part
        assert local.run(items, double)["sum"] == 2 * sum(items)


def test_functions_of_a_notebook_and_what_they_name_reach_workers(local):
    factor = 3
    assert local.run([*range(5)], lambda item: tally("sum", factor * item))["sum"] == 30


def test_a_worker_that_is_killed_is_replaced_and_its_task_done_again(local, tmp_path):
    assert local.run([*range(9)], partial(killed_once, folder=tmp_path))["sum"] == 2 * sum(range(9))
    assert {path.name for path in tmp_path.iterdir()} == {"2", "5"}
    assert local.run([*range(9)], double)["sum"] == 72


def test_a_worker_that_dies_between_tasks_is_replaced(local):
    for _ in range(3):
        assert local.run([*range(9)], double)["sum"] == 72
        pool = local._pool
        os.kill(next(iter(pool._processes)), signal.SIGKILL)
        wait_for(partial(getattr, pool, "_broken"))
    assert local.run([*range(9)], double)["sum"] == 72


def test_a_task_that_kills_each_of_its_workers_ends_in_a_sentence(local):
    with pytest.raises(WorkerLost, match=f"processes were killed {TRIES} times at one task; mostly memory ran out"):
        local.run([*range(9)], killed_always)
    assert local.run([*range(9)], double)["sum"] == 72


def test_what_a_task_refuses_is_refused_and_other_tasks_end(local):
    with pytest.raises(InputError, match="^a.tar is cut; leave it out$"):
        local.run([*range(500)], refused)


def test_blocks_of_a_killed_sender_are_not_received_twice(local, tmp_path):
    items = [(number, 20) for number in range(6)]
    once = partial(send_once, folder=tmp_path)
    sizes = local.exchange(items, once, exchanges.receive_sizes, 3)
    assert sizes["blocks"] == sizes["sent"] == 120


def send_once(item, tallies, folder: Path):
    """Send the blocks of an item, but die after half of them at the first try of the item 3."""
    for number, block in enumerate(exchanges.send(item, tallies)):
        if item[0] == 3 and number == 10 and not (folder / "killed").exists():
            (folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield block


def test_workers_have_the_environment_of_the_driver(local, monkeypatch):
    local.run([1, 2], double)  # starts the server that workers are forked from
    monkeypatch.setenv("LATER", "7")
    own = Local(2)
    assert own.run([1, 2], lambda item: tally("sum", int(os.environ["LATER"])))["sum"] == 14
    own.close()


def test_progress_counts_what_workers_have_done(local):
    with Progress().stage("double") as stage:
        local.run([*range(9)], double)
    assert (stage.figures()["done"], stage.figures()["total"]) == (9, 9)


def test_sql_needs_a_session():
    with pytest.raises(InputError, match="^near copies are joined by Spark; give a Spark session as the engine"):
        Local(1).sql("near copies are joined by Spark")


def test_items_are_spread_over_all_cores():
    assert spread([*range(9)], Local(2)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_a_driver_that_is_ended(tmp_path, end):
    command = [sys.executable, "-c", WAITING, str(tmp_path)]
    driver = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len([*tmp_path.iterdir()]) == 2)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    driver.send_signal(end)
    driver.wait(30)
    wait_for(lambda: not any(map(runs, workers)))


@pytest.mark.slow
def test_an_engine_that_is_not_closed_ends_without_a_word():
    program = "from runtime.engine.local import Local\nfrom tests.runtime.engine.test_local import double\n"
    program += "def run():\n    return Local(2).run(list(range(9)), double)['sum']\nprint(run())"
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.stderr) == ("72\n", "")


def test_blocks_of_a_killed_command_are_removed_by_the_next_one(local, tmp_path):
    left = scratch_folder() / "exchange-1-00000000"
    left.mkdir(exist_ok=True)
    (left / "lock").touch()
    local.run([1, 2], double)
    assert not left.exists()
