"""Runs over tables of the Hub give the bytes of runs over local files, whatever is killed, and show no token."""

import os
import random
import time
from pathlib import Path

import pytest

from tests.support.hub_runs import entries, ran, started, tables, written
from tests.support.hub_server import SIGNATURE, TOKEN
from tests.support.sample_runs import curated, facts

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("KILLS", "3"))


@pytest.fixture
def local(tmp_path):
    """The manifest of a run over local files, and the command of a run over other inputs."""
    lists = entries(tmp_path)

    def command(inputs, output):
        return ["clip-curate", "--input", inputs, "--entries", *lists, "--english-threshold", 20, "--output", output]

    ran(*command(written(tables(), tmp_path / "local"), tmp_path / "of_local"))
    return curated(tmp_path / "of_local"), command


def secrets_in(folder, *texts: str) -> list[str]:
    """Return the files of a folder, and the texts, that hold the token or the signature of the store."""
    held = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    held |= {text: text.encode() for text in texts}
    return [name for name, content in held.items() if TOKEN.encode() in content or SIGNATURE.encode() in content]


def test_a_run_over_a_dataset_has_the_bytes_of_a_local_run_and_states_its_commit(hub, local, tmp_path):
    manifest, command = local
    commit = hub.dataset("o/pairs", tables(), private=True)
    printed = ran(*command("hf://datasets/o/pairs", tmp_path / "out"))
    assert curated(tmp_path / "out") == manifest
    read = [each["path"] for each in facts(tmp_path / "out")["made_from"]["inputs"]]
    assert read == [f"hf://datasets/o/pairs@{commit}/data/{number:05}.parquet" for number in range(4)]
    assert f"clip-curate: hf://datasets/o/pairs@main may move; its commit now is {commit}" in printed
    assert secrets_in(tmp_path / "out", printed) == []


def test_a_run_goes_on_only_with_the_commit_that_it_began_with(hub, local, tmp_path):
    manifest, command = local
    commit = hub.dataset("o/pairs", tables())
    ran(*command("hf://datasets/o/pairs", tmp_path / "out"))
    moved = hub.datasets["o/pairs"].commit(tables(rows=400))
    printed = ran(*command("hf://datasets/o/pairs", tmp_path / "out"), status=2)
    assert f"its commit now is {moved}" in printed
    assert f"other inputs: it read hf://datasets/o/pairs@{commit}/data/00000.parquet" in printed
    hub.requests.clear()
    ran(*command(f"hf://datasets/o/pairs@{commit}", tmp_path / "out"))
    assert curated(tmp_path / "out") == manifest
    assert not hub.asked("/revision/")


def test_kills_while_reading_cost_no_byte_and_show_no_secret(hub, local, tmp_path):
    manifest, command = local
    hub.dataset("o/pairs", tables())
    hub.fault = lambda request: time.sleep(0.02)
    chance, whole, outputs = random.Random(3), None, 0
    for number in range(KILLS):
        output = tmp_path / f"out{outputs}"
        begin = time.monotonic()
        process = started(*command("hf://datasets/o/pairs", output))
        if number:
            time.sleep(chance.uniform(0.1, 1.0) * whole)
            commands = [line for line in process_lines() if TOKEN in line]
            assert commands == []
            process.kill()
        printed = process.communicate(timeout=300)[0]
        whole = whole or time.monotonic() - begin
        assert secrets_in(output, printed) == []
        if number % 3 == 2:
            ran(*command("hf://datasets/o/pairs", output))
            assert curated(output) == manifest
            outputs += 1


def process_lines() -> list[str]:
    """Return the command lines of all processes that this user may read."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return lines


def test_conditions_read_scores_of_the_same_dataset(hub, local, tmp_path):
    _, command = local
    hub.dataset("o/pairs", tables())
    of_hub = [*command("hf://datasets/o/pairs", tmp_path / "out"), "--images", "hf://datasets/o/pairs"]
    ran(*of_hub, "--keep", "original_width > 300")
    of_files = [*command(tmp_path / "local", tmp_path / "out2"), "--images", tmp_path / "local"]
    ran(*of_files, "--keep", "original_width > 300")
    assert curated(tmp_path / "out") == curated(tmp_path / "out2") != {}
