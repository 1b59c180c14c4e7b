"""Users, passwords and signatures of URLs are in no file, on no console and in nothing that Spark shows or stores."""

import gzip
import json
import os
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import pyspark
import pytest

from metadata import Entries, commands
from runtime.storage import remote
from tests.support import hub_server
from tests.support.checkout import ROOT
from tests.support.http_server import Answer, serving
from tests.support.hub_runs import tables
from tests.support.remote_files import Ranged

USER, WORD, SIGNATURE = "zanzibar", "quokka7", "d00dfeed"
OF_URLS = (USER, WORD, SIGNATURE, b64encode(f"{USER}:{WORD}".encode()).decode().rstrip("="))
SECRETS = (*OF_URLS, hub_server.TOKEN, hub_server.SIGNATURE)
LINES = "".join(json.dumps({"url": f"http://a.example/{i}", "text": f"dog {i}"}) + "\n" for i in range(99)).encode()
TAB = "# Test\tjpn\thttp://example.org\tCC0\n00000001-n\tjpn:lemma\t猫\n".encode()


class Guarded:
    """A server that gives its files to one user, or to one signature."""

    def __init__(self, server):
        self._server = server

    def with_user(self, path: str, body: bytes) -> str:
        given = "Basic " + b64encode(f"{USER}:{WORD}".encode()).decode()
        allowed = Ranged(body)
        self._server.serve(
            path, lambda asked: allowed(asked) if asked.headers.get("Authorization") == given else Answer(401)
        )
        return (self._server.url + path).replace("://", f"://{USER}:{WORD}@")

    def signed(self, path: str, *answers, query: str = "part=1&X-Amz-Date=2026&X-Amz-Signature") -> str:
        return self._server.serve(f"{path}?{query}={SIGNATURE}", *answers)


@pytest.fixture
def guarded():
    with serving() as server:
        yield Guarded(server)


@pytest.fixture
def curate(tmp_path, tmp_path_factory):
    """Run curate twice by one spark-submit, and save what Spark shows and stores; return the finished process."""
    for name in ("pages", "events"):
        (tmp_path / name).mkdir()
    settings = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (tmp_path / "events").as_uri(),
        "spark.eventLog.compress": "false",
        "spark.executorEnv.HF_TOKEN": hub_server.TOKEN,
        "spark.ui.enabled": "true",
        "spark.port.maxRetries": "100",
    }
    conf = tmp_path_factory.mktemp("conf") / "conf"
    shutil.copytree(Path(pyspark.__file__).parent / "conf", conf)  # what makes it start on any Java
    (conf / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))

    def run(first: list, second: list) -> subprocess.CompletedProcess:
        job = [ROOT / "tests" / "support" / "job_with_pages.py", tmp_path / "pages", *first, "--", *second]
        command = ["spark-submit", "--master", "local[2]", *map(str, job)]
        environment = os.environ | {"SPARK_CONF_DIR": str(conf)}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)

    return run


def told(folder, *texts: str) -> dict[str, str]:
    """Return the secrets that texts and files say, each with where."""
    said = {f"console {number}": text.encode() for number, text in enumerate(texts)}
    said |= {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {secret: name for name, content in said.items() for secret in SECRETS if secret.encode() in content}


@pytest.mark.slow
@pytest.mark.spark
def test_runs_over_guarded_urls_and_a_private_dataset_tell_none_of_their_secrets(guarded, hub, curate, tmp_path):
    """The second run ends in a worker."""
    commit = hub.dataset("o/pairs", tables(), private=True)
    metadata = tmp_path / "metadata"
    Entries.build({"en": ["dog"]}).save(metadata)
    for path in metadata.iterdir():
        guarded.with_user(f"/metadata/{path.name}", path.read_bytes())
    inputs = [
        guarded.with_user("/a.jsonl", LINES),
        guarded.signed("/b.jsonl", Ranged(LINES)),
        f"simplecache::{guarded.signed('/c.jsonl.gz', Ranged(gzip.compress(LINES)), query='sig')}",
        "hf://datasets/o/pairs",
    ]
    given = guarded.with_user("/metadata", b"").rstrip("/")
    excluded = guarded.signed("/list.txt", Ranged(b"other.example\n"), query="sig")
    body = Ranged(b"looked at by a worker")
    for path in ("/a.warc.wat.gz", "/b.warc.wat.gz"):
        url = guarded.signed(path, body, body, Answer(403))
    done = curate(
        ["--input", *inputs, "--metadata", given, "--exclude", excluded, "--output", tmp_path / "out"],
        ["--input", url, "--entries", f"en={entries(tmp_path)}", "--output", tmp_path / "broken_off"],
    )
    assert done.returncode != 0
    assert "b.warc.wat.gz?part=1 cannot be read" in done.stderr
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (run["rows"]["pairs"], run["rows"]["files"]) == (297 + 2000, 3 + 4)
    paths = [each["path"].rpartition("/")[2] for each in run["made_from"]["inputs"]]
    assert paths[4:] == ["a.jsonl", "b.jsonl?part=1", "c.jsonl.gz"]
    assert run["made_from"]["inputs"][0]["path"] == f"hf://datasets/o/pairs@{commit}/data/00000.parquet"
    assert hub.most_at_once <= 16
    pages = b"".join(path.read_bytes() for path in (tmp_path / "pages").iterdir())
    assert b"sun.java.command" in pages
    assert b"cannot be read" in pages
    assert told(tmp_path, done.stdout, done.stderr) == {}


def entries(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("dog\n")
    return path


def test_metadata_of_guarded_sources_tell_none_of_them(guarded, tmp_path, capsys):
    wordnet = guarded.with_user("/wn-data-jpn.tab", TAB)
    commands.main(["--wordnet", wordnet, "--languages", "ja", "--output", str(tmp_path / "out")])
    facts = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert facts["inputs"]["wordnet"][0].endswith("/wn-data-jpn.tab")
    assert "猫" in Entries.open(tmp_path / "out").of("ja").to_pylist()
    assert told(tmp_path, *capsys.readouterr()) == {}


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--input", "--metadata", "--exclude", "--model", "--status", "--output"])
def test_a_refusal_tells_none_of_them(guarded, flag, tmp_path, capsys, monkeypatch):
    from curation.commands import clip_curate as curate

    monkeypatch.setattr(remote, "FIRST_WAIT", 0.0001)
    (tmp_path / "a.jsonl").write_bytes(LINES)
    given = {"--input": str(tmp_path / "a.jsonl"), "--output": str(tmp_path / "out")}
    if flag != "--metadata":
        given["--entries"] = f"en={entries(tmp_path)}"
    (tmp_path / "out").mkdir()
    given[flag] = f"http://{USER}:{WORD}@127.0.0.1:9/a.jsonl?sig={SIGNATURE}"
    with pytest.raises(SystemExit):
        curate.main([word for pair in given.items() for word in pair])
    said = capsys.readouterr()
    assert "127.0.0.1:9/a.jsonl" in said.err
    assert told(tmp_path, said.err + said.out) == {}
