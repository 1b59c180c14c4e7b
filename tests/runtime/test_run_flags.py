"""Flags of all commands: how they speak, Spark's memory, and scripts that complete their words."""

import json
import os
import shutil
import subprocess

import pytest

from curation.commands import clip_curate as curate
from curation.commands import clip_verify as verify
from curation.commands.clip_curate import parse_curate
from runtime.arguments import Parser

FROM_CATALOG = ["--input", "table:db.pairs", "--entries", "en=b", "--output", "c"]
WHOLE = ["--input", "a", "--entries", "en=b", "--output", "c"]


@pytest.fixture(autouse=True)
def own_spark(monkeypatch):
    """Let no session be there already."""
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--master local[1] pyspark-shell")
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)


def test_a_command_ends_with_a_line_of_json(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        verify.main([str(tmp_path), "--log-format", "json", "--quiet"])
    (line,) = capsys.readouterr().err.splitlines()
    assert (stopped.value.code, json.loads(line)["level"]) == (2, "error")
    assert json.loads(line)["message"].startswith("clip-verify: ")


@pytest.mark.parametrize("flags", [["--log-format", "json"], ["--log-format=json"]])
def test_a_wrong_flag_is_named_in_json_too(flags, capsys):
    with pytest.raises(SystemExit):
        parse_curate(["--sede", "3", *flags])
    assert json.loads(capsys.readouterr().err)["message"].endswith("(--help-all lists the flags)")


def test_memory_is_what_spark_is_started_with():
    for given, taken in (("8g", "8g"), ("1500M", "1500m"), ("2GB", "2g")):
        parse_curate([*FROM_CATALOG, "--memory", given])
        assert os.environ["PYSPARK_SUBMIT_ARGS"].endswith(f" --driver-memory {taken} pyspark-shell")
    assert os.environ["PYSPARK_SUBMIT_ARGS"].startswith("--master local[1] ")


def test_memory_of_a_spark_that_does_not_start_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse_curate([*WHOLE, "--memory", "8g"])
    assert "--memory is only for Spark, which this command does not start; leave it out" in capsys.readouterr().err
    parse_curate([*WHOLE, "--memory", "8g", "--master", "local[1]"])


@pytest.mark.parametrize("given", ["nonsense", "localhost:7077", "local[", "spark://"])
def test_what_is_no_master_of_spark_is_refused(given, capsys):
    with pytest.raises(SystemExit):
        parse_curate([*WHOLE, "--master", given])
    assert (
        f"'{given}' is not the address of a Spark master; write one such as spark://host:7077 or local[*]"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("given", ["8", "lots", "511m", "-1g"])
def test_a_memory_that_spark_would_refuse_is_refused(given, capsys):
    with pytest.raises(SystemExit):
        parse_curate([*WHOLE, f"--memory={given}"])
    assert (
        f"'{given}' is not a size of memory of at least 512m; write one such as 8g or 1500m" in capsys.readouterr().err
    )


def test_under_spark_submit_its_own_flag_decides(monkeypatch, capsys):
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    with pytest.raises(SystemExit):
        parse_curate([*WHOLE, "--memory", "8g"])
    assert "pass --driver-memory to spark-submit" in capsys.readouterr().err


def completed(script, words):
    """Return what bash offers for the last of some words."""
    name = "$(complete -p clip-curate | sed 's/.*-F //; s/ .*//')"
    ask = (
        f"source {script}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); {name}; "
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    return subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture
def script(tmp_path, monkeypatch, capsys):
    """Return the path of a shell's script, given the shell."""
    monkeypatch.setattr("sys.argv", ["clip-curate"])

    def written(shell):
        with pytest.raises(SystemExit) as stopped:
            curate.main(["--print-completion", shell])
        assert stopped.value.code == 0
        path = tmp_path / shell
        path.write_text(capsys.readouterr().out)
        return path

    return written


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_flags_and_their_words(script):
    written = script("bash")
    assert completed(written, "clip-curate --english-t") == ["--english-threshold"]
    assert completed(written, "clip-curate --evidence ''") == ["any", "letters"]
    assert "--log-format" in completed(written, "clip-curate --")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_reads_its_script(script):
    subprocess.run(["zsh", "-n", script("zsh")], check=True)


def test_completion_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr("runtime.packages.find_spec", lambda _: None)
    with pytest.raises(SystemExit):
        Parser("x", "Make something.").parse_args(["--print-completion", "bash"])
    assert "shtab is not installed: pip install " in capsys.readouterr().err
