"""Each command line on a page is one that the command takes: its flags exist, and their values have the right form."""

import re
import runpy
import shlex
from argparse import SUPPRESS

import pytest

from curation.plugins.scoring.scorer import Checkpoint
from runtime.arguments import Parser
from tests.support.checkout import ROOT

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), ROOT / "notebooks" / "README.md"]
BLOCK = re.compile(r"^```(?:sh(?: title=\"[^\"\n]*\")?)?\n(.*?)^```$|((?:^    [^\n]*\n)+)", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"(?:^|[ /])(?:(clip-[\w-]+)|jobs/(\w+)\.py) (.*)")
COMMANDS_OF_JOBS = {"build_metadata": "clip-metadata", "hash_images": "clip-hash"}
PLACEHOLDERS = {"…", "..."}


SITE = runpy.run_path(str(ROOT / "docs" / "site" / "hooks.py"))  # makes the pages of commands


def command_lines(text: str) -> list[tuple[str, list[str]]]:
    """Return the name and the arguments of each command line of ours in the blocks of a page."""
    blocks = (first or second for first, second in BLOCK.findall(text))
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [match for line in lines if (match := COMMAND.search(line)) and not line.lstrip().startswith("#")]
    return [(name or COMMANDS_OF_JOBS.get(job, f"clip-{job}"), shlex.split(rest, comments=True))
            for name, job, rest in (match.groups() for match in found)]  # fmt: skip


@pytest.fixture(scope="module")
def parsers() -> dict[str, Parser]:
    return SITE["parsers"]()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_take_its_arguments(page, parsers, monkeypatch):
    monkeypatch.setattr(Parser, "error", lambda parser, message: pytest.fail(f"{parser.prog}: {message}"))
    for name, words in command_lines(page.read_text("utf-8")):
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= flags(parsers[name]), name
        if not PLACEHOLDERS & {*words} and not any(word.startswith("@") for word in words):
            parsers[name].parse_args(words)


def test_help_fits_on_a_screen_and_ends_in_examples_that_the_command_takes(parsers, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(Parser, "error", lambda parser, message: pytest.fail(f"{parser.prog}: {message}"))
    for name, parser in parsers.items():
        lines = parser.format_help().splitlines()
        assert len(lines) <= 45, name
        assert [line.split()[0] for line in lines[-3:]] == [name] * 3
        for example in parser.examples:
            parser.parse_args(shlex.split(example)[1:])


def test_the_examples_of_clip_score_name_models_that_have_weights(parsers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-model").mkdir()
    (tmp_path / "my-model" / "config.json").write_text("{}")
    tags = {"ViT-B-32": ["laion2b_e16"]}  # of open_clip
    for example in parsers["clip-score"].examples:
        args = parsers["clip-score"].parse_args(shlex.split(example)[1:])
        assert Checkpoint.find(args.model, args.pretrained, tags).library


def flags(parser: Parser) -> set[str]:
    return {flag for action in parser._actions for flag in action.option_strings}


OF_A_CLUSTER = {"cluster", "platforms", "dataframes"}  # pages whose commands spark-submit runs


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem not in OF_A_CLUSTER], ids=lambda page: page.stem)
def test_examples_are_written_as_someone_types_them_who_has_the_wheel(page):
    blocks = "".join(first or second for first, second in BLOCK.findall(page.read_text("utf-8")))
    assert re.findall(r"[^\n]*\bjobs/\w+\.py[^\n]*", blocks) == []


def test_the_readme_says_how_to_install_the_wheel():
    assert "\n    pip install 'clip-curation[starter]'\n" in (ROOT / "README.md").read_text("utf-8")


def test_every_command_is_on_a_page(parsers):
    assert {command for page in PAGES for command, _ in command_lines(page.read_text("utf-8"))} == {*parsers}


def test_the_site_shows_the_flags_of_every_command(parsers):
    for name, parser in parsers.items():
        terms = re.findall(r"^<h3 .*$", SITE["command_page"](name, parser), re.MULTILINE)
        shown = {flag for action in parser._actions if action.help != SUPPRESS for flag in action.option_strings}
        assert {flag for term in terms for flag in re.findall(r"<code>(--?[\w-]+)", term)} == shown
