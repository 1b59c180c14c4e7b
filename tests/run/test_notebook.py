"""`curate` as one call: with inputs and output alone, and what a notebook shows of the run."""

import sys
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, Results, curate
from metadata import Entries, starter

CONFIG = CurationConfig(english_threshold=1)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with pairs and a list that stands in for wordfreq."""
    urls = [f"https://example.org/{number}.jpg" for number in range(40)]
    pq.write_table(pa.table({"url": urls, "text": ["a photo of Berlin, <b>"] * 40}), tmp_path / "pairs.parquet")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "en.tsv").write_text("photo\t20\nberlin\t1\n")
    monkeypatch.setattr(starter, "paths", lambda: {"frequencies": [str(tmp_path / "lists")], "wordnet": []})
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shown(monkeypatch):
    """What a notebook, as whose kernel this process acts, is given to show."""
    found = []
    display = SimpleNamespace(HTML=lambda html: html, display=found.append)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=None)))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return found


def test_inputs_and_output_are_enough(here, capsys):
    results = curate("pairs.parquet", "out")
    assert (results.facts["rows"]["matched"], results.facts["metadata"]["starter"]) == (40, True)
    assert results.facts["parameters"]["english_threshold"] == CurationConfig.english_threshold
    assert capsys.readouterr() == ("", "")


def test_a_notebook_shows_stages_warnings_and_a_link_to_the_report(here, shown, capsys):
    results = curate("pairs.parquet", "out")
    said = capsys.readouterr().err
    assert "No metadata is given." in said
    assert "match 1 of 1 files" in said
    (html,) = shown
    assert "starter metadata" in html
    assert '<a href="out/report.html"' in html
    assert html.count("Warning:") == len(results.facts["warnings"]) > 0


def test_results_show_a_notebook_their_funnel(here):
    entries = Entries.build({"en": ["photo"]})
    html = curate(["pairs.parquet"], "a <b>'s", metadata=entries, config=CONFIG)._repr_html_()
    assert "matched images" in html
    assert "<td>40</td>" in html
    assert '<a href="a%20%3Cb%3E%27s/report.html"' in html
    assert "<b>" not in html
    elsewhere = Results(here.parent / "other", Results.open("a <b>'s").facts)._repr_html_()
    assert "<a " not in elsewhere
    assert "other/report.html" in elsewhere
