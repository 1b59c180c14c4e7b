"""The flag --min-language-score takes one number for all languages, and numbers of single ones."""

import pytest

from curation.commands.clip_curate import parse_curate
from curation.config import CurationConfig
from runtime.arguments import made

COMMAND = ["--input", "a.csv", "--metadata", "m", "--output", "out"]


@pytest.mark.parametrize(
    ("values", "of_all", "of_each"),
    [
        ([], 0.0, {}),
        (["0.5"], 0.5, {}),
        (["da=0.6", "id=0.7"], 0.0, {"da": 0.6, "id": 0.7}),
        (["0.5", "da=0.6"], 0.5, {"da": 0.6}),
    ],
)
def test_scores_of_all_languages_and_of_single_ones_are_told_apart(values, of_all, of_each):
    args = parse_curate([*COMMAND, *(["--min-language-score", *values] if values else [])])
    config = made(CurationConfig, args)
    assert (config.min_language_score, config.min_language_scores) == (of_all, of_each)


@pytest.mark.parametrize("value", ["half", "da=", "da:0.5", "=x"])
def test_what_is_no_score_is_refused_in_one_sentence(value, capsys):
    with pytest.raises(SystemExit) as end:
        parse_curate([*COMMAND, "--min-language-score", value])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"expected a number, or a language and a number, such as da=0.6; got {value!r}" in line
