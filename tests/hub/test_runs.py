"""Runs over tables of the Hub give the bytes of runs over local files, whatever is killed, and show no token."""

import os
import random
import tempfile
import time
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.support.hub_runs import Searched, entries, ran, started, tables, written
from tests.support.hub_server import SIGNATURE, TOKEN, Answer
from tests.support.sample_runs import curated, facts

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")]  # of the client
KILLS = int(os.environ.get("KILLS", "3"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with local files that have the tables."""
    folder = tmp_path_factory.mktemp("hub")
    written(tables(), folder / "local")
    return folder


@pytest.fixture(scope="module")
def local(folder):
    """The manifest of a run over local files, and the command of a run over other inputs."""
    lists = entries(folder)

    def command(inputs, output, cores=1):
        own = ["--entries", *lists, "--english-threshold", 20, "--cores", cores]
        return ["clip-curate", "--input", inputs, *own, "--output", output]

    ran(*command(folder / "local", folder / "of_local"))
    return curated(folder / "of_local"), command


def secrets_in(folder, *texts: str) -> set[str]:
    """Return the files of a folder, and the texts, that hold the token or the signature of the store."""
    searched = Searched()
    searched.folder(folder)
    for text in texts:
        searched.lines(text, text)
    return searched.with_secret


def test_a_run_over_a_dataset_has_the_bytes_of_a_local_run_and_states_its_commit(hub, local, tmp_path):
    manifest, command = local
    commit = hub.dataset("o/pairs", tables(), private=True)
    printed = ran(*command("hf://datasets/o/pairs", tmp_path / "out"))
    assert curated(tmp_path / "out") == manifest
    read = [each["path"] for each in facts(tmp_path / "out")["made_from"]["inputs"]]
    assert read == [f"hf://datasets/o/pairs@{commit}/data/{number:05}.parquet" for number in range(4)]
    assert f"clip-curate: hf://datasets/o/pairs@main may move; its commit now is {commit}" in printed
    assert secrets_in(tmp_path / "out", printed) == set()


def test_a_run_goes_on_only_with_the_commit_that_it_began_with(hub, local, tmp_path):
    manifest, command = local
    commit = hub.dataset("o/pairs", tables())
    ran(*command("hf://datasets/o/pairs", tmp_path / "out"))
    moved = hub.datasets["o/pairs"].commit(tables(rows=400))
    printed = ran(*command("hf://datasets/o/pairs", tmp_path / "out"), status=2)
    assert f"its commit now is {moved}" in printed
    assert f"(it read hf://datasets/o/pairs@{commit}/data/00000.parquet" in printed
    hub.requests.clear()
    ran(*command(f"hf://datasets/o/pairs@{commit}", tmp_path / "out"))
    assert curated(tmp_path / "out") == manifest
    assert not hub.asked("/revision/")


@pytest.mark.soak
def test_kills_while_reading_cost_no_byte_and_show_no_secret(hub, local, tmp_path):
    manifest, command = local
    hub.dataset("o/pairs", tables())
    hub.fault = lambda request: time.sleep(0.02)
    chance, kills, outputs = random.Random(3), 0, 0
    begin = time.monotonic()
    ran(*command("hf://datasets/o/pairs", tmp_path / "first"))
    whole = time.monotonic() - begin
    while kills < KILLS:
        output = tmp_path / f"out{outputs}"
        for _ in range(3):
            process = started(*command("hf://datasets/o/pairs", output))
            time.sleep(chance.uniform(0.1, 1.0) * whole)
            commands = [line for line in process_lines() if TOKEN in line]
            assert commands == []
            process.kill()
            printed = process.communicate(timeout=300)[0]
            assert process.returncode in (0, -9), printed
            assert secrets_in(output, printed) == set()
            kills += process.returncode == -9
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


def times(number: int, answer: Answer, part: str = "/store/", methods: str = "GET HEAD POST PUT"):
    """Return a fault: the first requests of a kind get this answer."""
    answers = [answer] * number
    return lambda request: answers.pop() if answers and part in request.path and request.method in methods else None


@pytest.fixture
def faults(hub):
    """Faults by name, and the status with which a command ends that meets one."""

    def ended(request):
        if request.path.startswith("/store/"):
            hub.token = "another"

    def another(request):
        if "/resolve/" in request.path:
            hub.fault = None
            answer = hub.answer(request)
            hub.fault = another
            return Answer(answer.status, answer.body, answer.headers | {"X-Linked-Etag": '"0f"'})
        return None

    cut = Answer(206, b"x" * 5000, {"Content-Range": "bytes 0-4999/9999"}, sent=100)
    said = f"Invalid token Bearer {TOKEN} for https://store.example/a?X-Amz-Signature={SIGNATURE}".encode()
    return {
        "none": (None, 0),
        "busy": (times(3, Answer(429, TOKEN.encode(), {"Retry-After": "0"})), 0),
        "refused": (times(99, Answer(401, said), "/"), 2),
        "ended token": (ended, 2),
        "cut body": (times(3, cut, methods="GET"), 0),
        "another file": (another, 2),
        "broken": (times(99, Answer(503, said), "/api/"), 2),
    }


def test_of_150_places_none_shows_the_token_or_the_signature(hub, local, faults, tmp_path, monkeypatch):
    """Runs without faults are processes of their own, which are searched; what faults say, they say in any process."""
    _, command = local
    token, searched = tmp_path / "token", Searched()
    token.write_text(TOKEN)
    temporary = Path(mkdtemp(dir="/tmp"))  # a socket stands in it, whose path may have 107 bytes
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(token))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    user = {"HF_TOKEN_PATH": str(token), "TMPDIR": str(temporary), "SEARCHED": str(tmp_path)}
    user["HF_HOME"] = str(tmp_path / "hf")
    outputs = tmp_path / "outputs"
    commands = [("none", command("hf://datasets/o/pairs", outputs / "none", cores=2))]
    commands += [(name, command("hf://datasets/o/pairs", outputs / name)) for name in faults if name != "none"]
    exported = ["clip-export", outputs / "none", "--format", "huggingface", "--upload", "o/made"]
    of_uploads = ("none", "busy", "refused", "ended token", "cut body")
    commands += [(name, [*exported, "--output", tmp_path / "exported" / name]) for name in of_uploads]
    for name, arguments in commands:
        hub.datasets.clear()
        hub.stored.clear()
        hub.dataset("o/pairs", tables(), private=True)
        (hub.fault, status), hub.token = faults[name], TOKEN
        if name == "none":
            process = started(*arguments, **user)
            said = searched.while_running(process, str(tmp_path))
            assert process.returncode == status, said
        else:
            searched.lines(f"{arguments}", ran(*arguments, status=status))
    for folder in (temporary, outputs, tmp_path / "exported", tmp_path / "hf"):
        searched.folder(folder)
    assert searched.with_secret == set()
    assert len(searched.places) > 150


def test_conditions_read_scores_of_the_same_dataset(hub, folder, local, tmp_path):
    _, command = local
    hub.dataset("o/pairs", tables())
    of_hub = [*command("hf://datasets/o/pairs", tmp_path / "out"), "--images", "hf://datasets/o/pairs"]
    ran(*of_hub, "--keep", "original_width > 300")
    of_files = [*command(folder / "local", tmp_path / "out2"), "--images", folder / "local"]
    ran(*of_files, "--keep", "original_width > 300")
    assert curated(tmp_path / "out") == curated(tmp_path / "out2") != {}


def test_a_run_states_the_dataset_and_the_commit_of_its_metadata(hub, folder, tmp_path):
    ran("clip-metadata", "--entries", *entries(tmp_path), "--output", tmp_path / "made", "--upload", "o/entries")
    pairs, metadata, to = folder / "local", "hf://datasets/o/entries", tmp_path / "out"
    ran("clip-curate", "--input", pairs, "--metadata", metadata, "--cores", 1, "--output", to)
    commit = hub.datasets["o/entries"].refs["main"]
    assert facts(to)["metadata"]["path"] == f"{metadata}@{commit}"
