"""A run that keeps nothing says which step left nothing and why it may be, and ends with status 1."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import Results
from curation.commands import clip_curate as curate
from curation.run.pipeline import curate as run
from metadata import Entries
from runtime.engine.local import Local

URLS = [f"https://example.org/{number}.jpg" for number in range(3)]
TEXTS = ["a dog", "the dog", "déjà vu, the dog"]


def csv(path: Path, columns: dict[str, list[str]], encoding: str = "utf-8") -> Path:
    rows = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding)
    return path


def parquet(path: Path, columns: dict) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def words(tmp_path) -> str:
    (tmp_path / "words.txt").write_text("dog\n")
    return f"en={tmp_path / 'words.txt'}"


@pytest.fixture
def status(tmp_path, words, monkeypatch):
    """Curate an input in this process; return the status with which the command ends."""
    monkeypatch.setattr(curate, "engine_for", lambda args, name: Local(1))

    def ended(path: Path, *more: object) -> int:
        command = ["--input", path, "--entries", words, "--output", tmp_path / "out", "--quiet", *more]
        try:
            curate.main([str(argument) for argument in command])
        except SystemExit as end:
            return end.code
        return 0

    return ended


@pytest.mark.parametrize(
    ("write", "columns", "cause"),
    [
        (
            csv,
            {"url": TEXTS, "text": URLS},
            "3 url_in_text): the texts are URLs, and the URLs are not: are the columns",
        ),
        (
            lambda path, columns: csv(path, columns, "latin-1"),
            {"url": URLS[2:], "text": TEXTS[2:]},
            "1 bad_utf8): save the inputs as UTF-8",
        ),
        (csv, {"url": [], "text": []}, "the inputs hold no rows: pass inputs"),
        (
            parquet,
            {"url": ["1", "2", "3"], "text": TEXTS},
            "3 not_http): URLs begin with http:// or https://; is another",
        ),
        (parquet, {"url": pa.nulls(3, pa.string()), "text": pa.nulls(3, pa.string())}, "3 empty_url): is another"),
        (parquet, {"url": URLS, "text": pa.nulls(3, pa.string())}, "3 empty_text): is another column meant by --text"),
        (
            parquet,
            {"url": URLS, "text": ["a bird"] * 3},
            "none of 3 texts contains an entry: check that the entries are words",
        ),
        (
            parquet,
            {"url": URLS, "text": TEXTS, "language": ["de"] * 3},
            "contains an entry: the texts are in German (3), but the entries are in English",
        ),
    ],
)
def test_the_step_that_left_nothing_and_its_cause(status, tmp_path, capsys, write, columns, cause):
    path = write(tmp_path / f"pairs.{'tsv' if write is not parquet else 'parquet'}", columns)
    assert status(path) == 1
    said = capsys.readouterr().err.splitlines()
    assert cause in said[-1]
    assert said[-1].startswith("clip-curate: Nothing was kept: ")
    assert [line for line in said if "Nothing was kept" in line] == said[-1:]
    facts = Results.open(tmp_path / "out").facts
    assert facts["rows"]["kept"] == 0
    assert cause in facts["warnings"][0]
    assert "Nothing was kept" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_run_json_has_the_command_line_and_the_policy_as_they_were_given(status, tmp_path):
    path = parquet(tmp_path / "pairs.parquet", {"url": URLS, "text": ["a dog"] * 3})
    assert status(path, "--policy", "min_words:2", "--keep-removed", "1") == 0
    facts = Results.open(tmp_path / "out").facts
    assert facts["made"]["command_line"].startswith("clip-curate --input ")
    assert facts["made"]["command_line"].endswith("--policy min_words:2 --keep-removed 1")
    assert facts["gate"]["policy"] == ["min_words:2"]


def test_an_empty_manifest_may_be_allowed(status, tmp_path, capsys):
    path = parquet(tmp_path / "pairs.parquet", {"url": URLS, "text": ["a bird"] * 3})
    assert status(path, "--allow-empty") == 0
    assert "warning: Nothing was kept: none of 3 texts contains an entry" in capsys.readouterr().err


def test_the_function_returns_an_empty_run_with_the_warning(tmp_path):
    path = parquet(tmp_path / "pairs.parquet", {"url": URLS, "text": ["a bird"] * 3})
    results = run(path, tmp_path / "out", metadata=Entries.build({"en": ["dog"]}), engine=Local(1))
    assert "Nothing was kept: none of 3 texts contains an entry" in results.facts["warnings"][0]


@pytest.mark.parametrize("column", ["text", "0"])
def test_one_column_for_url_and_text_is_refused(status, tmp_path, capsys, column):
    path = csv(tmp_path / "pairs.tsv", {"url": URLS, "text": TEXTS})
    assert status(path, "--url-column", column, "--text-column", column) == 2
    assert "expected two" in capsys.readouterr().err
