"""Command lines: files of arguments, flags that do not exist, defaults that a config holds."""

from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import pytest

from runtime.arguments import Parser, absolute_path, add_fields, made
from runtime.console import command
from runtime.errors import InputError
from runtime.packages import table_rows
from runtime.settings import written_number
from tests.support.checkout import ROOT


@dataclass(frozen=True)
class Config:
    seed: int = 7
    size: int | None = None


@dataclass(frozen=True)
class Fields:
    share: float | None = None
    column: str | int | None = None
    rules: Literal["unicode", "meta"] = "meta"
    lists: Sequence[str] = ()
    is_fast: bool = False


@pytest.fixture
def parser() -> Parser:
    parser = Parser("make", "Make something.")
    parser.add_argument("--input", nargs="+", default=[])
    parser.add_argument("--output", required=True)
    parser.add_argument("--seed", type=int, help="another seed gives other pairs")
    parser.add_argument("--size", type=int, help="how many")
    parser.take_defaults(Config)
    return parser


@pytest.fixture
def refused(parser, capsys):
    """Parse these arguments; return the sentence with which they are refused."""

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            parser.parse_args(arguments)
        assert stopped.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


def test_a_recorded_command_line_is_read_again_and_changes_nothing_in_this_process(parser, monkeypatch, capsys):
    args = parser.parse_args(["--input", "a b", "c", "--output", "out", "--seed", "3"])
    monkeypatch.setattr("runtime.run_flags.apply", lambda *_: pytest.fail("a flag was applied"))
    again = parser.parse_again(args.command_line)
    assert vars(again) == vars(args)
    with pytest.raises(
        InputError, match="the folder's command line is not valid in this version of .*: unrecognized arguments"
    ):
        parser.parse_again("make --output out --gone")
    assert capsys.readouterr() == ("", "")


def test_defaults_are_those_of_the_config_and_stand_in_the_help(parser):
    args = parser.parse_args(["--output", "out"])
    assert (args.seed, args.size) == (7, None)
    assert "another seed gives other pairs (default: 7)" in " ".join(parser.format_help().split())
    assert "how many (default" not in parser.format_help()


def test_arguments_may_be_in_a_file_with_comments_and_several_words_on_a_line(parser, tmp_path):
    (tmp_path / "run.args").write_text(
        "# a run\n\n--input 'my crawl' https://a/#b  # it's two\n   --seed 3\n--output=out\n"
    )
    args = parser.parse_args([f"@{tmp_path / 'run.args'}", "--size", "4"])
    assert (args.input, args.output, args.seed, args.size) == (["my crawl", "https://a/#b"], "out", 3, 4)


@pytest.mark.parametrize("typed", [["--seed", "4"], ["--seed=4"]])
@pytest.mark.parametrize("in_file", ["--seed 3", "--seed=3", "--seed 3 --size 1 --seed 5"])
def test_a_flag_of_one_value_on_the_command_line_overrides_that_in_a_file(parser, tmp_path, typed, in_file):
    (tmp_path / "run.args").write_text(f"--output out {in_file}")
    for words in ([f"@{tmp_path / 'run.args'}", *typed], [*typed, f"@{tmp_path / 'run.args'}"]):
        args = parser.parse_args(words)
        assert (args.output, args.seed) == ("out", 4)


def test_a_flag_of_several_values_adds_those_in_a_file_and_on_the_command_line(parser, tmp_path):
    (tmp_path / "run.args").write_text("--output out --input a b")
    assert parser.parse_args([f"@{tmp_path / 'run.args'}", "--input", "c"]).input == ["a", "b", "c"]


@pytest.mark.parametrize("typed", [["--seed", "3", "--seed", "4"], ["@{0}/run.args", "@{0}/other.args"]])
def test_two_values_of_a_flag_are_refused_on_the_command_line_and_in_two_files(refused, tmp_path, typed):
    (tmp_path / "run.args").write_text("--output out --seed 3")
    (tmp_path / "other.args").write_text("--seed 4")
    words = [word.format(tmp_path) for word in typed]
    assert "argument --seed: it is given twice, as 3 and as 4; keep one of them" in refused("--output", "out", *words)


def test_a_second_command_line_knows_nothing_of_the_first(parser):
    seeds = [parser.parse_args(["--output", "out", "--seed", seed]).seed for seed in ("3", "4")]
    assert seeds == [3, 4]


def test_a_file_may_name_another_file(parser, tmp_path):
    (tmp_path / "inputs.args").write_text("--input a b\n")
    (tmp_path / "run.args").write_text(f"@{tmp_path / 'inputs.args'}\n--output out\n")
    assert parser.parse_args([f"@{tmp_path / 'run.args'}"]).input == ["a", "b"]


def test_a_value_that_begins_with_an_at_sign_is_written_another_way(parser, refused):
    assert "or write a value that begins with @ as --flag=@value" in refused("--output", "@none")
    assert parser.parse_args(["--output=@none"]).output == "@none"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read (No such file or directory); name a text file with arguments, or "),
        (b"\xf5\x1b[2J", "cannot be read (it is not text in UTF-8); name a text file with arguments"),
        (
            b"--output 'out\n",
            'a quotation mark in "--output \'out" is not closed; close it, or put a backslash before it',
        ),
        (b"--seed 3 @run.args", "the file of arguments @run.args refers to itself; remove @run.args from its lines"),
    ],
)
def test_a_file_of_arguments_that_cannot_be_used(refused, tmp_path, monkeypatch, content, sentence):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "run.args").write_bytes(content)
    assert sentence in refused("@run.args")


def test_a_flag_of_an_earlier_version_is_answered_by_what_replaces_it(parser, refused):
    parser.removed = {"--old": "pass --size instead"}
    assert refused("--old=3", "--output", "o").startswith("make: --old was removed; pass --size instead (")


@pytest.mark.parametrize("table", sorted(ROOT.glob("*/**/removed_flags.csv")), ids=str)
def test_each_removed_flag_is_of_a_command_of_its_package(table):
    package = ".".join(table.relative_to(ROOT).parent.parts)
    commands = {row["command"] for row in table_rows(package, "commands.csv")}
    removed = table_rows(package, table.name)
    assert {row["command"] for row in removed} <= commands
    assert all(row["flag"].startswith("--") and row["instead"] for row in removed)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["pairs.csv", "--output", "o"],
            "make: pairs.csv has no flag before it; put its flag before it, or put quotation marks",
        ),
        (
            ["pairs.csv"],
            "make: pairs.csv has no flag before it; write --output pairs.csv, or put quotation marks around a",
        ),
        (
            ["--output", "my", "folder"],
            "make: folder has no flag before it; put its flag before it, or put quotation marks",
        ),
        (["--output=a", "b", "--seed", "3"], "make: b has no flag before it"),
        (
            ["make", "--output", "o"],
            "make: make is the name of this command, which has already been named; leave it out",
        ),
    ],
)
def test_a_value_without_its_flag_is_named(refused, words, sentence):
    assert refused(*words).startswith(sentence)


def refuse(sentence: str) -> None:
    """End a command as bad input does."""
    with pytest.raises(SystemExit), command("make"):
        raise InputError(sentence)


@pytest.mark.parametrize("given", ["a.csv,b.csv", "en=a.txt,ja=b.txt", "/c/a.csv,/c/b.csv", "s3://c/a,s3://c/b"])
def test_wrong_values_with_a_comma_between_them_are_said_to_be_separated_by_spaces(parser, capsys, given):
    parser.parse_args(["--output", "out", "--input", given])
    refuse(f"{given.removeprefix('en=')} does not exist")
    advice = "does not exist; values of --input are separated by spaces, not by commas\n"
    assert capsys.readouterr().err.endswith(advice)


def test_a_comma_in_a_value_that_is_not_wrong_is_not_spoken_of(parser, capsys):
    parser.parse_args(["--output", "a,b", "--input", "a,b", "license:cc0,xy"])
    refuse("there is no text")
    refuse("license:cc0,xy is wrong")
    assert capsys.readouterr().err == "make: there is no text\nmake: license:cc0,xy is wrong\n"


def test_a_choice_with_a_comma_is_said_to_be_several(capsys):
    parser = Parser("make", "Make something.")
    parser.add_argument("--witnesses", nargs="+", choices=["han", "pool"])
    with pytest.raises(SystemExit):
        parser.parse_args(["--witnesses", "han,pool"])
    assert "values of --witnesses are separated by spaces, not by commas" in capsys.readouterr().err


def test_a_tilde_is_the_home_folder(parser, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    args = parser.parse_args(["--output=~/out", "--input", "~", "en=~/words.txt", "a~/b", "x ~/c"])
    assert args.output == f"{tmp_path}/out"
    assert args.input == [str(tmp_path), f"en={tmp_path}/words.txt", "a~/b", "x ~/c"]


@pytest.mark.parametrize("misspelt", ["--outputt", "--outptu", "-output"])
def test_a_misspelt_flag_is_named_before_the_missing_one_with_its_neighbour(refused, misspelt):
    sentence = refused(misspelt, "out")
    assert sentence.startswith(f"make: unrecognized arguments: {misspelt}; did you mean --output?")
    assert refused(f"{misspelt}=out") == sentence


def test_a_misspelt_flag_in_a_file(refused, tmp_path):
    (tmp_path / "run.args").write_text("--outputt out\n")
    assert "--outputt; did you mean --output?" in refused(f"@{tmp_path / 'run.args'}")


def test_a_flag_that_is_like_none_gets_no_advice(refused):
    sentence = refused("--no-such-flag", "--output", "out")
    assert "unrecognized arguments: --no-such-flag" in sentence
    assert "did you mean" not in sentence


def test_only_a_flag_that_is_near_is_advised(capsys):
    parser = Parser("make", "Make something.")
    for flag in ("--status", "--english-threshold"):
        parser.add_argument(flag)
    for misspelt, advice in {"--starter": "", "--stats": "--status?", "--threshold": "--english-threshold?"}.items():
        with pytest.raises(SystemExit):
            parser.parse_args([misspelt])
        assert f"{misspelt}{advice and f'; did you mean {advice}'} (" in capsys.readouterr().err


def test_a_flag_is_written_out(refused):
    assert "--out; did you mean --output?" in refused("--out", "out")


@pytest.mark.parametrize("value", ["-5", "-0.5", "- a", "--a b"])
def test_what_only_looks_like_a_flag_is_a_value(parser, value):
    assert parser.parse_args(["--output", value]).output == value


@pytest.mark.parametrize("argument", ["--output=caf\udce9", "caf\udce9"])
def test_a_name_that_is_not_utf_8(refused, argument):
    assert r"caf\xe9 is not UTF-8; give the file or folder a name in UTF-8" in refused("--output", "out", argument)


def test_a_missing_flag_and_a_wrong_value(refused):
    assert "required: --output" in refused()
    assert "argument --seed: 'many' is not an integer; write one such as 20000, 20,000 or 2e4" in refused(
        "--output", "out", "--seed", "many"
    )


@pytest.mark.parametrize("number", ["20000", "20,000", "20_000", "2e4", "2.0E+4", "+20000", " 20000"])
def test_an_integer_as_people_write_it(parser, number):
    assert parser.parse_args(["--output", "out", "--seed", number]).seed == 20_000


@pytest.mark.parametrize(
    "number", ["20.000", "2,0000", "20,00", "1.5", "1e-4", "15e-1", "1.55e1", "nan", "1e999", "0x10"]
)
def test_what_may_mean_another_integer_or_none(refused, number):
    assert "is not an integer; write one such as 20000, 20,000 or 2e4" in refused("--output", "out", f"--seed={number}")


@pytest.mark.parametrize(
    ("typed", "meant"), [("0.01", 0.01), ("1%", 0.01), (" 0.3 % ", 0.003), ("1e-2", 0.01), ("2", 2)]
)
def test_a_number_may_be_in_percent(typed, meant):
    assert written_number(typed) == meant


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999", "1,5", "%", "1%%", ""])
def test_what_is_no_finite_number_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="is not a number; write one such as 0.01 or 1%"):
        written_number(text)


def test_a_misspelt_choice_is_corrected_and_others_are_listed(capsys):
    parser = Parser("make", "Make something.")
    parser.add_argument("--format", choices=("card", "huggingface", "mds"))
    advice = {
        "hugingface": "did you mean huggingface?",
        "MDS": "did you mean mds?",
        "x": "choose card, huggingface or mds",
    }
    for given, sentence in advice.items():
        with pytest.raises(SystemExit):
            parser.parse_args(["--format", given])
        assert f"argument --format: '{given}' is not one of the choices; {sentence} (" in capsys.readouterr().err


@pytest.fixture
def printed(monkeypatch, capsys):
    """Return what a command with a flag in a group prints for these arguments, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> str:
        parser = Parser("make", "Make something.")
        parser.add_argument("run", metavar="RUN", help="what is made")
        parser.add_argument("--with", nargs="+", metavar="TOOL", required=True, help="what it is made with")
        either = parser.add_mutually_exclusive_group(required=True)
        either.add_argument("--fast", metavar="SPEED")
        either.add_argument("--form", choices=["a", "b"])
        rare = parser.add_argument_group("how it is made")
        rare.add_argument("--seed", type=int, help="another seed gives other pairs")
        rare.add_mutually_exclusive_group().add_argument("--size", help="how many")
        with pytest.raises(SystemExit) as stopped:
            parser.parse_args(arguments)
        assert stopped.value.code == (0 if "help" in arguments[0] else 2)
        return "".join(capsys.readouterr())

    return run


def test_help_shows_the_flags_that_are_in_no_group_and_says_how_many_more_there_are(printed):
    text = printed("--help")
    assert all(flag in text for flag in ("RUN", "--with TOOL", "--fast", "--form", "--version"))
    assert not any(flag in text for flag in ("how it is made", "--seed", "--size"))
    assert "--help-all says more about these flags, and shows 4 others." in text


def test_help_of_all_flags_has_their_groups(printed):
    text = printed("--help-all")
    assert all(flag in text for flag in ("--with TOOL", "how it is made:", "--seed SEED", "--size SIZE"))
    assert "--help-all" not in text


def test_the_usage_is_the_shortest_command_with_what_has_no_flag_first(printed):
    usage = printed("--help").partition("\n\n")[0]
    assert usage == "usage: make RUN --with TOOL ... (--fast SPEED | --form {a,b}) [FLAGS]"


def test_a_refusal_names_the_help_that_has_the_flag(printed, refused):
    assert "(--help-all lists the flags)" in printed("--sede", "3")
    assert "(--help lists the flags)" in refused("--sede", "3")


def test_the_version_is_that_of_the_package_whatever_else_is_given(parser, capsys):
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"clip-curation {version('clip-curation')}\n"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], Fields(lists=[])),
        (["--share", "0.5", "--column", "7", "--is-fast"], Fields(0.5, "7", lists=[], is_fast=True)),
        (["--rules", "unicode", "--lists", "a", "b"], Fields(rules="unicode", lists=["a", "b"])),
    ],
)
def test_a_flag_takes_what_the_field_of_its_name_holds(given, expected):
    parser = Parser("make", "Make something.")
    helps = {"--share P": "a share", "--column NAME": "a column", "--rules": "some", "--lists FILE": "files"}
    add_fields(parser, Fields, helps | {"--is-fast": "be fast"})
    parser.take_defaults(Fields)
    assert made(Fields, parser.parse_args(given)) == expected
    assert "--rules {unicode,meta}" in parser.format_help()
    assert "--lists FILE [FILE ...]" in parser.format_help()


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_value_as_of_an_unset_variable_is_refused(refused, empty):
    assert "--output is empty; write a value" in refused("--output", empty)
    assert "--output is empty; write a value" in refused(f"--output={empty}")
    assert "--input is empty; write a value" in refused("--input", "a", empty, "--output", "out")
    assert "--seed is empty; write a value" in refused("--output", "out", "--seed", empty)


def test_what_comes_without_a_flag_is_said_to_come_first(parser, refused):
    parser.add_argument("run", metavar="RUN")
    sentence = "the following arguments are required: RUN; RUN comes before all flags"
    assert sentence in refused("--output", "out", "--input", "a", "run")


def test_a_flag_without_its_value_is_said_to_need_one(refused):
    assert "argument --seed: expected one argument; write a value after it" in refused("--output", "out", "--seed")
    assert "expected at least one argument; write one or more values" in refused("--output", "out", "--input")


def test_one_of_two_flags_that_exclude_each_other_is_asked_for(parser, refused):
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--fast", metavar="SPEED")
    either.add_argument("--slow", metavar="SPEED")
    assert "--slow: not allowed with argument --fast; pass only one of them" in refused("--fast", "1", "--slow", "1")


def test_an_empty_value_without_a_flag_is_refused_by_its_name(parser, refused):
    parser.add_argument("run", metavar="RUN", type=absolute_path)
    assert "RUN is empty; write a value" in refused("", "--output", "out")


def test_a_default_may_be_empty(parser):
    parser.add_argument("--contact", default="")
    assert parser.parse_args(["--output", "out"]).contact == ""


@pytest.mark.parametrize("cores", ["0", "99999999999999999999", "1e3"])
def test_a_number_of_processes_that_no_machine_runs_is_refused(cores, capsys):
    parser = Parser("job", "")
    parser.add_engine()
    with pytest.raises(SystemExit):
        parser.parse_args(["--cores", cores])
    assert (
        f"'{cores}' is not a number of processes from 1 to 10,000; write a number such as 8" in capsys.readouterr().err
    )


def test_the_command_line_is_known_with_the_arguments_of_files_and_without_secrets(parser, tmp_path):
    (tmp_path / "run.args").write_text("--input 'my crawl' https://me:word@a.example/b?sig=0f1e2d3c&part=1\n")
    args = parser.parse_args([f"@{tmp_path / 'run.args'}", "--output", "out"])
    assert args.command_line == f"{parser.prog} --input 'my crawl' 'https://a.example/b?part=1' --output out"
