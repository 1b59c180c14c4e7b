"""What a program sees of the packages: help, choices, names, and refusals of what would be taken for something else."""

import inspect
import re
from configparser import ConfigParser
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import curation
from curation import CurationConfig, GateOptions, InputError, Matching, Options, Results, captions, uids, weights
from curation.dataframes import MatchOptions
from curation.plugins.clustering.training import ClusterConfig
from curation.plugins.gate.judge.judge import standard
from curation.plugins.gate.options import Gate
from curation.plugins.online import OnlineConfig
from curation.plugins.report_sections.alignment import read_classes
from curation.plugins.scoring.scorer import ScoringConfig
from curation.plugins.tars.samples import find
from metadata import Entries, MetadataConfig, Sources
from runtime.errors import FLAGS
from tests.docs.test_commands import SITE
from tests.support.asked import request_of
from tests.support.checkout import ROOT
from tests.support.written_run import write_run

ENTRIES = Entries.build({"en": ["dog"]})
CONFIGS = [CurationConfig, MetadataConfig, ClusterConfig, ScoringConfig]


def choices(config: type) -> dict[str, tuple[str, ...]]:
    hints = get_type_hints(config)
    return {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}


@pytest.mark.parametrize("described", [*CONFIGS, OnlineConfig, Options, GateOptions, MatchOptions])
def test_help_says_what_each_field_is(described):
    named = re.findall(r"^ *([a-z_, ]+): \S", inspect.getdoc(described), re.MULTILINE)
    assert sorted(", ".join(named).split(", ")) == sorted(field.name for field in fields(described))


def test_a_parameter_is_named_by_a_flag_that_exists():
    parser = SITE["parsers"]()["clip-curate"]
    without = {"columns", "command_line", "gate"}
    for described in (CurationConfig, GateOptions, Options):
        for field in fields(described):
            spelled = {FLAGS.get(field.name, f"--{field.name.replace('_', '-')}"), f"--set {field.name}"}
            assert spelled & {*parser._option_string_actions} or field.name in without, field.name


@pytest.mark.parametrize(("config", "name"), [(config, name) for config in CONFIGS for name in choices(config)])
def test_the_type_of_a_choice_names_all_values_that_are_accepted(config, name):
    for value in choices(config)[name]:
        assert getattr(config(**{name: value}), name) == value
    with pytest.raises(InputError, match=f"{name} is 'foo'; it must be one of {', '.join(choices(config)[name])}"):
        config(**{name: "foo"})


def test_every_parameter_that_is_a_string_among_few_has_a_type_that_names_them():
    strings = {(config, name) for config in CONFIGS for name, hint in get_type_hints(config).items() if hint is str}
    assert strings == {(ScoringConfig, "device")}  # cuda:N, for any N


def test_rules_that_do_not_exist_are_refused_before_a_text_is_matched():
    with pytest.raises(InputError, match="rules is 'foo'; it must be one of unicode, meta"):
        Matching.of(ENTRIES, rules="foo")


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: Entries.build({"en": "abc"}),
        lambda: Entries.build({"en": b"abc"}),
        lambda: Sources.find(lists={"en": "abc"}),
        lambda: Sources.find(wordnet="wordnets/"),
        lambda: uids("https://example.org/a.jpg"),
        lambda: find("pictures/"),
        lambda: Options(exclude="opt-outs.txt"),
        lambda: Options(classes="en=imagenet.json"),
        lambda: GateOptions(match_captions="captions.parquet"),
        lambda: captions.build("captions.parquet", Results(Path("run"), {}), "captions"),
        lambda: weights.build(Path("weights.parquet"), Results(Path("run"), {}), "weights"),
        lambda: GateOptions(images=["scores.parquet"]),
        lambda: MatchOptions(exclude=ROOT / "opt-outs.txt"),
        lambda: request_of(CurationConfig(), "pairs.parquet", ENTRIES, Options()),
    ],
)
def test_one_string_in_place_of_several_is_not_taken_letter_by_letter(mistake):
    with pytest.raises(InputError, match="must be a sequence of strings; got one, .*: put it into a list"):
        mistake()


def test_a_secret_in_such_a_string_is_not_repeated():
    with pytest.raises(InputError) as refusal:
        Options(exclude="https://me:a-very-long-password-of-more-than-forty-letters@example.org/list.txt")
    assert "very-long" not in str(refusal.value)


def test_entries_without_their_language_are_refused():
    with pytest.raises(InputError, match="lists is of type list; pass the entries of each language, as "):
        Entries.build(["dog"])


def test_a_threshold_beside_a_target_size_is_refused_unless_it_is_the_default():
    with pytest.raises(InputError, match="^target_size and english_threshold are both given, .*; pass only one"):
        CurationConfig(english_threshold=20, target_size=5)
    with pytest.raises(InputError, match="are both given"):
        replace(CurationConfig(english_threshold=20), target_size=5)
    assert replace(CurationConfig(), target_size=5).english_threshold == CurationConfig.english_threshold == 20_000


def test_classes_and_templates_are_given_by_language(tmp_path):
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    (tmp_path / "templates.txt").write_text("a photo of a {}\n")
    by_language = read_classes({"en": tmp_path / "classes.txt"}, {"en": str(tmp_path / "templates.txt")})
    assert by_language == read_classes([f"en={tmp_path / 'classes.txt'}"], [f"en={tmp_path / 'templates.txt'}"])
    assert by_language["en"].forms == (("a photo of a dog",), ("a photo of a cat",))
    with pytest.raises(InputError, match="'xx' is not the code of a metadata language"):
        read_classes({"xx": tmp_path / "classes.txt"})


def test_paths_of_a_gate_may_be_paths(tmp_path):
    tables, scores, lists = tmp_path / "tables", tmp_path / "scores.parquet", tmp_path / "list.txt"
    tables.mkdir()
    pq.write_table(pa.table({"uid": ["a"], "score": [1]}), scores)
    rows = {"uid": ["a"], "url": ["http://a.example/1.jpg"], "status": ["success"], "caption": ["a dog"]}
    pq.write_table(pa.table(rows), tables / "0.parquet")
    lists.write_text("http://a.example/1.jpg\n")

    (tmp_path / "judge.json").write_bytes(standard().content())

    def found(kind) -> Gate:
        given, names = [kind(tables)], [kind(lists)]
        asked = dict(status=given, only=names, images=[[kind(scores)]], keep="score > 0", match_captions=given)
        asked |= {"policy": ["junk:50"], "judge": kind(tmp_path / "judge.json")}
        return GateOptions(**asked, decontaminate=given, decontaminate_texts=names).find()

    by_paths, by_strings = found(Path), found(str)
    assert by_paths.lines() == by_strings.lines()
    assert f"balanced by: {tables}" in by_paths.lines()
    of_paths, of_strings = (each.steps["conditions"] for each in (by_paths, by_strings))
    assert of_paths.tables.column_names == of_strings.tables.column_names
    assert of_paths.evaluation.sets == of_strings.evaluation.sets


def test_pictures_to_hash_may_be_paths(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert [source.path for source in find([tmp_path])] == [str(tmp_path / "a.jpg")]


def test_inputs_may_be_paths(tmp_path):
    (tmp_path / "pairs.jsonl").write_text('{"url": "http://a.example/1.jpg", "text": "a dog"}\n')
    request = request_of(CurationConfig(), [tmp_path / "pairs.jsonl"], ENTRIES, Options())
    assert [file.path for file in request.files] == [str(tmp_path / "pairs.jsonl")]


def test_the_version_is_that_of_the_package():
    stated = ConfigParser()
    stated.read(ROOT / "setup.cfg", encoding="utf-8")
    assert curation.__version__ == stated["metadata"]["version"]


def test_entries_and_results_show_themselves_in_a_line(tmp_path):
    assert repr(ENTRIES) == "<Entries: 1 (1 en)>"
    many = Entries.build({code: ["dog", "cat"] for code in ("en", "de", "ja", "fr", "ru", "ko", "zh")})
    assert repr(many) == "<Entries: 14 (2 en, 2 de, 2 fr, 2 ja, 2 ko, 2 more languages)>"
    run = Results.open(write_run(tmp_path, ENTRIES, [[("dog", "en", [0])]] * 3, t=5))
    assert repr(run) == f"<Results of {tmp_path}: 3 of 3 matched images kept>"
