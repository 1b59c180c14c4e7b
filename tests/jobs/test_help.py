"""The help of each command: short, with all flags on demand, and without two flags that are mistaken for each other."""

import re
import sys
from importlib import import_module

import pytest

from runtime.errors import InputError
from tests.support.checkout import commands

COMMANDS = commands()
OF_A_RUN = {f"clip-{name}" for name in ("align", "cluster", "export", "find", "remove")}
FLAG = re.compile(r"^  (?:-h, )?(--[\w-]+)", re.MULTILINE)


@pytest.fixture(params=COMMANDS)
def shown(request, monkeypatch, capsys):
    """Return the help of a command on a terminal of 80 columns, given --help or --help-all."""
    monkeypatch.setattr(sys, "argv", [request.param])
    monkeypatch.setenv("COLUMNS", "80")

    def run(flag: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            import_module(COMMANDS[request.param]).main([flag])
        assert stopped.value.code == 0
        return capsys.readouterr().out

    return run


def test_help_shows_few_flags_and_help_all_the_others_after_them(shown):
    common, everything = FLAG.findall(shown("--help")), FLAG.findall(shown("--help-all"))
    assert common[:2] == ["--help", "--version"]
    assert len(common[2:]) <= 16
    assert everything[: len(common)] == common
    assert max(map(len, shown("--help-all").splitlines())) <= 80


# A user's questions, each with the flags that answer it; other flags come last.
IN = "RUN input model pretrained run metadata entries url-column text-column wordnet wikipedia pageviews frequencies"
IN += " starter download contact tars captions caption-sources clusters answers texts classes templates"
IN += " entry language domain url uid text"
QUESTIONS = (IN, "format output overwrite", "english-threshold target-size languages expert fine coarse sample")


def test_flags_come_in_the_order_of_a_users_questions(shown):
    places = {f"--{name}": place for place, names in enumerate(QUESTIONS) for name in names.split()}
    order = [
        places.get(flag, len(QUESTIONS)) for flag in FLAG.findall(shown("--help").partition("how it runs:")[0])[2:]
    ]
    if "clip-remove" not in sys.argv:  # its list is an input
        assert order == sorted(order)


def test_no_flag_is_the_plural_of_another(shown):
    everything = FLAG.findall(shown("--help-all"))
    assert [flag for flag in everything if f"{flag}s" in everything] == []


def test_a_finished_run_comes_first_and_without_a_flag(shown):
    _, name, first = shown("--help").split()[:3]
    assert (first == "RUN") == (name in OF_A_RUN)


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_command_says_begins_with_the_name_that_is_installed(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["curate.py"])
    module = import_module(COMMANDS[name])
    with pytest.raises(SystemExit):
        module.main(["--no-such-flag"])
    with pytest.raises(SystemExit), module.command(module.NAME):
        raise InputError("no such file")
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{name}: unrecognized arguments")
    assert second == f"{name}: no such file"
