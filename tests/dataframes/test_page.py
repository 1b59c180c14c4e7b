"""The example of docs/how-to/dataframes.md runs, also a second time in the same folder, and keeps pairs."""

import re
import subprocess
import sys

import pytest

from tests.support.checkout import ROOT, of_a_user

PAGE = (ROOT / "docs" / "how-to" / "dataframes.md").read_text(encoding="utf-8")
CHECK = """
assert "https://example.org/3.jpg" in {row.url for row in curated.collect()}
assert {row.name: row["count"] for row in dataframes.dropped(pairs, metadata, config).collect()} == {
    "records": 6, "pairs": 5, "dropped.empty_url": 1}
assert balance.thresholds.of_language["en"] == 2
"""


@pytest.mark.smoke
@pytest.mark.spark
def test_the_example_runs_and_runs_again_in_the_same_folder(tmp_path):
    example = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[0]
    done = subprocess.run(
        [sys.executable, "-c", 2 * (example + CHECK)],
        cwd=tmp_path,
        env=of_a_user(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
