"""Each command line on a page is one that the command takes: its flags exist, and their values have the right form."""

import re
import shlex
from configparser import ConfigParser
from functools import cache
from importlib import import_module

import pytest

from runtime import programs
from runtime.arguments import Parser
from tests.support.checkout import ROOT

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), ROOT / "notebooks" / "README.md"]
BLOCK = re.compile(r"^```(?:sh)?\n(.*?)^```$|((?:^    [^\n]*\n)+)", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"(?:^|[ /])(?:(clip-[\w-]+)|jobs/(\w+)\.py) (.*)")
COMMANDS_OF_JOBS = {"build_metadata": "clip-metadata", "hash_images": "clip-hash"}
PLACEHOLDERS = {"…", "..."}


class _Found(Exception):
    """Carries the parser of a command out of it."""


def scripts() -> list[str]:
    """Return the commands of setup.cfg, and what starts each: clip-curate = runtime.programs:curate."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return config["options.entry_points"]["console_scripts"].strip().split("\n")


@cache
def parser_of(command: str) -> Parser:
    """Return the parser that a command makes before it does anything."""
    started = dict(script.split(" = ") for script in scripts())

    def found(parser, *_):
        raise _Found(parser)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parser, "parse_args", found)
        with pytest.raises(_Found) as parser:
            import_module(getattr(programs, started[command].partition(":")[2]).args[1]).main([])
    return parser.value.args[0]


def command_lines(text: str) -> list[tuple[str, list[str]]]:
    """Return the name and the arguments of each command line of ours in the blocks of a page."""
    blocks = (first or second for first, second in BLOCK.findall(text))
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [match for line in lines if (match := COMMAND.search(line)) and not line.lstrip().startswith("#")]
    return [(name or COMMANDS_OF_JOBS.get(job, f"clip-{job}"), shlex.split(rest, comments=True))
            for name, job, rest in (match.groups() for match in found)]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_take_its_arguments(page, monkeypatch):
    monkeypatch.setattr(Parser, "error", lambda parser, message: pytest.fail(f"{parser.prog}: {message}"))
    for name, words in command_lines(page.read_text("utf-8")):
        parser = parser_of(name)
        known = {flag for action in parser._actions for flag in action.option_strings}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, name
        if not PLACEHOLDERS & {*words} and not any(word.startswith("@") for word in words):
            parser.parse_args(words)


def test_every_command_is_on_a_page():
    found = {command for page in PAGES for command, _ in command_lines(page.read_text("utf-8"))}
    assert found == {script.partition(" = ")[0] for script in scripts()}
