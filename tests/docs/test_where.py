"""docs/explanation/where.md: the ways of an alt text and of a `--keep` pass the modules that the page names."""

import re
import sys
from pathlib import Path

import pytest

from curation import curate
from curation.plugins import HOOKS
from metadata import Entries
from runtime.engine.local import Local
from tests.support.checkout import ROOT

PAGE = (ROOT / "docs" / "explanation" / "where.md").read_text("utf-8")
MOST = 40  # modules of the core that run for an alt text, with helpers; kernels are not Python


def on_the_way(heading: str) -> list[str]:
    """Return the modules and folders that a section names."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"`((?:curation|runtime)/[\w/]+(?:\.py|/))`", section)


@pytest.fixture(scope="module")
def called(sample, tmp_path_factory) -> set[str]:
    """Return the modules of which a function ran while a WAT file was curated by the sample's entries."""
    found: set[str] = set()

    def note(frame, event, argument):
        found.add(frame.f_code.co_filename)

    entries = {path.stem: path.read_text("utf-8").splitlines() for path in (sample / "entries").glob("*.txt")}
    output, before = tmp_path_factory.mktemp("way") / "out", sys.getprofile()
    (crawl,) = sorted((sample / "crawl").rglob("*.wat.gz"))[:1]
    sys.setprofile(note)
    try:
        curate([crawl], output, metadata=Entries.build(entries), engine=Local(1))
    finally:
        sys.setprofile(before)
    return {str(Path(name).relative_to(ROOT)) for name in found if name.startswith(f"{ROOT}/")}


def test_an_alt_text_passes_each_module_that_the_page_names(called):
    named = [name for name in on_the_way("The way of an alt text") if name.endswith(".py")]
    not_of_a_wat = {"curation/commands/clip_curate.py", "curation/inputs/crawl/warc.py"}
    assert len(named) > 15
    assert sorted({*named} - called - not_of_a_wat) == []


def test_an_alt_text_passes_few_modules_of_the_core(called):
    beside = r"curation/(plugins|report|__init__|.*kernels)\b"
    own = [name for name in called if name.startswith("curation/") and not re.match(beside, name)]
    assert len(own) <= MOST, sorted(own)


def test_each_module_on_the_way_of_a_condition_is_imported_on_it_or_hooked():
    way = on_the_way("The way of a `--keep` expression")
    hooked = " ".join(place for rows in HOOKS.values() for place in rows.values())
    assert 6 <= len(way) <= 12
    for name in way[1:]:
        package, _, module = name.removesuffix(".py").replace("/", ".").rpartition(".")
        imported = rf"\b{package}(\.{module}\b| import .*\b{module}\b)"
        others = [(ROOT / each).read_text("utf-8") for each in way if each != name]
        assert any(re.search(imported, text) for text in [*others, hooked]), name
