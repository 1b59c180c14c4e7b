"""Lines for a person: over each other on a terminal, one after the other elsewhere, and past spark-submit's pipe."""

import json
import os
import subprocess
import sys

import pytest

from runtime import terminal
from tests.support.hostile_strings import ACTING, EVERY, TERMINAL
from tests.support.terminals import on_terminal

SHOW = (
    "from runtime import terminal; terminal.attach(); terminal.show('one'); terminal.show('two'); terminal.say('end')"
)
# As spark-submit does: both outputs of Python through a pipe to standard output.
PIPED = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {SHOW!r}], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         env=os.environ | {{"PYSPARK_GATEWAY_PORT": "1"}})
print("piped", child.communicate()[0])
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def test_on_a_terminal_a_line_is_written_over():
    seen = on_terminal([sys.executable, "-c", SHOW], os.environ)
    assert "\r\x1b[Kone\r\x1b[Ktwo" in seen.text
    assert seen.lines == ["end"]


def test_elsewhere_each_line_stays(capsys):
    terminal.show("one")
    terminal.show("two")
    terminal.say("end")
    assert capsys.readouterr().err == "one\ntwo\nend\n"


def test_what_would_act_on_a_terminal_is_escaped(capsys):
    for text in EVERY:
        terminal.say(text)
        terminal.show(terminal.in_one_line(text))
        said = capsys.readouterr().err
        assert ACTING.findall(said) == []
        assert said.count("\n") == text.count("\n") + 2
    seen = on_terminal(
        [sys.executable, "-c", f"from runtime import terminal; terminal.show({TERMINAL['lines']!r})"], os.environ
    )
    assert seen.lines == ["f\\u000d\\u000ag\\u000ah\\u2028i\\u2029j"]


def test_a_line_longer_than_the_terminal_is_cut():
    show = "from runtime import terminal; terminal.show('x' * 500); terminal.say('end')"
    seen = on_terminal([sys.executable, "-c", show], os.environ)
    assert seen.text.count("x") < 500
    assert seen.lines == ["end"]


def test_warnings_are_wrapped_between_words_on_a_terminal_alone(capsys):
    path, words = f"/data/{'x' * 90}", "word-for-word " * 20
    text = f"a table{' ' * 90}|\nwarning: {path} {words}"
    seen = on_terminal([sys.executable, "-c", f"from runtime import terminal; terminal.say({text!r})"], os.environ)
    assert seen.lines[0] == text.partition("\n")[0]
    assert len(seen.lines) > 3
    assert all(len(line) < 120 for line in seen.lines[1:])  # of 120 columns
    assert " ".join(map(str.strip, seen.lines[1:])) == f"warning: {path} {words}".strip()
    terminal.say(text)
    assert capsys.readouterr().err == f"{text}\n"


@linux
def test_what_spark_submit_started_writes_to_its_terminal():
    seen = on_terminal([sys.executable, "-c", PIPED], os.environ)
    assert "\r\x1b[Kone\r\x1b[Ktwo" in seen.text
    assert seen.lines == ["end", "piped b''"]


@linux
def test_it_writes_to_the_pipe_that_spark_submit_was_given():
    done = subprocess.run([sys.executable, "-c", PIPED], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("piped b''\n", "one\ntwo\nend\n")


def test_a_file_is_left_alone(tmp_path):
    with (tmp_path / "log").open("w") as log:
        done = subprocess.run([sys.executable, "-c", PIPED], stdout=subprocess.PIPE, stderr=log, text=True)
    assert done.stdout == "piped b'one\\ntwo\\nend\\n'\n"
    assert (tmp_path / "log").read_text() == ""


RESULT = "kept 3\n\nwarning: \x1b[2J is odd\n\nreport: \x1b[2J"


@pytest.mark.parametrize("quiet", [False, True])
def test_a_result_goes_to_standard_output_and_its_warnings_to_standard_error(capsys, quiet):
    terminal.write_as("text", quiet)
    terminal.print_result(RESULT)
    assert capsys.readouterr() == ("kept 3\n\nreport: \\u001b[2J\n", "warning: \\u001b[2J is odd\n")


def test_a_result_in_json_is_a_line_of_standard_output(capsys):
    terminal.write_as("json")
    terminal.print_result(RESULT, {"kept": 3})
    result, warning = map(json.loads, capsys.readouterr())
    assert (result["level"], result["message"], result["numbers"]) == ("info", "kept 3\n\nreport: \x1b[2J", {"kept": 3})
    assert (warning["level"], warning["message"]) == ("warning", "\x1b[2J is odd")


PRINT = (
    "from runtime import console, terminal\nwith console.command('job'):\n    terminal.print_result('\u732b' * 9999)"
)


def test_a_result_may_be_cut_by_its_reader_and_needs_no_terminal_of_all_languages():
    shell = f'"{sys.executable}" -c "$PRINT" | head -c 1'
    environment = os.environ | {"PRINT": PRINT, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(["sh", "-c", shell], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("\\", "")


@linux
def test_a_result_that_cannot_be_written_fails():
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", PRINT], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.stderr.startswith("job: the result cannot be written to standard output (No space left on device)")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.fixture
def lines(capsys):
    """Return what is written as JSON lines or text, given how to write."""

    def written(format, quiet, write):
        terminal.write_as(format, quiet)
        write()
        return capsys.readouterr().err.splitlines()

    yield written
    terminal.write_as("text")


def write_some():
    terminal.show("reading", "match", {"seconds": 1.5, "rows": 7})
    terminal.say("kept 3\n\nwarning: \x1b[2J is odd\nreport: x\n")
    terminal.say("stopped: https://a.org/b?token=0f", "error")


def test_a_program_reads_a_line_of_json_for_each_text_and_warning(lines):
    found = [json.loads(line) for line in lines("json", False, write_some)]
    assert all([*each] == ["time", "level", "step", "message", "numbers"] for each in found)
    assert [(each["level"], each["step"], each["message"], each["numbers"]) for each in found] == [
        ("info", "match", "reading", {"seconds": 1.5, "rows": 7}),
        ("info", None, "kept 3\n\nreport: x", {}),
        ("warning", None, "\x1b[2J is odd", {}),
        ("error", None, "stopped: https://a.org/b", {}),
    ]
    assert found[0]["time"].endswith("+00:00")


def test_quiet_leaves_warnings_and_errors(lines):
    assert lines("text", True, write_some) == ["warning: \\u001b[2J is odd", "stopped: https://a.org/b"]
    assert [json.loads(line)["level"] for line in lines("json", True, write_some)] == ["warning", "error"]
    quiet = "from runtime import terminal; terminal.write_as('text', True); terminal.show('one'); terminal.say('end')"
    assert on_terminal([sys.executable, "-c", quiet], os.environ).text == ""
