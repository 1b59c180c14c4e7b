"""A dry run refuses what the run refuses, in the same words, and inputs that are of no use."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.commands import clip_curate as curate
from runtime.engine.local import Local
from tests.support.refusals import refusal
from tests.support.spark_jobs import run_here


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder of inputs and of tables that cannot be used, in which the command runs."""
    urls = [f"https://example.org/{number}.jpg" for number in range(4)]
    tables = {
        "pairs": {"url": urls, "text": ["a dog"] * 4, "width": [1, 2, 3, 4]},
        "no_host": {"text": ["User-agent: *"]},
        "no_key": {"width": [3]},
        "no_word": {"uid": ["0" * 32], "picture": ["x"]},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    for name, text in {"words": "dog\n", "domains": "example.org\n", "no_list": "no domain\n", "none": ""}.items():
        (tmp_path / f"{name}.txt").write_text(text)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)


COMMAND = ["--entries", "en=words.txt", "--output", "out"]
PAIRS = ["--input", "pairs.parquet"]
REFUSED = [
    (["--input", "empty"], "empty contains no"),
    (["--input", "nowhere"], "nowhere"),
    (["--input", "no_host.parquet"], "has no column"),
    ([*PAIRS, "--robots", "no_host.parquet"], "no_host.parquet has no column host (columns: text)"),
    ([*PAIRS, "--robots", "empty"], "holds no file *.warc.gz or *.parquet; expected robots.txt of hosts"),
    ([*PAIRS, "--status", "pairs.parquet"], "expected results of img2dataset, such as 00000.parquet"),
    ([*PAIRS, "--images", "no_key.parquet", "--keep", "width > 1"], "expected a column `uid` or `url`"),
    ([*PAIRS, "--images", "pairs.parquet", "--keep", "height > 1"], "column height of --keep is in no table"),
    ([*PAIRS, "--only", "domains.txt"], "contains a domain, 'example.org'; --only takes only uids and URLs"),
    ([*PAIRS, "--only", "no_key.parquet"], "no_key.parquet"),
    ([*PAIRS, "--exclude", "no_list.txt"], "no_list.txt, line 1: 'no domain'"),
    ([*PAIRS, "--decontaminate", "no_key.parquet"], "no_key.parquet"),
    ([*PAIRS, "--decontaminate-texts", "none.txt"], "none.txt"),
    ([*PAIRS, "--match-captions", "no_word.parquet"], "no_word.parquet"),
    ([*PAIRS, "--same-meaning", "no_word.parquet"], "no_word.parquet"),
    ([*PAIRS, "--same-image", "phash:4", "--images", "pairs.parquet"], "column phash of --same-image is in no table"),
    ([*PAIRS, "--policy", "min_wrods:3"], "'min_wrods:3' is not a rule"),
    ([*PAIRS, "--classes", "en=nowhere.txt"], "nowhere.txt"),
    ([*PAIRS, "--model", "words.txt"], "words.txt"),
]


@pytest.mark.parametrize(("flags", "named"), REFUSED)
def test_what_a_run_refuses_before_any_task_starts(files, capsys, monkeypatch, flags, named):
    monkeypatch.setattr(Local, "_each", lambda *_: pytest.fail("a task was started"))
    dry, run = (refusal(capsys, curate.main, *COMMAND, *flags, *more) for more in (["--dry-run"], []))
    assert named in dry
    assert dry.splitlines()[-1] == run.splitlines()[-1]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (
            {"url": ["ftp://a/1.jpg"] * 5, "text": ["a dog"] * 5},
            "none of 5 records has a text and the URL of an image (5",
        ),
        (
            {"url": ["https://a/1.jpg"], "text": [" "]},
            "none of 1 record has a text and the URL of an image (1 empty_text",
        ),
        ({"url": pa.array([], pa.string()), "text": pa.array([], pa.string())}, "the inputs hold no rows"),
    ],
)
def test_a_dry_run_over_inputs_of_no_use(files, tmp_path, capsys, table, reason):
    pq.write_table(pa.table(table), tmp_path / "useless.parquet")
    said = refusal(capsys, curate.main, *COMMAND, "--input", "useless.parquet", "--dry-run")
    assert f"clip-curate: {reason}" in said.splitlines()[-1]


@pytest.mark.parametrize("flags", [["--dry-run"], []])
def test_a_condition_that_cannot_be_parsed(files, tmp_path, capsys, flags):
    command = [
        *PAIRS,
        "--entries",
        f"en={tmp_path}/words.txt",
        "--output",
        tmp_path / "out",
        "--images",
        "pairs.parquet",
    ]
    assert run_here("jobs/curate.py", *command, "--keep", "width like like (", *flags) == 2
    assert "--keep 'width like like (' is not an expression of DuckDB's SQL" in capsys.readouterr().err
