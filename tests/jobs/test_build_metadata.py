"""Test the build_metadata job: its output, the same bytes every time, and its refusals."""

import bz2
import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from metadata import Entries, commands
from metadata.entries import SCHEMA
from runtime.engine.local import Local
from tests.sample.texts import LANGUAGES
from tests.sample.views import OTHER_PROJECTS
from tests.sample.wikipedias import MARKUP
from tests.support.checkout import ROOT
from tests.support.http_server import Answer, file
from tests.support.refusals import refusal
from tests.support.spark_jobs import run_here

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
FEW = ("en", "ja", "de")  # of the sample's twenty languages


def dumps(sample: Path, *codes: str) -> list[Path]:
    return [next((sample / "wikipedia").glob(f"{code}wiki-*")) for code in codes]


def views(sample: Path) -> Path:
    return next((sample / "pageviews").iterdir())


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Build from these sources into a new folder or the one given; return the folder."""

    def run(*sources, output=None, cores=2) -> Path:
        output = output or tmp_path_factory.mktemp("build") / "metadata"
        assert run_here("jobs/build_metadata.py", *sources, "--output", output, "--cores", cores) == 0
        return output

    return run


@pytest.fixture(scope="module")
def whole(build, sample) -> Path:
    """All twenty languages of the sample, from folders."""
    folders = {f"--{name}": sample / name for name in ("wordnet", "wikipedia", "pageviews")}
    return build(*(part for pair in folders.items() for part in pair))


@pytest.fixture(scope="module")
def few(build, sample) -> Path:
    """Three languages, from files."""
    wordnets = [sample / "wordnet/dict", sample / "wordnet/wn-data-jpn.tab"]
    more = ["--pageviews", views(sample), "--languages", *FEW]
    return build("--wordnet", *wordnets, "--wikipedia", *dumps(sample, *FEW), *more)


def facts(folder: Path) -> dict:
    return json.loads((folder / "metadata.json").read_text("utf-8"))


def rows(folder: Path, code: str) -> list[dict]:
    """Return the rows of a language without their ids, which count all languages."""
    table = pq.read_table(folder / "entries.parquet").drop_columns("id")
    return table.filter(pc.equal(table["language"], code)).to_pylist()


def of_source(folder: Path, code: str, source: str) -> set[str]:
    return {row["entry"] for row in rows(folder, code) if source in row["sources"]}


def test_the_output_is_what_the_format_says(whole):
    table = pq.read_table(whole / "entries.parquet")
    assert table.schema.equals(SCHEMA)
    assert table["id"].to_pylist() == list(range(len(table)))
    assert Entries.open(whole).digest == facts(whole)["digest"]
    assert set(facts(whole)["languages"]) == set(LANGUAGES)
    assert sum(facts(whole)["languages"].values()) == facts(whole)["entries"] == len(table)
    assert not (whole / ".work").exists()


def test_the_figures_of_each_source_agree_with_the_entries(whole):
    for code, counts in facts(whole)["sources"].items():
        owners = [row["sources"][0] for row in rows(whole, code)]
        assert counts == {source: owners.count(source) for source in set(owners)}


def test_entries_of_every_source_are_there(whole):
    assert {"0", "99"} <= of_source(whole, "ko", "numbers")
    assert {"old", "in New Zealand"} & of_source(whole, "en", "wordnet") == {"old"}  # only names of synsets
    assert {"the", "of", "in", "photo"} <= of_source(whole, "en", "unigrams")
    assert {"New York", "photo of"} <= of_source(whole, "en", "bigrams")
    assert {"Dog", "Kilimanjaro"} <= of_source(whole, "en", "titles")
    assert {"の", "写真"} <= of_source(whole, "ja", "unigrams")
    assert {"犬", "公園で"} <= of_source(whole, "ja", "wordnet")
    assert "東京で" in of_source(whole, "ja", "bigrams")


def test_an_entry_of_several_sources_names_them_all(whole):
    (dog,) = [row for row in rows(whole, "en") if row["entry"] == "dog"]
    assert dog["sources"] == ["wordnet", "unigrams"]
    assert dog["score"] is None  # the wordnet came first, and has none


def test_english_has_a_least_count_and_the_others_a_share(whole):
    counts = {
        code: pq.read_table(whole / "sources/ngrams" / code / "unigrams.parquet")["score"] for code in ("en", "de")
    }
    assert pc.min(counts["en"]).as_py() >= 100 > pc.min(counts["de"]).as_py()
    distinct = facts(whole)["wikipedia"]["de"]["distinct_words"]
    assert len(counts["de"]) == -(-distinct // 10)
    assert pc.min(pq.read_table(whole / "sources/titles/en.parquet")["score"]).as_py() >= 70


def test_neither_markup_nor_other_namespaces_become_entries(whole):
    for code in LANGUAGES:
        words = {word for row in rows(whole, code) for word in row["entry"].split()}
        assert not words & {*MARKUP, "Search", "Special", "Main", "Elsewhere", "glossary"}
        assert not [row["entry"] for row in rows(whole, code) if ":" in row["entry"]]


def test_what_was_dropped_is_said(whole):
    assert facts(whole)["wikipedia"]["ja"]["dropped.redirect"] == 1
    assert facts(whole)["wikipedia"]["ja"]["dropped.namespace"] == 1
    assert facts(whole)["pageviews"]["dropped.other_project"] == len(OTHER_PROJECTS)
    assert facts(whole)["pageviews"]["dropped.main_page"] > 0


@pytest.mark.slow
def test_adding_a_language_leaves_the_entries_of_the_others_the_same(whole, few):
    assert set(facts(few)["languages"]) == set(FEW)
    for code in FEW:
        assert rows(few, code) == rows(whole, code) != []


@pytest.mark.slow
def test_bytes_are_the_same_on_one_core_from_files_in_another_order_and_in_two(build, few, sample, tmp_path):
    english, *others = dumps(sample, *FEW)
    halves = [*cut_in_two(english, tmp_path), *others][::-1]
    wordnets = [sample / "wordnet/wn-data-jpn.tab", sample / "wordnet/dict"]
    viewed = ["--pageviews", *view_halves(views(sample), tmp_path)[::-1], "--languages", *FEW[::-1]]
    again = build("--wordnet", *wordnets, "--wikipedia", *halves, *viewed, cores=1)
    assert (again / "entries.parquet").read_bytes() == (few / "entries.parquet").read_bytes()
    assert facts(again)["wikipedia"]["en"]["files"] == 2


@pytest.mark.slow
def test_a_second_run_counts_nothing_anew_and_a_list_replaces_english(build, few, sample, tmp_path):
    (tmp_path / "list.json").write_text(json.dumps(["dog", "of the"]))
    stamps = {path: path.stat().st_mtime_ns for path in (few / "sources").rglob("_folder.json")}
    japanese = rows(few, "ja")
    wordnets = [sample / "wordnet/dict", sample / "wordnet/wn-data-jpn.tab"]
    more = ["--pageviews", views(sample), "--languages", *FEW, "--entries", f"en={tmp_path / 'list.json'}"]
    more.append("--overwrite")
    build("--wordnet", *wordnets, "--wikipedia", *dumps(sample, *FEW), *more, output=few)
    assert len(stamps) == len(FEW) + 1
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert [(row["entry"], row["sources"]) for row in rows(few, "en")] == [("dog", ["list"]), ("of the", ["list"])]
    assert rows(few, "ja") == japanese


def cut_in_two(dump: Path, folder: Path) -> list[Path]:
    """Put the pages of a dump into two files, of which only the first has the head, as with hand-made parts."""
    head, *pages = bz2.decompress(dump.read_bytes()).decode().removesuffix("</mediawiki>\n").split("  <page>\n")
    middle = len(pages) // 3
    parts = [(head, pages[:middle]), ("<mediawiki>\n", pages[middle:])]
    paths = [folder / f"{part}" / dump.name for part in "ab"]
    for path, (start, some) in zip(paths, parts, strict=True):
        path.parent.mkdir()
        path.write_bytes(bz2.compress("  <page>\n".join([start, *some]).encode() + b"</mediawiki>\n"))
    return paths


def view_halves(path: Path, folder: Path) -> list[Path]:
    """Put every other line of a page-view file into another file."""
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    paths = [folder / f"pageviews-{half}.gz" for half in range(2)]
    for half, each in enumerate(paths):
        each.write_bytes(gzip.compress(b"".join(lines[half::2])))
    return paths


def test_a_wordnet_alone_needs_no_spark_and_a_language_without_source_is_named(sample, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Local, "_each", lambda *_: pytest.fail("a task was started"))
    sources = ["--wordnet", str(sample / "wordnet"), "--languages", "ja", "ko"]
    commands.main([*sources, "--output", str(tmp_path / "out")])
    assert set(facts(tmp_path / "out")["languages"]) == {"ja"}
    assert facts(tmp_path / "out")["missing"] == ["ko"]
    assert "No source has entries of Korean (ko)." in capsys.readouterr().out


@pytest.fixture
def refused(capsys, monkeypatch):
    """Run the job; return the sentence with which it refused."""
    monkeypatch.setattr(Local, "_each", lambda *_: pytest.fail("a task was started"))
    return lambda *arguments: refusal(capsys, commands.main, *arguments).splitlines()[-1]


@pytest.mark.parametrize("source", ["wordnet", "wikipedia", "pageviews"])
def test_a_path_that_does_not_exist(refused, tmp_path, source):
    sentence = refused(f"--{source}", tmp_path / "none", "--output", tmp_path / "out")
    assert str(tmp_path / "none") in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", ["wordnet", "wikipedia", "pageviews"])
def test_an_empty_folder(refused, tmp_path, source):
    (tmp_path / "empty").mkdir()
    sentence = refused(f"--{source}", tmp_path / "empty", "--output", tmp_path / "out")
    assert str(tmp_path / "empty") in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--languages", "xx"], "'xx' is not the code of a metadata language"),
        (["--dump", "20260101"], "--dump only affects --download; also pass --download, or leave out --dump"),
        (["--seed", "3"], "--seed only affects --download"),
        (["--entries", "xx={words}"], "'xx' is not the code of a metadata language"),
        (["--entries", "{words}"], "write LANGUAGE=FILE"),
        (["--entries", "en={words}.none"], "cannot read the entries"),
        (["--entries", "en={words}", "--languages", "ja"], "none of the sources has an entry"),
        (["--set", "unigram_limit=-1"], "--set unigram_limit is -1"),
        (["--set", "english_title_views=0"], "--set english_title_views is 0"),
        (["--set", "bigram_score=best"], "'best' is not one of the choices; choose "),
        (["--rules", "loose"], "'loose' is not one of the choices; choose unicode or meta"),
        (["--set", "least_zipf=-5"], "--set least_zipf is -5; it must be a number from 0 to 10"),
        (["--dry-run"], "also pass --download"),
        (["--download"], "pass --contact with your e-mail address or a URL"),
        (["--download", "wikipedia", "--dry-run", "--contact", " "], "--contact is empty; write a value"),
        (["--download", "--contact", "é"], "--contact is 'é'"),
        (["--download", "--contact", "me@example.org", "--content-current"], "such as --dump 20251101"),
        (["--download", "--contact", "me@example.org", "--dump", "yesterday"], "--dump is 'yesterday'"),
        (["--page-views", "p"], "unrecognized arguments: --page-views; did you mean --pageviews?"),
    ],
)
def test_a_wrong_language_list_or_number(refused, tmp_path, flags, named):
    words = tmp_path / "words.txt"
    words.write_text("dog\ncat\n")
    assert named in refused(*[flag.format(words=words) for flag in flags], "--output", tmp_path / "out")


def test_files_that_hold_no_page_views_are_named_together_before_spark_starts(refused, sample, tmp_path):
    (tmp_path / "pairs.csv").write_text("url,text\nhttp://x/1.jpg,A dog on the grass beside a lake\n")
    (tmp_path / "dump.bz2").write_bytes(bz2.compress(b"<mediawiki>\n  <page>\n"))
    paths = [tmp_path / "pairs.csv", views(sample), tmp_path / "dump.bz2"]
    sentence = refused("--pageviews", *paths, "--output", tmp_path / "out")
    assert f"{tmp_path / 'dump.bz2'}, {tmp_path / 'pairs.csv'}; expected lines `project title" in sentence
    assert str(views(sample)) not in sentence
    assert not (tmp_path / "out").exists()


def test_arguments_from_a_file(sample, tmp_path, capsys):
    (tmp_path / "run.args").write_text(f"# Japanese\n--wordnet '{sample / 'wordnet'}'\n--languages ja\n")
    commands.main([f"@{tmp_path / 'run.args'}", "--output", str(tmp_path / "out")])
    assert set(facts(tmp_path / "out")["languages"]) == {"ja"}


@pytest.mark.slow
def test_a_copy_of_the_job_alone_works_and_says_how_to_install_what_is_missing(tmp_path):
    job = shutil.copy(ROOT / "jobs/build_metadata.py", tmp_path)
    with_package = subprocess.run([sys.executable, job, "--help"], cwd=ROOT, env=ENVIRONMENT, capture_output=True)
    assert with_package.returncode == 0
    assert b"usage: clip-metadata" in with_package.stdout
    without = subprocess.run([sys.executable, "-I", "-S", job], cwd=tmp_path, capture_output=True, text=True)
    assert without.returncode == 2
    (line,) = without.stderr.splitlines()
    assert "is not installed" in line
    assert "pip install" in line


def test_nothing_is_asked_for_without_a_contact(refused, server, tmp_path):
    assert "pass --contact" in refused("--download", "--mirror", server.url, "--output", tmp_path / "out")
    assert server.requests == []
    assert not (tmp_path / "out").exists()


def test_files_that_did_not_come_are_counted(server, tmp_path, capsys):
    where = ["--mirror", server.url, "--contact", "me@example.org", "--languages", "ja"]
    said = refusal(capsys, commands.main, "--download", "wikipedia", *where, "--output", tmp_path / "out")
    assert "jawiki-latest-sha1sums.txt: the server answered with status 404" in said
    assert "1 of 1 files could not be downloaded; to add them, run the same command again with --overwrite" in said


def test_a_dry_run_lists_the_files_that_a_dump_publishes(server, tmp_path, capsys):
    names = [f"jawiki-20260101-pages-articles-multistream{rest}.bz2" for rest in (".xml", "-index.txt")]
    sums = "".join(f"{'0' * 40}  {name}\n" for name in names)
    server.serve("/jawiki/20260101/jawiki-20260101-sha1sums.txt", Answer(body=sums.encode()))
    for name in names:
        server.serve(f"/jawiki/20260101/{name}", file(b"12345"))
    where = ["--mirror", server.url, "--dump", "20260101", "--contact", "me@example.org", "--languages", "ja"]
    commands.main(["--download", "wikipedia", *where, "--dry-run", "--output", str(tmp_path / "out")])
    shown = capsys.readouterr().out
    assert all(f"5 B  planned  wikipedia/{name}" in shown for name in names)
    assert "me@example.org" in server.requests[0].headers["User-Agent"]
    assert not (tmp_path / "out").exists()


def test_a_wikipedia_that_is_none(refused, sample, tmp_path):
    sentence = refused("--wikipedia", sample / "wikipedia", "--wikipedia-code", "xx", "--output", tmp_path / "out")
    assert "xx" in sentence


def test_no_source_at_all(refused, tmp_path):
    sentence = refused("--output", tmp_path / "out")
    assert all(flag in sentence for flag in ("--wordnet", "--wikipedia", "--pageviews", "--entries"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("url", ["s3:///x", "s3://b/x", "s3x://b/x", "gs://b/x", "abfs://b/x", "hf://datasets/o/x"])
def test_a_url_in_place_of_a_local_folder_is_refused_and_nothing_is_made(refused, tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "en.txt").write_text("dog\n")
    said = refused("--entries", "en=en.txt", "--output", url)
    assert said == f"clip-metadata: --output is {url}, a URL; pass a local folder, and copy it from there"
    assert [path.name for path in tmp_path.iterdir()] == ["en.txt"]
