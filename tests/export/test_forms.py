"""The form of docs/how-to/extending.md, of another installed package, is in the help, takes flags, writes a folder."""

import re
import sys

import pytest

from curation.plugins.export.clip_export import main
from tests.support.checkout import ROOT
from tests.support.installed import install
from tests.support.refusals import refusal


@pytest.fixture
def urls(monkeypatch, tmp_path):
    page = (ROOT / "docs" / "how-to" / "extending.md").read_text("utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    entry_points = "[clip_curation.export_forms]\nurls = form_of_urls:Urls\n"
    install(monkeypatch, tmp_path / "site", "form_of_urls", code, entry_points)


def test_the_help_lists_a_form_of_another_package_and_its_flags(urls, capsys):
    for flag, shown in (
        ("--help", "webdataset, urls"),
        ("--help-all", "urls writes a list of URLs"),
        ("--help-all", "--ending"),
    ):
        with pytest.raises(SystemExit):
            main([flag])
        assert shown in " ".join(capsys.readouterr().out.split())


def test_a_form_of_another_package_writes_a_file_for_each_of_the_run(urls, run, tmp_path, capsys):
    main([str(run.path), "--output", str(tmp_path / "out"), "--format", "urls", "--ending", "urls"])
    written = sorted((tmp_path / "out" / "lists").iterdir())
    assert [path.name for path in written] == ["00000.urls", "00001.urls"]
    lines = "".join(path.read_text("utf-8") for path in written).splitlines()
    assert lines == [row["url"] for row in run.kept]
    assert capsys.readouterr().out.splitlines()[-1] == f"lists in {tmp_path / 'out'}"


@pytest.mark.parametrize(
    ("form", "flags", "fault"),
    [
        (
            "urls",
            ["--tars", "x"],
            "only the formats metaclip and webdataset read --tars; leave it out for urls",
        ),
        ("datacomp", ["--ending", "csv"], "--ending cannot be given with --format datacomp"),
    ],
)
def test_flags_that_a_form_does_not_take_are_refused(urls, run, tmp_path, capsys, form, flags, fault):
    sentence = refusal(capsys, main, run.path, "--output", tmp_path / "out", "--format", form, *flags)
    assert sentence == f"clip-export: {fault}"


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("", ", which cannot be imported (AttributeError"),
        (
            "X = 3",
            ": expected a dataclass like curation.plugins.export.formats.Form, but got int; fix or uninstall",
        ),
        (
            "def X(run): ...",
            ": expected a dataclass like curation.plugins.export.formats.Form, but got function",
        ),
        (
            "from dataclasses import dataclass\nfrom curation.plugins.export.formats import Form\n"
            "@dataclass(frozen=True)\nclass X(Form):\n    writes = 'nothing'\n",
            ": expected a dataclass like curation.plugins.export.formats.Form, but got ",
        ),
    ],
)
def test_a_form_that_cannot_be_used_is_named_and_stops_no_other(monkeypatch, run, tmp_path, capsys, code, fault):
    install(monkeypatch, tmp_path / "site", "odd_form", code, "[clip_curation.export_forms]\nx = odd_form:X\n")
    monkeypatch.delitem(sys.modules, "odd_form", raising=False)
    sentence = refusal(capsys, main, run.path, "--output", tmp_path / "out", "--format", "x")
    assert f"the package odd_form has odd_form:X as x in clip_curation.export_forms{fault}" in sentence
    main([str(run.path), "--output", str(tmp_path / "out"), "--format", "card"])
    assert (tmp_path / "out" / "README.md").is_file()
