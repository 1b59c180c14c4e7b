"""Flags that are given twice: several values are added, two different ones of a flag that takes one are refused."""

import pytest

from curation.plugins.gate.options import GateOptions
from runtime.errors import InputError
from runtime.settings import COMMAND_LINE, SET
from tests.docs.test_commands import SITE

PARSERS = SITE["parsers"]()
ENDING = ("--help", "--help-all", "--version", "--print-completion")  # a command as soon as they are met
VALUES = [
    ("a", "b"),
    ("local", "yarn"),
    ("1", "2"),
    ("0.1", "0.2"),
    ("1g", "2g"),
    ("0.1", "da=0.2"),
    ("da=0.1", "en=0.2"),
]
FLAGS = [
    (name, action.option_strings[-1])
    for name, parser in PARSERS.items()
    for action in parser._actions
    if action.option_strings and action.option_strings[-1] not in ENDING
    if action.option_strings[-1].split()[0] != SET  # settings that are given twice are in test_settings
]


@pytest.fixture(params=FLAGS, ids=" ".join)
def given(request, monkeypatch):
    """Return the flag, and what a command line that repeats it says; no other flag is required."""
    name, flag = request.param
    parser = PARSERS[name]
    for each in (*parser._actions, *parser._mutually_exclusive_groups):
        monkeypatch.setattr(each, "required", False)
    before = [] if parser._actions[0].option_strings else ["run"]
    if flag == "--memory":  # which is for Spark
        before += ["--master", "local[1]"]

    def parse(*words: str) -> dict:
        values = vars(parser.parse_args([*before, *words]))
        return {name: value for name, value in values.items() if name != COMMAND_LINE}

    return flag, parser._option_string_actions[flag], parse


def two_values(action, parse, flag) -> tuple[str, ...]:
    """Return two values that a flag takes, also beside each other where it takes several."""
    if action.choices:
        return (*action.choices,)[:2]
    for pair in VALUES:
        try:
            for words in [pair] if action.nargs else [pair[:1], pair[1:]]:
                parse(flag, *words)
            return pair
        except SystemExit:
            continue
    raise AssertionError(f"no two values for {flag}")


def test_a_flag_that_is_given_twice(given, capsys):
    flag, action, parse = given
    if action.nargs == 0:
        assert parse(flag, flag) == parse(flag)
        return
    first, second = two_values(action, parse, flag)
    if action.nargs is None:
        assert parse(flag, first, flag, first) == parse(flag, first)
        capsys.readouterr()
        with pytest.raises(SystemExit):
            parse(flag, first, flag, second)
        assert f"argument {flag}: it is given twice, as " in capsys.readouterr().err
    elif flag == "--images":  # a table each time
        assert parse(flag, first, flag, second)["images"] == [[first], [second]]
    else:
        assert parse(flag, first, flag, second) == parse(flag, first, second)
        assert parse(flag, first, flag, second) != parse(flag, second)


def test_all_sources_and_one_of_them(capsys):
    parser = PARSERS["clip-metadata"]
    assert parser.parse_args(["--output", "out", "--download"]).download == []
    with pytest.raises(SystemExit):
        parser.parse_args(["--output", "out", "--download", "--download", "wordnet"])
    assert (
        "argument --download: it is given twice, as nothing and as wordnet; keep one of them" in capsys.readouterr().err
    )


def test_two_scores_of_a_language_and_two_values_of_a_step(capsys):
    with pytest.raises(SystemExit):
        PARSERS["clip-curate"].parse_args(
            ["--input", "a.csv", "--output", "out", "--min-language-score", "da=0.6", "0.5", "da=0.7"]
        )
    assert "argument --min-language-score: there are two numbers for da; keep one of them" in capsys.readouterr().err
    with pytest.raises(InputError, match="steps min_saturation is passed twice, with different values"):
        GateOptions(steps=["min_saturation=0.2", "min_saturation=0.3"]).find()
