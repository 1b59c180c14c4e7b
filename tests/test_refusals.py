"""What curate refuses: one clear sentence and status 2, before Spark starts and without touching what is there."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT

from metadata import Entries, InputError

sys.path.insert(0, str(ROOT / "jobs"))  # where spark-submit puts it
import curate  # noqa: E402


@pytest.fixture
def words(tmp_path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("dog\ncat\n")
    return path


@pytest.fixture
def pairs(tmp_path) -> Path:
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"url": ["http://a/1.jpg"], "text": ["a dog"]}), path)
    return path


@pytest.fixture
def refused(capsys, monkeypatch):
    """Run the job; return the sentence with which it refused."""
    monkeypatch.setattr(curate, "session", lambda name: pytest.fail("Spark was started"))

    def run(*arguments) -> str:
        with pytest.raises(SystemExit) as stopped:
            curate.main([str(argument) for argument in arguments])
        assert stopped.value.code == 2
        error = capsys.readouterr().err
        assert "Traceback" not in error
        return error.strip().splitlines()[-1]

    return run


def test_a_path_that_does_not_exist(refused, words, tmp_path):
    sentence = refused("--input", tmp_path / "none.wat.gz", "--entries", f"en={words}", "--output", tmp_path / "out")
    assert "none.wat.gz" in sentence
    assert not (tmp_path / "out").exists()


def test_an_empty_folder(refused, words, tmp_path):
    (tmp_path / "empty").mkdir()
    sentence = refused("--input", tmp_path / "empty", "--entries", f"en={words}", "--output", tmp_path / "out")
    assert "empty" in sentence


def test_a_table_without_a_url_column(refused, words, tmp_path):
    pq.write_table(pa.table({"picture": ["x"], "text": ["a dog"]}), tmp_path / "pairs.parquet")
    sentence = refused("--input", tmp_path / "pairs.parquet", "--entries", f"en={words}", "--output", tmp_path / "out")
    assert "picture" in sentence
    assert "--url-column" in sentence


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--english-threshold", "0"], "english_threshold is 0"),
        (["--target-size", "0"], "target_size is 0"),
        (["--tail-share", "1.5"], "tail_share is 1.5"),
        (["--tail-share", "0.1", "--target-size", "10"], "target_size and tail_share"),
        (["--max-texts", "0"], "max_texts is 0"),
        (["--english-threshold", "many"], "invalid int value: 'many'"),
        (["--rules", "loose"], "invalid choice: 'loose'"),
        (["--no-such-flag"], "unrecognized arguments: --no-such-flag"),
    ],
)
def test_a_wrong_number_or_flag(refused, words, pairs, tmp_path, flags, named):
    sentence = refused("--input", pairs, "--entries", f"en={words}", "--output", tmp_path / "out", *flags)
    assert named in sentence


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("xx={words}", "'xx' is no metadata language"),
        ("{words}", "give LANGUAGE=FILE"),
        ("en={words}.none", "cannot read the entries"),
        ("en=", "give LANGUAGE=FILE"),
    ],
)
def test_entries_that_cannot_be_read(refused, words, pairs, tmp_path, argument, named):
    sentence = refused("--input", pairs, "--entries", argument.format(words=words), "--output", tmp_path / "out")
    assert named in sentence


def test_a_list_that_repeats_an_entry(refused, words, pairs, tmp_path):
    words.write_text("dog\ncat\ndog\n")
    sentence = refused("--input", pairs, "--entries", f"en={words}", "--output", tmp_path / "out")
    assert "'dog' of en is repeated" in sentence


def test_metadata_of_another_digest(refused, pairs, tmp_path):
    Entries.build({"en": ["dog"]}).save(tmp_path / "metadata")
    facts = json.loads((tmp_path / "metadata" / "metadata.json").read_text())
    (tmp_path / "metadata" / "metadata.json").write_text(json.dumps(facts | {"digest": "0" * 32}))
    sentence = refused("--input", pairs, "--metadata", tmp_path / "metadata", "--output", tmp_path / "out")
    assert "0" * 32 in sentence


def test_a_model_that_is_no_fasttext_model(refused, words, pairs, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"no model" * 100)
    sentence = refused(
        "--input", pairs, "--entries", f"en={words}", "--output", tmp_path / "out", "--model", tmp_path / "model.bin"
    )
    assert "model.bin" in sentence


def test_an_output_that_holds_something_else(refused, words, pairs, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("dear to someone")
    sentence = refused("--input", pairs, "--entries", f"en={words}", "--output", tmp_path / "out")
    assert "--overwrite" in sentence
    assert (tmp_path / "out" / "thesis.txt").read_text() == "dear to someone"


def test_an_output_that_holds_another_run(refused, words, pairs, tmp_path):
    from curation.output import Output

    Output.claim(tmp_path / "out", {"inputs": [{"path": "/data/others.parquet"}]})
    sentence = refused("--input", pairs, "--entries", f"en={words}", "--output", tmp_path / "out")
    assert "holds another run (other " in sentence


def test_an_output_that_does_not_hold_what_workers_wrote():
    with pytest.raises(InputError, match="what 2 inputs gave was written but is not in out"):
        curate.require_whole(SimpleNamespace(missing=["a.wat.gz", "b.wat.gz"]), SimpleNamespace(path="out"))
    curate.require_whole(SimpleNamespace(missing=[]), SimpleNamespace(path="out"))
