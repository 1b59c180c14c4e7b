"""Files made to exhaust memory: read in bounded memory, counted, and never an exception. In full with `make soak`."""

import json
import os
import subprocess
import sys

import pytest

from curation.inputs.crawl import html_pages, warc, wat
from curation.inputs.tables import text
from tests.support import read_and_weigh
from tests.support.checkout import ROOT
from tests.support.hostile_files import FILES, MB

FULL = 2 << 30  # bytes that a careless reader would need at least
MOST = 1000  # megabytes that one input may take, whatever it holds

MORE = {"quotes.csv": {"not_http"}}  # further reasons: a row that is given up is read on from its middle


def check(name: str, tallies: dict, refusal: str | None) -> None:
    _, pairs, said = FILES[name]
    if isinstance(said, str):
        assert said in refusal
        return
    assert refusal is None
    dropped = {name.removeprefix("dropped.") for name in tallies if name.startswith("dropped.")}
    assert (dropped, tallies["files"]) == (said | MORE.get(name, set()), 1)
    assert tallies.get("pairs", 0) > 0 if pairs is None else tallies.get("pairs", 0) == pairs


@pytest.mark.parametrize("name", FILES)
def test_small_hostile_files_are_counted(name, tmp_path, monkeypatch):
    for module, limit, value in (
        (warc, "MAX_RECORD_BYTES", MB),
        (warc, "MAX_BUFFERED_BYTES", 2 * MB),
        (html_pages, "MAX_PAGE_BYTES", MB),
        (text, "LONGEST_LINE", 2 * MB),
        (wat, "MAX_RECORD_BYTES", MB),
    ):
        monkeypatch.setattr(module, limit, value)
    FILES[name][0](tmp_path / name, 3 * MB)
    check(name, *read_and_weigh.read(str(tmp_path / name)))


@pytest.mark.soak
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="weighs as Linux does")
@pytest.mark.parametrize("name", FILES)
def test_large_hostile_files_need_little_memory(name, tmp_path):
    FILES[name][0](tmp_path / name, FULL)
    command = [sys.executable, ROOT / "tests" / "support" / "read_and_weigh.py", tmp_path / name]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, timeout=600)
    (tmp_path / name).unlink()
    assert done.returncode == 0, done.stderr.decode()
    weighed = json.loads(done.stdout)
    print({key: weighed[key] for key in ("seconds", "megabytes")})
    check(name, weighed["tallies"], weighed["refusal"])
    assert weighed["megabytes"] < MOST
