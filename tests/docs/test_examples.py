"""Every example of README and docs/ without a mark runs in a test; here are those that no other file runs.

A mark is the title of a block, which the site shows.
"""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metadata import Entries
from tests.support.checkout import ROOT, of_a_user

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"^( *)```(?:(\w+)(?: title=\"([^\"\n]*)\")?)?\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
MARKS = {"fragment", "needs a network", "needs Spark and Java"}
COMMANDS_RUN_BY = {  # the test that runs the commands of a page
    "docs/how-to/choosing-t.md": "tests/docs/test_docs.py",
    "docs/how-to/feeding-training.md": "tests/feeds/test_feeds.py",
    "docs/how-to/gates.md": "tests/docs/test_docs.py",
    "docs/how-to/other-loaders.md": "tests/feeds/test_feeds.py",
    "docs/how-to/scoring.md": "tests/feeds/test_scoring_page.py",
    "docs/start/crawl-to-training.md": "tests/feeds/test_chain.py",
    "docs/start/first-manifest.md": "tests/docs/test_docs.py",
    "docs/start/new-language.md": "tests/docs/test_docs.py",
    "docs/start/quick-start.md": "tests/docs/test_docs.py",
}
RUN_BY = {  # the test that runs the examples of a page
    "README.md": "setup.cfg",
    "docs/how-to/batches.md": "tests/online/test_training.py",
    "docs/how-to/choosing-t.md": "tests/docs/test_docs.py",
    "docs/how-to/compare.md": "tests/compare/test_compare.py",
    "docs/how-to/dataframes.md": "tests/dataframes/test_page.py",
    "docs/how-to/extending.md": "tests/gate/test_extending.py",
    "docs/how-to/feeding-training.md": "tests/feeds/test_feeds.py",
    "docs/how-to/gates.md": "tests/docs/test_docs.py",
    "docs/how-to/library.md": "setup.cfg",
    "docs/how-to/near-copies.md": "tests/docs/test_examples.py",
    "docs/how-to/online-balancing.md": "tests/online/test_training.py",
    "docs/how-to/other-loaders.md": "tests/feeds/test_feeds.py",
    "docs/how-to/weights.md": "tests/online/test_training.py",
    "docs/start/crawl-to-training.md": "tests/feeds/test_chain.py",
    "docs/start/first-manifest.md": "tests/jobs/test_starter.py",
    "docs/start/new-language.md": "tests/docs/test_docs.py",
    "docs/start/quick-start.md": "tests/docs/test_docs.py",
}


def examples(page: str) -> list[str]:
    return BLOCK.findall((ROOT / "docs" / page).read_text("utf-8"))


def fences(page: Path) -> list[re.Match]:
    return [*FENCE.finditer(page.read_text("utf-8"))]


DOCS = sorted((ROOT / "docs").rglob("*.md"))


def test_every_page_with_commands_to_run_names_the_test_that_runs_them():
    blocks = {str(page.relative_to(ROOT)): fences(page) for page in DOCS}
    assert {block[3] for page in blocks.values() for block in page} - {None} == MARKS
    with_commands = {page for page in blocks if any(block[2] == "sh" and not block[3] for block in blocks[page])}
    assert with_commands == COMMANDS_RUN_BY.keys()
    for page, test in COMMANDS_RUN_BY.items():
        assert Path(page).name in (ROOT / test).read_text("utf-8"), page


def test_of_the_page_on_gates_the_worked_example_runs_alone():
    before, _, after = (ROOT / "docs/how-to/gates.md").read_text("utf-8").partition("\n## A worked example\n")
    assert [text for text in (before, after.partition("\n## ")[2]) if "```sh\n" in text] == []


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_no_command_of_a_page_is_without_a_fence(page):
    rest = FENCE.sub("", page.read_text("utf-8"))
    assert re.findall(r"\n\n    (?:clip-|python|pip |spark-|make )[^\n]*", rest) == []


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_the_line_before_what_needs_spark_says_so(page):
    text = page.read_text("utf-8")
    for block in fences(page):
        if re.search(r"spark-submit|spark-class|pyspark|SparkSession|--master|engine=spark", block[4]):
            before = text[: block.start()].rstrip().rpartition("\n")[2]
            assert re.search("Spark|Java", f"{block[3]} {before}"), block[4]


def test_every_page_with_python_names_the_test_that_runs_it():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    with_python = {str(page.relative_to(ROOT)) for page in pages if BLOCK.search(page.read_text("utf-8"))}
    assert with_python == RUN_BY.keys()
    for page, test in RUN_BY.items():
        assert Path(page).name in (ROOT / test).read_text("utf-8"), page


@pytest.mark.slow
def test_the_example_of_near_copies_finds_the_copies_of_pictures(tmp_path, monkeypatch):
    (example,) = examples("how-to/near-copies.md")
    monkeypatch.chdir(tmp_path)
    hashes = {"a": b"\0" * 8, "b": b"\0" * 7 + b"\x0f", "far": b"\xff" * 8, "broken": None, "also broken": None}
    columns = {"uid": [*hashes], "phash": pa.array([*hashes.values()], pa.binary(8))}
    (tmp_path / "hashes").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "hashes" / "00000.parquet")
    names: dict = {}
    exec(example, names)
    found = {row["uid"]: row["copy_of"] for file in names["files"] for row in pq.read_table(file).to_pylist()}
    assert found.keys() == {"a", "b"}
    assert found["a"] == found["b"] in found


@pytest.mark.slow
def test_the_whole_run_as_a_function_keeps_images(sample, tmp_path):
    (example,) = [each for each in examples("how-to/library.md") if not each.startswith(">>>")]
    (tmp_path / "crawl").mkdir()
    first = min((sample / "crawl").glob("*.wat.gz"))
    (tmp_path / "crawl" / first.name).symlink_to(first)
    rows = {"url": [f"http://a.example/{number}.jpg" for number in range(9)], "text": ["a dog in the park"] * 9}
    pq.write_table(pa.table(rows), tmp_path / "pairs.parquet")
    Entries.build({"en": ["dog", "the", "park"]}).save(tmp_path / "my-metadata")
    (tmp_path / "opt-outs.txt").write_text("http://a.example/0.jpg\n")
    environment = of_a_user(PYTHONPATH=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    kept = pq.read_table(tmp_path / "curated" / "curated")["url"].to_pylist()
    assert int(done.stdout) == len(kept) > 5
    assert "http://a.example/0.jpg" not in kept
