"""The parts of docs/how-to/extending.md, installed as another package, take part in a run."""

import re
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.gate.options import GateOptions
from curation.plugins.gate.step import Step, StepTask
from runtime.errors import InputError
from tests.support.captions import rows_of, run
from tests.support.checkout import ROOT
from tests.support.installed import install

POINTS = (
    "[clip_curation.gate_steps]\nsecure = my_parts:find_step\n"
    "[clip_curation.report_sections]\nlengths = my_parts:find\n"
)


@pytest.fixture
def parts(monkeypatch, tmp_path):
    page = (ROOT / "docs" / "how-to" / "extending.md").read_text("utf-8")
    code = "\n\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    sys.modules.pop("my_parts", None)  # that of another test
    install(monkeypatch, tmp_path / "installed", "my_parts", code, POINTS)
    yield tmp_path / "installed" / "my_parts.py"
    sys.modules.pop("my_parts", None)


def test_a_step_and_an_observer_of_another_package_take_part(engine, tmp_path, parts):
    schemes = ["http", "https", "https"]
    urls = [f"{schemes[number % 3]}://a.example/{number}.jpg" for number in range(60)]
    pq.write_table(
        pa.table({"url": urls, "text": [f"a photo of a dog {number}" for number in range(60)]}),
        tmp_path / "pairs.parquet",
    )
    results = run(engine, tmp_path, steps=["secure"])
    matched, gated = (rows_of(tmp_path / "run" / part) for part in ("matched", "gated"))
    assert gated == [row for row in matched if row["url"].startswith("https:")]
    assert len(gated) == 40
    (condition,) = results.facts["gate"]["conditions"]
    assert (condition["text"], condition["removed"], condition["removed_texts"]) == (
        "an address with https",
        20,
        {"en": 20},
    )
    texts = pq.read_table(tmp_path / "run" / "curated", columns=["text"])["text"].to_pylist()
    assert results.facts["lengths"] == {"mean": sum(map(len, texts)) / len(texts)}
    assert '<h2 id="lengths">Lengths of texts</h2>' in (tmp_path / "run" / "report.html").read_text()


def test_a_step_runs_again_for_another_version_of_its_package_or_a_changed_file(engine, tmp_path, parts, monkeypatch):
    pq.write_table(pa.table({"url": ["https://a.example/1.jpg"], "text": ["a dog"]}), tmp_path / "pairs.parquet")
    (tmp_path / "value").write_text("3")
    write, ran = StepTask.run, []
    monkeypatch.setattr(StepTask, "run", lambda *args: ran.append(1) or write(*args))
    metadata = parts.parent / "my_parts-1.0.dist-info" / "METADATA"

    def another_version():
        metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))

    for change in (another_version, lambda: (tmp_path / "value").write_text("4")):
        for expected in (1, 0):
            ran.clear()
            run(engine, tmp_path, steps=[f"secure={tmp_path / 'value'}"])
            assert sum(ran) == expected
        change()


def test_a_step_that_is_not_installed_is_refused(parts):
    with pytest.raises(InputError, match="steps glow is not a step of the gate; the installed steps are: secure"):
        GateOptions(steps=["glow=2"]).find()


@pytest.mark.parametrize(
    "code", ["find_step = None", "def find_step(engine, plan): ...", "def find_step(a): return Step()"]
)
def test_a_step_of_a_wrong_kind_stops_only_the_runs_that_name_it(parts, code):
    with parts.open("a", encoding="utf-8") as file:
        file.write(code)
    assert not GateOptions().find()
    with pytest.raises(
        InputError, match="the package my_parts has my_parts:find_step as secure in .*: expected a func"
    ):
        GateOptions(steps=["secure"]).find()


class Raising(Step):
    """A step that fails, in this process or in a worker."""

    def __init__(self, where: str):
        self.where = where

    def prepare(self, context):
        return fail(None) if self.where == "prepare" else self

    def write(self, images, folder, context):
        return context.engine.run([*images], fail)


def fail(item):
    raise KeyError("\x1b[2Jno\nsuch")


@pytest.mark.parametrize("where", ["find", "prepare", "write", "observe"])
def test_a_part_of_another_package_that_fails_is_named_in_one_line(parts, tmp_path, where):
    pq.write_table(pa.table({"url": ["http://a.example/1.jpg"], "text": ["a dog"]}), tmp_path / "pairs.parquet")
    made = "fail(0)" if where == "find" else f"Raising({where!r})"
    code = f"def find_step(options): return {made}\n"
    if where == "observe":
        code = "def find(options): return fail\n"
    with parts.open("a", encoding="utf-8") as file:
        file.write(f"\n\nfrom {__name__} import Raising, fail\n{code}")
    name, steps = ("lengths", []) if where == "observe" else ("secure", ["secure"])
    with pytest.raises(InputError) as failure:
        run(None, tmp_path, steps=steps)
    assert re.search(rf"{name}.* failed \(KeyError", str(failure.value))
    assert "\n" not in str(failure.value)
