"""Processes of this machine: those that die are replaced, and none outlives the command."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from runtime.engine import Stage, spread
from runtime.engine import local as local_engine
from runtime.engine.local import TRIES, Local, WorkerLost
from runtime.errors import InputError
from runtime.progress import Progress, advance
from runtime.tallies import TaskResult
from tests.support import exchanges
from tests.support.checkout import ROOT
from tests.support.cluster import can_mount, wait_for

# A program whose workers write their number to a file each, and then wait to be ended.
WAITING = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that begin in the background ignore it
from pathlib import Path
from tempfile import TemporaryDirectory
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from runtime.engine.local import Local
from tests.runtime.engine.test_local import pid_of_each
print(Local(2).run(list(range(4)), partial(pid_of_each, folder=Path(sys.argv[1]), seconds=600)))
"""


def tally(name: str, value: float = 1) -> TaskResult:
    return TaskResult([{"name": name, "item": None, "language": None, "value": value}])


def double(item: int) -> TaskResult:
    return tally("sum", 2 * item)


def killed_once(item: int, folder: Path, signal_number: int = signal.SIGKILL) -> TaskResult:
    """Die at the first try of the items 2 and 5."""
    if item in (2, 5) and not (folder / str(item)).exists():
        (folder / str(item)).touch()
        os.kill(os.getpid(), signal_number)
    return tally("sum", 2 * item)


def killed_always(item: int) -> TaskResult:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return tally("sum")


def refused(item: int) -> TaskResult:
    if item == 1:
        raise InputError("a.tar is cut; leave it out")
    time.sleep(0.01)
    return tally("sum")


def pid_of_each(item: int, folder: Path, seconds: float) -> TaskResult:
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
    with pytest.raises(
        WorkerLost,
        match=f"processes were killed {TRIES} times while they ran the same task; the usual cause is too little memory",
    ):
        local.run([*range(9)], killed_always)
    assert local.run([*range(9)], double)["sum"] == 72


@pytest.mark.parametrize(("forks", "kills"), [(0, 1), (1, 1), (0, TRIES)])
def test_a_server_that_is_killed_while_it_forks_a_worker_is_replaced(monkeypatch, forks, kills):
    server, killed, left = forkserver._forkserver, [], [None] * forks
    connect = forkserver.connect_to_new_process

    def connect_and_kill(files: list[int]) -> tuple[int, int]:
        if left or len(killed) == kills:
            left[:1] = []
            return connect(files)
        server.ensure_running()
        killed.append(server._forkserver_pid)
        os.kill(killed[-1], signal.SIGSTOP)  # so that it has not forked yet
        # From Python 3.14 on, `connect` waits for the server's answer, so another thread must kill the server.
        threading.Timer(0.1, os.kill, (killed[-1], signal.SIGKILL)).start()
        return connect(files)

    monkeypatch.setattr(forkserver, "connect_to_new_process", connect_and_kill)
    with closing(Local(2)) as local:
        if kills == TRIES:
            with pytest.raises(WorkerLost, match=f"processes were killed {TRIES} times"):
                local.run([*range(9)], double)
        assert local.run([*range(9)], double)["sum"] == 72
    assert len(set(killed)) == kills


def test_a_server_that_cannot_fork_ends_the_run_in_a_sentence_that_names_the_limits(tmp_path):
    refuse = "import os, sys\n\ndef fork():\n    raise BlockingIOError(11, 'Resource temporarily unavailable')\n\n"
    refuse += "if 'forkserver' in str(sys.orig_argv):\n    os.fork = fork\n"
    (tmp_path / "sitecustomize.py").write_text(refuse)
    program = "from runtime.console import command\nfrom runtime.engine.local import Local\n"
    program += "from tests.runtime.engine.test_local import double\n"
    program += "with command('job'):\n    Local(2).run([*range(9)], double)"
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "job: no worker could be started: the system does not let this command"
    )


def stop_server() -> int:
    """Stop the server that workers are forked from, which then answers nothing; return its process id."""
    forkserver.ensure_running()
    pid = forkserver._forkserver._forkserver_pid
    os.kill(pid, signal.SIGSTOP)
    return pid


@pytest.mark.timeout(60)
def test_a_server_that_is_stopped_is_continued_when_a_worker_starts(local):
    local.run([1, 2], double)
    pid = stop_server()
    with closing(Local(2)) as other:
        assert other.run([*range(9)], double)["sum"] == 72
    assert forkserver._forkserver._forkserver_pid == pid


@pytest.mark.timeout(60)
def test_a_server_that_is_stopped_is_continued_when_a_worker_dies(local, tmp_path):
    local.run([1, 2], double)
    stop_server()
    assert local.run([*range(9)], partial(killed_once, folder=tmp_path))["sum"] == 72


@pytest.mark.timeout(60)
def test_a_server_that_is_stopped_does_not_keep_an_engine_from_closing():
    local = Local(2)
    local.run([1, 2], double)
    stop_server()
    local.close()


@pytest.mark.timeout(60)
def test_a_server_that_never_answers_is_killed_and_replaced(monkeypatch):
    kill_server = partial(local_engine._signal_server, signal.SIGKILL)

    def kill_and_be_patient(number: signal.Signals) -> None:
        if number == signal.SIGKILL:
            kill_server()
            monkeypatch.setattr(local_engine, "_PATIENCE", 300.0)

    monkeypatch.setattr(local_engine, "_signal_server", kill_and_be_patient)
    monkeypatch.setattr(local_engine, "_PATIENCE", 2.0)
    pid = stop_server()
    with closing(Local(2)) as local:
        assert local.run([*range(9)], double)["sum"] == 72
    assert forkserver._forkserver._forkserver_pid != pid


def test_what_a_task_refuses_is_refused_and_other_tasks_end(local):
    with pytest.raises(InputError, match="^a.tar is cut; leave it out$"):
        local.run([*range(500)], refused)


def test_blocks_of_a_killed_sender_are_not_received_twice(local, tmp_path):
    items = [(number, 20) for number in range(6)]
    once = partial(send_once, folder=tmp_path)
    sizes = local.exchange(items, once, [Stage(exchanges.receive_sizes, 3)])
    assert sizes["blocks"] == sizes["sent"] == 120


def send_once(place, item, tallies, folder: Path):
    """Send the blocks of an item, but die after half of them at the first try of the item 3."""
    for number, block in enumerate(exchanges.send(place, item, tallies)):
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


def refusal(run) -> str:
    """Return the message of the InputError that a function raises."""
    with pytest.raises(InputError) as refused:
        run()
    return str(refused.value)


def in_fork(local: Local, daemon: bool) -> str:
    """Return the refusal of an engine in a fork of this process, which ends as processes of multiprocessing do."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    say = partial(refusal, partial(local.run, [1, 2], double))
    process = context.Process(target=lambda: there.send(say()), daemon=daemon)
    process.start()
    process.join()
    return here.recv()


def test_a_daemonic_process_is_told_that_it_may_start_no_others(local):
    assert in_fork(Local(2), daemon=True) == (
        "a daemonic process of multiprocessing may not start other processes; set daemon=False, or pass Local(1) "
        "as the engine, which needs no other processes"
    )


def test_a_fork_is_told_that_it_cannot_use_processes_of_its_parent_and_leaves_them_alone(local):
    local.run([1, 2], double)
    pool = local._pool
    for engine in (local, Local(2)):
        assert in_fork(engine, daemon=False).startswith(
            "this process was forked (by os.fork, or multiprocessing's fork)"
        )
    assert local.run([1, 2], double)["sum"] == 6
    assert local._pool is pool


@pytest.mark.skipif(not can_mount(), reason="may not mount a disk")
@pytest.mark.parametrize(
    ("options", "kind", "why"),
    [("size=64k", "FullDisk", "No space left on device"), ("ro", "InputError", "Read-only file system")],
)
def test_shared_memory_that_is_full_or_read_only_is_named(options, kind, why):
    program = "from runtime.engine.local import Local\nLocal(2)._processes()"
    fill = "head -c 64k /dev/zero > /dev/shm/full 2>/dev/null"
    shell = f'mount -t tmpfs -o {options} none /dev/shm; {fill}; exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", shell, sys.executable, program], cwd=ROOT, capture_output=True, text=True
    )
    last = done.stderr.strip().splitlines()[-1].rpartition(".")[2]
    assert (
        last == f"{kind}: /dev/shm cannot be written ({why}), but worker processes need it; free "
        "or enable it, or use cores 1, which needs no workers"
    )


@pytest.mark.parametrize("cores", [0, -1, 10**19, 2.5, "2"])
def test_a_number_of_cores_that_no_machine_has_is_refused(cores):
    assert refusal(partial(Local, cores)).startswith("cores is ")


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
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.stderr) == ("72\n", "")


def test_an_engine_ends_without_a_word_after_the_tracker_of_semaphores_was_killed():
    program = "import os\nfrom contextlib import closing\nfrom multiprocessing import resource_tracker\n"
    program += "from runtime.engine.local import Local\nfrom tests.runtime.engine.test_local import double\n"
    program += "with closing(Local(2)) as local:\n    local.run(list(range(9)), double)\n"
    program += "    os.kill(resource_tracker._resource_tracker._pid, 9)\n"
    program += "    print(local.run(list(range(9)), double)['sum'])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.stderr) == ("72\n", "")


@pytest.mark.slow
def test_temporary_files_may_be_in_a_folder_with_a_long_path(tmp_path):
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    program = "from runtime.engine.local import Local\nfrom tests.runtime.engine.test_local import double\n"
    program += "from multiprocessing.process import current_process\n"
    program += "print(Local(2).run(list(range(9)), double)['sum'], current_process()._config['tempdir'])"
    environment = os.environ | {"TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert "AF_UNIX" not in done.stderr
    total, sockets = done.stdout.split()
    assert (total, done.stderr) == ("72", "")
    assert not Path(sockets).exists()


@pytest.fixture
def short_folder():
    """A folder whose path is short enough for sockets."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.slow
def test_what_a_killed_command_leaves_among_temporary_files_is_removed_by_the_next_one(tmp_path, short_folder):
    environment = os.environ | {"TMPDIR": str(short_folder)}
    driver = subprocess.Popen([sys.executable, "-c", WAITING, str(tmp_path)], cwd=ROOT, env=environment)
    wait_for(lambda: len([*tmp_path.iterdir()]) == 2)
    driver.kill()
    driver.wait(30)
    (own,) = short_folder.iterdir()  # multiprocessing would put the socket of the server beside it
    left = [*own.glob("scratch-*-*")]
    assert len(left) == 2  # of that socket, and of what workers share
    program = "from runtime.storage.scratch import scratch\nwith scratch(): pass"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, check=True)
    assert [path.name for path in own.iterdir()] == ["scratch-lock"]


def counted_until_seen(item: int, folder: Path) -> TaskResult:
    """Count rows as progress, and wait until the driver has seen them."""
    advance(rows=5)
    wait_for(lambda: (folder / "seen").exists())
    return tally("sum")


def test_rows_of_a_task_are_shown_while_it_runs(tmp_path):
    progress = Progress()
    with progress.stage("read") as stage, ThreadPoolExecutor(1) as driver:
        context = copy_context()
        sums = driver.submit(context.run, Local(2).run, [1, 2], partial(counted_until_seen, folder=tmp_path))
        wait_for(lambda: stage.figures()["rows"] == 10)
        assert (stage.figures()["done"], stage.figures()["total"]) == (0, 2)
        (tmp_path / "seen").touch()
        assert sums.result()["sum"] == 2
    assert [(each["items"], each["rows"]) for each in progress.times()] == [(2, 10)]
