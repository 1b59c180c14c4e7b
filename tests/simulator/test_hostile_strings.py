"""A whole run over hostile texts, URLs, uids, languages and names of files: none acts on its page, card or console."""

import json
import sys
from random import Random
from unittest.mock import patch

import pytest

from curation.config import CurationConfig
from curation.inputs.candidates import clean
from curation.plugins.export.formats import export
from curation.plugins.export.huggingface import HuggingFace
from curation.report import page as report
from curation.report.page import render, summary
from curation.run.pipeline import curate
from curation.run.results import Results
from metadata.entries import Entries
from runtime.progress import ConsoleProgress
from runtime.terminal import say
from tests.report.runs import Page
from tests.simulator.engine import Engine, Session
from tests.simulator.processes import Driver
from tests.simulator.stand_ins import alone
from tests.support.hostile_strings import ACTING, EVERY, in_a_name
from tests.support.in_turn import in_turn

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="pathlib of 3.10 keeps functions of os of its own")


def written_inputs(folder):
    """Write a file under each name, with a row for each text."""
    folder.mkdir()
    for number, text in enumerate(EVERY):
        rows = [
            {
                "url": f"https://a.example/{number}/{each}",
                "text": f"dog {each}",
                "uid": f"{number} {each}",
                "language": code,
            }
            for each, code in zip(EVERY, ["en", *EVERY[1:]], strict=True)
        ]
        lines = "".join(
            f"{json.dumps(row | {'language': 'en'} if place % 2 else row)}\n" for place, row in enumerate(rows)
        )
        (folder / f"{number}{in_a_name(text)}.jsonl").write_text(f"{lines}{text}\n", "utf-8")
    return sorted(folder.iterdir())


def test_a_whole_run(tmp_path, capsys):
    inputs = written_inputs(tmp_path / "inputs")
    entries = Entries.build({"en": ["dog", *filter(None, map(clean, EVERY))]})  # as texts are read
    with (
        alone(tmp_path / "run", False) as disk,
        patch.object(report, "render", render),
    ):  # the simulator has a short one
        driver = Driver([], Random(0), lambda beside: None, None)
        session = Session(Engine(disk, driver, {}, 2, 1, 0))
        with disk.command(driver):
            config = CurationConfig(english_threshold=5)
            curate(inputs, disk.output, metadata=entries, config=config, engine=session, progress=ConsoleProgress())
        facts = Results.open(disk.output).facts
        say(summary(facts))
        shown = Page((disk.output / "report.html").read_text("utf-8"))
        export(in_turn(), disk.output, tmp_path / "card", HuggingFace())
    assert facts["rows"]["kept"] > 100
    assert ACTING.findall("".join(capsys.readouterr())) == []
    assert not [name for name, _ in shown.elements if name in ("img", "iframe", "link", "base")]
    assert not [name for _, attributes in shown.elements for name in attributes if name.startswith("on")]
    assert shown.open == []
    assert [attributes.get("type") for attributes in shown.named("script")] == ["application/json", None, None]
    data, *programs = shown.scripts
    assert "<" not in data
    assert json.loads(data)
    assert "document.title" not in "".join(programs)
    assert shown.text.count("<script>") > 10
