"""Starter metadata: clip-curate without entries, and clip-metadata --starter; a made-up list takes wordfreq's place."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import Results, curate
from metadata import InputError, starter
from metadata.config import MetadataConfig
from metadata.entries import ENTRIES, Entries, sha256_of, strings_digest
from metadata.starter import starter_metadata
from runtime import packages
from runtime.engine.local import Local
from runtime.packages import table_rows
from runtime.progress import Progress
from tests.support.checkout import ROOT
from tests.support.flips import flip
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
    monkeypatch.setattr(starter, "paths", lambda: {"frequencies": [str(lists)], "wordnet": []})
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
        InputError, match=r"needs the extra .*: pip install 'clip-curation\[starter\]'; or pass metadata or entries"
    ):
        starter_metadata(CONFIG)


@pytest.fixture
def packages_alone(tmp_path, monkeypatch):
    """Let wordfreq be the only source, with an empty folder for the cache; return that folder."""
    pytest.importorskip("wordfreq")
    monkeypatch.setattr(starter, "package_folder", lambda: None)
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "cache"))
    return tmp_path / "cache"


def languages_built(cache: Path) -> set[str]:
    return {path.parent.name for path in cache.glob("*/starter-*/*/strings.json")}


def test_a_language_is_built_when_its_entries_are_first_needed(packages_alone):
    entries = starter_metadata(CONFIG)
    assert (len(entries), len(entries.languages)) == (4_944_033, 45)
    assert languages_built(packages_alone) == set()
    words = entries.of("vi")
    assert (words[0].as_py(), entries.entry(entries.ids("vi").start + 100)) == ("0", words[100].as_py())
    assert strings_digest(words) == entries.digests["vi"]
    assert languages_built(packages_alone) == {"vi"}
    again = starter_metadata(CONFIG)
    assert again.digest == entries.digest
    assert again.of("vi").equals(words)
    assert len(again.of("sw")) == 0


def test_a_damaged_language_is_built_again(packages_alone):
    words = starter_metadata(CONFIG).of("vi")
    (folder,) = packages_alone.glob("*/starter-*/vi")
    flip(folder / "data.npy", Random(0))
    assert starter_metadata(CONFIG).of("vi").equals(words)


def test_words_that_the_table_does_not_describe_are_refused(packages_alone):
    entries = starter_metadata(CONFIG)
    entries.digests["vi"] = entries.digests["en"]
    with pytest.raises(InputError, match=r"other words of vi than starter\.csv describes; pass (--)?metadata"):
        entries.of("vi")


def test_a_run_builds_entries_and_matchers_of_its_own_languages_alone(packages_alone, tmp_path):
    pairs = pa.table({"url": ["http://a.example/a", "http://a.example/b"], "text": ["một con chó", "개"]})
    pq.write_table(pairs.append_column("language", pa.array(["vi", "ko"])), tmp_path / "pairs.parquet")
    results = curate(tmp_path / "pairs.parquet", tmp_path / "out", engine=Local(1))
    assert results.facts["metadata"]["entries"] == 4_944_033
    assert languages_built(packages_alone) == {"vi", "ko"}
    assert {path.parent.name for path in packages_alone.glob("*/matchers-*/*/matcher.json")} == {"vi", "ko"}


@pytest.mark.soak
def test_the_table_describes_what_the_packages_give(packages_alone):
    entries = starter_metadata(CONFIG)
    whole = starter._whole(packages_alone / "whole", CONFIG)
    assert {code: sha256_of(whole.of(code)) for code in whole.languages} == {
        row["language"]: row["sha256"] for row in table_rows("metadata", starter.STARTER_TABLE)
    }
    assert (entries.digests, entries.digest, entries.languages) == (whole.digests, whole.digest, whole.languages)
    assert entries.about == whole.about


@pytest.mark.slow
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
