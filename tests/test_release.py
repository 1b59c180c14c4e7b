"""What a release states agrees: its version, its citation, and workflows that run what anyone can run by make."""

import re
from configparser import ConfigParser

import pytest

from tests.support.checkout import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SETUP = ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
VERSION = SETUP["metadata"]["version"]


def test_the_citation_and_the_changelog_name_the_version():
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)[0] in (VERSION, "Unreleased")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_their_content_and_may_do_little(workflow):
    text = workflow.read_text("utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []
    assert "\npermissions: {}\n" in text
    assert text.count("persist-credentials: false") == text.count("uses: actions/checkout@")


def test_one_action_has_one_pin():
    used = {each for path in WORKFLOWS for each in re.findall(r"uses: (.*)", path.read_text("utf-8"))}
    assert len({each.partition("@")[0] for each in used}) == len(used)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_step_is_a_target_of_the_makefile(workflow):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    steps = re.findall(r"run: (.*)", workflow.read_text("utf-8"))
    assert steps
    assert [
        step for step in steps if not re.fullmatch(r"make( [\w-]+)+", step) or not {*step.split()[1:]} <= targets
    ] == []


def test_all_pythons_of_the_classifiers_are_tried():
    pythons = re.findall(r"Python :: (3\.\d+)", SETUP["metadata"]["classifiers"])
    stated = f"python: [{', '.join(f'{chr(34)}{each}{chr(34)}' for each in pythons)}]"
    assert stated in (ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8")
