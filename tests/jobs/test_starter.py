"""Starter metadata: clip-curate without entries, and clip-metadata --starter; a made-up list takes wordfreq's place."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from curation import Results
from metadata import InputError, pipeline
from metadata.config import MetadataConfig
from metadata.entries import ENTRIES, Entries
from metadata.pipeline import starter_metadata
from runtime import packages
from runtime.progress import Progress
from tests.support.checkout import ROOT
from tests.support.spark_jobs import run_here

CONFIG = MetadataConfig()
PAGE = (ROOT / "docs" / "start" / "first-manifest.md").read_text("utf-8")


@pytest.fixture
def words(tmp_path, monkeypatch):
    """Let two small lists stand in for wordfreq, and an empty folder for the cache."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "en.tsv").write_text("the\t50\nphoto\t20\nberlin\t1\n")
    (lists / "de.tsv").write_text("Der\t50\nHund\t20\n")
    monkeypatch.setattr(pipeline, "paths", lambda: {"frequencies": [str(lists)], "wordnet": []})
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "cache"))
    return lists


def made(tmp_path):
    return [path for path in (tmp_path / "cache").glob("*/starter-*") if path.is_dir()]


def test_it_is_built_once_and_again_for_other_rules(words, tmp_path):
    first = starter_metadata(CONFIG)
    assert first.of("en").to_pylist()[100:] == ["the", "The", "photo", "Photo", "berlin", "Berlin"]
    assert first.about["starter"] is True
    (folder,) = made(tmp_path)
    built = (folder / ENTRIES).stat()
    os.utime(folder, (0, 0))
    assert starter_metadata(CONFIG).digest == first.digest
    assert os.path.samestat((folder / ENTRIES).stat(), built)
    assert folder.stat().st_mtime > 0
    starter_metadata(replace(CONFIG, rules="meta"))
    assert len(made(tmp_path)) == 2


def test_progress_counts_the_languages(words):
    progress = Progress()
    starter_metadata(CONFIG, progress)
    (stage,) = progress._stages
    assert (stage.figures()["done"], stage.figures()["total"]) == (2, 2)


def test_a_damaged_copy_is_built_again(words, tmp_path):
    digest = starter_metadata(CONFIG).digest
    (made(tmp_path)[0] / ENTRIES).write_bytes(b"PAR1")
    assert starter_metadata(CONFIG).digest == digest
    assert Entries.open(made(tmp_path)[0]).digest == digest


def test_the_same_versions_give_the_same_bytes(words, tmp_path, monkeypatch):
    contents = []
    for name in "ab":
        monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / name))
        starter_metadata(CONFIG)
        contents.append({file.name: file.read_bytes() for file in (tmp_path / name).glob("*/starter-*/*")})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 2


def test_without_wordfreq_one_sentence_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"needs the extra .*: pip install 'clip-curation\[starter\]'; or give --metadata or --entries"
    ):
        starter_metadata(CONFIG)


@pytest.mark.spark
def test_the_first_page_can_be_followed_and_the_run_says_what_its_entries_are(words, tmp_path, monkeypatch, capsys):
    for name, entry in {"fr": "mer", "ja": "猫", "ru": "дом"}.items():
        (words / f"{name}.tsv").write_text(f"{entry}\t1\n", "utf-8")
    code, command, shown = (re.search(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[1]
                            for kind in ("python", "sh", "text"))  # fmt: skip
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    name, *flags = command.split()
    assert (name, run_here("jobs/curate.py", *flags)) == ("clip-curate", 0)
    said, run = " ".join(capsys.readouterr()), Results.open("out")
    assert " ".join(shown.split()) in " ".join(said.split())
    warning = run.facts["warnings"][0]
    assert warning.startswith("The entries are starter metadata, frequent words from lists:")
    assert "No metadata is given." in said
    assert said.count(warning) == 2
    assert warning in Path("out", "report.html").read_text("utf-8")
    entries = starter_metadata(CONFIG)
    assert run.facts["metadata"] == {"digest": entries.digest, "entries": len(entries)} | entries.about
    metadata = tmp_path / "metadata"
    assert run_here("jobs/build_metadata.py", "--starter", "--output", metadata) == 0
    assert Entries.open(metadata).digest == run.facts["metadata"]["digest"]
    facts = json.loads((metadata / "metadata.json").read_text())
    assert facts["sources"]["en"] == {"numbers": 100, "frequencies": 6}
