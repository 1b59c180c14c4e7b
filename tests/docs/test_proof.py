"""The proof's pages have the numbers of its file; the script refuses a folder that it cannot use in one sentence."""

import subprocess
import sys

import pytest

from tests.support.checkout import ROOT

PAGE = ROOT / "docs" / "explanation" / "proof.md"
DETAILS = PAGE.with_name("proof-details.md")


def script(*arguments, folder=ROOT) -> subprocess.CompletedProcess:
    name = "proof_results.py" if arguments[0] in ("tables", "draw") else "proof.py"
    command = [sys.executable, ROOT / "tests" / "bench" / name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=folder)


def tables_of(page) -> list[str]:
    """Return the lines of all tables of results on a page."""
    results = page.read_text(encoding="utf-8").partition("## What is drawn")[0]
    return [line for line in results.splitlines() if line.startswith("|")]


def test_the_tables_of_results_are_those_of_the_file_of_numbers():
    lines = tables_of(PAGE) + tables_of(DETAILS)
    assert lines == [line for line in script("tables", PAGE.parent).stdout.splitlines() if line]
    assert len(lines) > 40


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train", "none"), "none holds no worlds"),
        (("tables", "none"), "no proof.csv"),
        (("draw", "none", "a.svg"), "no proof.csv"),
        (("draw", PAGE.parent), "name"),
    ],
)
def test_a_folder_of_no_use_is_refused(tmp_path, arguments, sentence):
    ended = script(*arguments, folder=tmp_path)
    assert ended.returncode == 2
    assert sentence in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
