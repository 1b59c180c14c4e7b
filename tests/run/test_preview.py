"""A dry run says what a run would do, refuses what it would refuse, and leaves nothing behind."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.commands import clip_curate as curate
from curation.config import CurationConfig
from curation.inputs import files
from curation.inputs.files import find
from curation.inputs.tables.columns import TableOptions
from curation.run.preview import SampledInputs, preview
from metadata.entries import Entries
from runtime.packages import own_hooks
from tests.support.hostile_strings import ACTING
from tests.support.remote_files import Ranged
from tests.support.tables import json_lines

TEXTS = ["a dog on the beach", "\x1b[2J a cat\tsleeps", "ein Hund im Garten", "IMG 0231"]

of_gate = pytest.mark.skipif("gate" not in own_hooks("clip_curation.curate_flags"), reason="asks for flags of the gate")


@pytest.fixture
def folder(tmp_path):
    """Inputs of three formats with columns of different names, and entries in two languages."""
    urls = [f"https://example.org/{number}/\u202e{'x' * 100}.jpg" for number in range(len(TEXTS))]
    (tmp_path / "in" / "wit").mkdir(parents=True)
    pq.write_table(pa.table({"URL": urls, "TEXT": TEXTS}), tmp_path / "in" / "a.parquet")
    rows = ({"image_url": url, "words": text} for url, text in zip(urls, TEXTS, strict=True))
    (tmp_path / "in" / "wit" / "b.jsonl").write_text(json_lines(*rows))
    (tmp_path / "in" / "cc3m.tsv").write_text("".join(f"a dog\t{url}\n" for url in urls))
    (tmp_path / "en").write_text("dog\nbeach\ncat\n")
    (tmp_path / "de").write_text("Hund\n")
    return tmp_path


@pytest.fixture
def said(folder, capsys, monkeypatch):
    """Return the status and the plan, or the messages, of a dry run over the folder's inputs, with more flags."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*flags):
        columns = ["--url-column", "cc3m*=1", "--text-column", "cc3m*=0", "wit/*=words"]
        words = ["--input", folder / "in", "--entries", f"en={folder / 'en'}", f"de={folder / 'de'}", *columns]
        status = 0
        try:
            curate.main([*map(str, words), "--output", str(folder / "out"), "--dry-run", *map(str, flags)])
        except SystemExit as end:
            status = end.code
        result, messages = capsys.readouterr()
        return status, result or messages

    return run


def test_it_says_what_is_read_and_what_becomes_of_it(said, folder):
    status, text = said("--english-threshold", 8)
    assert status == 0
    assert not (folder / "out").exists()
    assert "3 inputs, " in text
    assert "csv (tab-plain): 1 file, " in text
    assert "columns: url = 1, text = 0" in text
    assert "columns: url = image_url, text = words" in text
    assert "columns: url = URL, text = TEXT" in text
    assert "\\u202e" in text
    assert ACTING.findall(text) == []
    assert "expected: 12 pairs, 10 with a match (83.3 %)" in text
    assert "kept at t = 8: 10; fewer if" in text
    body = text.partition("3 inputs")[2]
    assert max(map(len, body.splitlines())) <= 80


def test_a_program_reads_the_estimates(said):
    numbers = json.loads(said("--log-format", "json", "--target-size", 5)[1].splitlines()[-1])["numbers"]
    assert {name: numbers[name] for name in ("files", "pairs", "matched", "kept")} == {
        "files": 3, "pairs": 12, "matched": 10, "kept": 5
    }  # fmt: skip
    beside = 12 * 70 + 10 * 55 + 5 * 55 + 4 * 16
    assert beside < numbers["output_bytes"] < beside + 27 * 1000
    assert numbers["core_seconds"] == 0.0


@pytest.mark.parametrize(
    ("size", "line"),
    [
        (2, "kept: 5 or more, not the target of 2: at t = 1 each entry still keeps about"),
        (5, "kept for the target size: 5; fewer if"),
        (11, "kept: 10, all that match, fewer than the target of 11"),
    ],
)
def test_a_target_size_that_cannot_be_met_is_not_said_to_be(said, size, line):
    assert line in said("--target-size", size)[1]


def test_what_lists_exclude_is_not_matched_and_long_texts_are_cut(said, folder):
    (folder / "list").write_text("https://example.org/0/\u202e" + "x" * 100 + ".jpg\n")
    assert "with a match (58.3 %)" in said("--exclude", folder / "list")[1]
    (folder / "in" / "cc3m.tsv").write_text(f"{'x' * 8192} dog\thttps://example.org/1\n" * 4)
    assert "with a match (50.0 %)" in said()[1]


def test_what_samples_cannot_tell_is_unknown(said, monkeypatch):
    monkeypatch.setattr(SampledInputs, "weight", 1e5)
    status, text = said()
    assert status == 0
    assert "kept at t = 20,000: unknown" in text
    assert "curated/" not in text
    assert max(map(len, text.partition("3 inputs")[2].splitlines())) <= 80


@of_gate
def test_it_says_what_is_asked_of_images(said, folder):
    pq.write_table(pa.table({"url": ["https://a.org/1"], "width": [200]}), folder / "sizes.parquet")
    _, text = said("--images", folder / "sizes.parquet", "--keep", "width >= 200", "--policy", "min_words:3")
    lines = [line.strip() for line in text.partition("conditions on images:")[2].splitlines()]
    assert "keep: width >= 200" in lines
    assert "policy: min_words:3" in lines
    assert "gated/" in text


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--text-column", "words"], "has named columns|has no column words|pass one number for each"),
        pytest.param(
            ["--keep", "width > 1"],
            "--keep 'width > 1' needs tables of images with its columns; pass them by --images",
            marks=of_gate,
        ),
        (
            ["--english-threshold", "0"],
            "--english-threshold is 0; it must be at least 1 (to keep all images that match, pass --set balance=false",
        ),
        (["--uid-column", "laion*=key"], "--uid-column is laion*=key, but no input matches laion*"),
    ],
)
def test_it_refuses_what_a_run_refuses(said, flags, sentence):
    status, text = said(*flags)
    assert status == 2
    assert any(part in text for part in sentence.split("|"))


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(said, folder):
    (folder / "out").mkdir()
    (folder / "out" / "a").write_text("x")
    status, text = said()
    assert status == 2
    assert "contains files that are not a run of clip-curate" in text
    assert said("--overwrite")[0] == 0
    assert os.listdir(folder / "out") == ["a"]


def test_no_jvm_is_started(said, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", "/none")
    monkeypatch.setattr("pyspark.java_gateway.launch_gateway", None)
    assert said("--quiet")[0] == 0


def test_pairs_are_estimated_from_the_beginning_of_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SAMPLED_PAIRS", 10)
    number = 60_000
    urls = [f"https://example.org/{n}.jpg" for n in range(number)]
    (tmp_path / "a.jsonl").write_text(json_lines(*({"url": url, "text": "a dog"} for url in urls)))
    (tmp_path / "a.csv").write_text("url,text\n" + "".join(f"{url},a dog\n" for url in urls))
    pq.write_table(pa.table({"url": urls, "text": ["a dog"] * number}), tmp_path / "a.parquet")
    found = files.samples(find([str(tmp_path)]), TableOptions())
    for each in found:
        assert len(each.rows) < number
        assert each.pairs == pytest.approx(number, rel=0.1)
    assert next(each.pairs for each in found if each.format == "parquet") == pytest.approx(number)


def test_urls_are_looked_into_as_files_are(server, folder):
    entries = Entries.build({"en": ["dog"]})
    addresses = [server.serve(f"/{path.name}", Ranged(path.read_bytes())) for path in (folder / "in").glob("*.parquet")]
    found = preview(addresses, folder / "out", metadata=entries, config=CurationConfig())
    assert (found.pairs, found.matched, round(found.kept)) == (4, 1, 1)
    assert [row["url"][:20] for row in found.sampled[0].rows.to_pylist()] == ["https://example.org/"] * 4
