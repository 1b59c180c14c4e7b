"""`--set NAME=VALUE` sets a field of a command's config that has no flag, as the field is set in Python."""

import json
from dataclasses import asdict

import pytest

from curation.commands import clip_curate
from curation.config import CurationConfig
from curation.plugins.gate.options import GateOptions
from metadata import commands
from metadata.config import MetadataConfig
from runtime.arguments import made
from tests.support.refusals import refusal

CURATE = ["--input", "pairs.csv", "--output", "out"]


def curation(*words: str):
    return clip_curate.parse_curate([*CURATE, *words])


def recorded(config) -> str:
    """Return a config as run.json states it."""
    return json.dumps(asdict(config))


def settings(*stated: str) -> list[str]:
    return [word for each in stated for word in ("--set", each)]


@pytest.mark.parametrize(
    ("stated", "fields"),
    [
        (["max_texts=3"], {"max_texts": 3}),
        (["rows_per_file=2e4", "max_texts=1,000"], {"rows_per_file": 20_000, "max_texts": 1000}),
        (["max_bad_files=1%"], {"max_bad_files": 0.01}),
        (["tail_share=0.06"], {"tail_share": 0.06}),
        (["merge_languages=true", "balance=False"], {"merge_languages": True, "balance": False}),
        (["matcher=ahocorasick"], {"matcher": "ahocorasick"}),
        (["metadata_of=ja"], {"metadata_of": "ja"}),
        (["pool_shares=en=0.9", "pool_shares=de=1%"], {"pool_shares": {"en": 0.9, "de": 0.01}}),
    ],
)
def test_a_setting_gives_the_config_of_the_field_in_python(stated, fields):
    args = curation("--witnesses", "pool", *settings(*stated))
    assert recorded(made(CurationConfig, args)) == recorded(CurationConfig(witnesses=["pool"], **fields))


def test_settings_of_a_gate_and_of_metadata(tmp_path):
    args = curation("--set", "robots_agents=OneBot", "--set=robots_agents=b", "--robots", "r")
    assert recorded(made(GateOptions, args)) == recorded(GateOptions(robots=["r"], robots_agents=["OneBot", "b"]))
    words = ["--output", str(tmp_path), *settings("bigram_score=pmi", "unigram_share=20%", "longest_entry=9")]
    config = MetadataConfig(bigram_score="pmi", unigram_share=0.2, longest_entry=9)
    assert recorded(made(MetadataConfig, commands.command_line().parse_args(words))) == recorded(config)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (settings("max_text=3"), "--set max_text: clip-curate has no setting of this name; did you mean max_texts?"),
        (settings("max-texts=3"), "--set max-texts: clip-curate has no setting of this name; did you mean max_texts?"),
        (settings("bad=3"), "--set bad: clip-curate has no setting of this name; the settings are "),
        (settings("command_line=x"), "--set command_line: clip-curate has no setting of this name"),
        (settings("seed=3"), "seed has its own flag; use --seed instead of --set"),
        (
            settings("min_language_scores=da=1"),
            "min_language_scores has its own flag; use --min-language-score instead",
        ),
        (settings("steps=a"), "steps has its own flag; use --gate-step instead of --set"),
        (
            settings("max_texts"),
            "argument --set: got 'max_texts', but expected NAME=VALUE; write --set max_texts=VALUE",
        ),
        (["--set"], "argument --set: expected one argument; write a value after it"),
        (settings("max_texts="), "--set max_texts is empty; write a value"),
        (
            settings("max_texts=x"),
            "argument --set max_texts: 'x' is not an integer; write one such as 20000, 20,000 or 2e4",
        ),
        (
            settings("max_bad_files=x"),
            "argument --set max_bad_files: 'x' is not a number; write one such as 0.01 or 1%",
        ),
        (settings("matcher=tire"), "argument --set matcher: 'tire' is not one of the choices; did you mean trie?"),
        (settings("balance=no"), "argument --set balance: 'no' is neither true nor false; write true or false"),
        (settings("pool_shares=en"), "--set pool_shares: 'en' is not a name and a number; write both, such as da=0.6"),
        (
            settings("pool_shares=en=1", "pool_shares=en=0"),
            "--set pool_shares: there are two numbers for en; keep one of them",
        ),
        (
            settings("max_texts=3", "max_texts=4"),
            "argument --set max_texts: it is given twice, as 3 and as 4; keep one of them",
        ),
        (["--max-texts", "3"], "--max-texts is now a setting; write --set max_texts=3"),
        (["--max-texts=3"], "--max-texts is now a setting; write --set max_texts=3"),
        (["--merge-languages", "--quiet"], "--merge-languages is now a setting; write --set merge_languages=true"),
        (["--no-balance"], "--no-balance was removed; pass --set balance=false"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_in_a_sentence(words, sentence, capsys):
    assert sentence in refusal(capsys, clip_curate.main, *CURATE, *words)


def test_a_command_without_settings_says_so(capsys):
    from curation.commands import clip_verify

    assert "clip-verify has no settings; leave --set out" in refusal(capsys, clip_verify.main, "run", "--set", "a=1")


def test_settings_of_a_file_are_overridden_by_those_of_the_command_line(tmp_path):
    (tmp_path / "run.args").write_text("--set max_texts=3\n--set\nmatcher=ahocorasick\n")
    args = curation(f"@{tmp_path / 'run.args'}", "--set", "max_texts=4")
    assert recorded(made(CurationConfig, args)) == recorded(CurationConfig(max_texts=4, matcher="ahocorasick"))
    assert args.command_line.endswith("--set matcher=ahocorasick --set max_texts=4")


def test_errors_name_the_setting_in_a_command_and_the_field_in_python(capsys):
    said = refusal(capsys, clip_curate.main, *CURATE, "--set", "max_texts=0")
    assert said.startswith("clip-curate: --set max_texts is 0; it must be at least 1")
    with pytest.raises(ValueError, match=r"^max_texts is 0; it must be at least 1"):
        CurationConfig(max_texts=0)


def test_a_run_records_its_settings_and_keeps_what_the_field_in_python_keeps(tmp_path):
    (tmp_path / "pairs.csv").write_text("url,text\nhttps://a.org/1,a dog\nhttps://a.org/1,a cat\nhttps://a.org/2,cat\n")
    (tmp_path / "en.txt").write_text("dog\ncat\n")
    given = ["--input", str(tmp_path / "pairs.csv"), "--entries", f"en={tmp_path / 'en.txt'}", "--cores", "1"]
    clip_curate.main([*given, "--output", str(tmp_path / "set"), "--set", "max_texts=1"])
    facts = json.loads((tmp_path / "set" / "run.json").read_text())
    assert facts["parameters"]["max_texts"] == 1
    assert "--set max_texts=1" in facts["made"]["command_line"]
    config = CurationConfig(max_texts=1)
    args = clip_curate.parse_curate([*given, "--output", str(tmp_path / "python")])
    clip_curate.curate(**clip_curate.called(args) | {"config": config})
    for name in ("matched", "curated"):
        parts = [sorted((tmp_path / run / name).iterdir()) for run in ("set", "python")]
        assert [part.read_bytes() for part in parts[0]] == [part.read_bytes() for part in parts[1]]
