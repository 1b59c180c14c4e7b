"""What commands say of small costs, of unknown languages and of long addresses."""

import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from curation.commands import clip_curate
from curation.plugins.report_sections.alignment import Classes, align
from curation.report.page import render
from curation.run.preview import _plainly
from metadata.languages import language
from runtime.errors import InputError
from tests.report.runs import finished, row
from tests.support.refusals import refusal


@pytest.mark.parametrize(
    ("hours", "said"),
    [(7.3e-05, "under 0.01"), (0.0123, "0.012"), (9.87, "9.9"), (123.4, "120"), (25e6, "25,000,000")],
)
def test_core_hours_are_written_without_an_exponent(hours, said):
    assert _plainly(hours) == said


def test_other_languages_are_no_advice_for_an_unknown_code():
    with pytest.raises(InputError) as error:
        language("xx")
    assert "did you mean" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rand.csv", "it has bytes that are not text: name the column of the url with --url-column"),
        ("rand.parquet", "rand.parquet cannot be read as Parquet: it begins with 'bytes that are not text'"),
    ],
)
def test_a_binary_file_is_not_shown_on_the_terminal(name, sentence, tmp_path, capsys):
    (tmp_path / name).write_bytes(Random(1).randbytes(5000))
    said = refusal(capsys, clip_curate.main, "--input", tmp_path / name, "--output", tmp_path / "out")
    assert sentence in said
    assert said.isascii()


def test_classes_of_a_language_that_a_run_has_not_are_refused():
    class Run:
        facts = {"languages": {"en": {}, "de": {}}, "made_from": {}}

    with pytest.raises(
        InputError, match="^classes of the language ja are given, but the run does not have it; it has de, en"
    ):
        align(None, Run(), {"en": Classes(("dog",), (("dog",),)), "ja": Classes(("犬",), (("犬",),))})


def test_the_rest_of_a_long_text_is_behind_a_click():
    url, entry = "https://a.example/" + "x" * 8000, "dog " * 2048
    html = render(*finished({"en": [entry]}, [3]), [row(entry, [0]) | {"url": url}])
    page = re.sub(
        r"<style>.*?</style>|</summary>.*?</details>|(?:title|data-image)=\"[^\"]*\"", "", html, flags=re.DOTALL
    )
    assert f"<summary>{url[:100]}…" in page
    assert f"<summary>{entry[:100]}…" in page
    assert url[:400] not in page
    assert max(map(len, re.findall("[^<>]+", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)))) < 1500
    assert url in html
    assert entry in html


def test_a_misspelt_command_of_the_job_is_named():
    job = [sys.executable, str(Path(__file__).parents[2] / "jobs" / "run.py"), "export"]
    done = subprocess.run(job, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "the first argument must be a command, and 'export' is none; did you mean clip-export?\n"
