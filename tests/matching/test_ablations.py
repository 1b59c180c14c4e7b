"""The ablations of the papers: another list for each text, one threshold for all languages, or no balance."""

from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.balancing.thresholds import Thresholds, rates_of, thresholds_at
from curation.config import CurationConfig
from curation.matching.finders import built_finders
from curation.matching.matching import Matching
from curation.run.output_folder import Output
from curation.run.request import Options, Request
from curation.run.results import Results
from metadata import Entries
from runtime.errors import InputError
from tests.naive.ablations import naive_found, naive_rates_at
from tests.support.asked import request_of
from tests.support.outputs import TALLIES
from tests.support.pair_rows import OneLanguage
from tests.support.written_run import write_run

LISTS = {"en": ["photo", "dog", "of", "a dog"], "de": ["Hund", "of", "photo"], "ja": ["猫", "写真", "dog"]}
WORDS = ["photo", "dog", "of", "a", "Hund", "猫", "写真", "é"]
VARIANTS = [{}, {"metadata_of": "en"}, {"metadata_of": "ja"}, {"merge_languages": True}]
COUNTS = st.dictionaries(st.sampled_from(["en", "ja", "other"]), st.lists(st.integers(0, 30), max_size=6))


def requested(tmp_path: Path, **variant) -> Request:
    pairs = tmp_path / "pairs.jsonl"
    if not pairs.exists():
        pairs.write_text('{"url": "http://a.example/1.jpg", "text": "a dog"}\n')
    return request_of(CurationConfig(**variant), [str(pairs)], Entries.build(LISTS), Options())


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_text_is_matched_against_the_list_that_is_asked_for(variant, tmp_path):
    random, entries = Random(0), requested(tmp_path, **variant).entries
    texts = [" ".join(random.choices(WORDS, k=random.randrange(5))) for _ in range(300)]
    languages = random.choices(["en", "de", "ja", "sw"], k=len(texts))
    finders = built_finders(entries, "unicode").of_one_list(CurationConfig(**variant).one_list)
    rows = Matching(OneLanguage(), finders).find(texts, pa.array(languages)).to_pylist()
    for text, language, row in zip(texts, languages, rows, strict=True):
        assert {entries.entry(id) for id in row["entries"]} == naive_found(text, language, LISTS, **variant)


def test_a_merged_list_holds_each_entry_once_where_it_comes_first():
    merged = Entries.build(LISTS).merged()
    assert merged.of("other").to_pylist() == ["photo", "dog", "of", "a dog", "Hund", "猫", "写真"]
    assert merged.languages == {"other": slice(0, 7)}
    assert merged.merged().digest == merged.digest


def test_the_list_of_one_language_has_ids_from_0():
    only = Entries.build(LISTS).only("ja")
    assert (only.strings.to_pylist(), only.languages) == (LISTS["ja"], {"ja": slice(0, 3)})
    with pytest.raises(InputError, match="there are no entries of fr; choose one of the languages en, de, ja"):
        Entries.build(LISTS).only("fr")


@given(COUNTS, st.integers(1, 31), st.sampled_from(["same", "list", "none"]))
def test_rates_are_those_of_one_threshold_or_1(counts, t, rule):
    config = CurationConfig(
        threshold_per_language="same" if rule == "same" else "own",
        merge_languages=rule == "list",
        balance=rule != "none",
    )
    thresholds = thresholds_at(t, counts, config)
    for code, own in counts.items():
        expected = naive_rates_at(counts, t, balance=rule != "none")[code]
        rates = rates_of(own, {code: slice(0, len(own))}, thresholds)
        assert rates.tolist() == pytest.approx(expected, rel=1e-6)


def test_the_tail_share_of_one_threshold_is_that_of_all_matches():
    assert Thresholds.same({"en": [1, 9], "ja": [2, 8]}, 5).tail_share == 3 / 20
    assert Thresholds.same({"en": []}, 5).tail_share == 0.0
    assert Thresholds.unlimited({"en": [1, 9], "ja": []}) == Thresholds(1.0, {"en": 10, "ja": 1})


def test_by_default_thresholds_follow_the_tail_share_of_english():
    counts = {"en": [1, 2, 7, 10], "ja": [1, 3, 6, 10]}
    assert thresholds_at(5, counts, CurationConfig()) == Thresholds.of(counts, 5)
    assert thresholds_at(5, counts, CurationConfig(tail_share=0.5)) == Thresholds.of(counts, 5, 0.5)


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"metadata_of": "xx"}, "'xx' is not the code of a metadata language"),
        ({"metadata_of": "en", "merge_languages": True}, "metadata_of and merge_languages each select one list"),
        ({"metadata_of": "en", "tail_share": 0.1}, "tail_share sets the thresholds of other languages"),
        ({"threshold_per_language": "same", "tail_share": 0.1}, "tail_share sets the thresholds"),
        ({"threshold_per_language": "none"}, "threshold_per_language is 'none'"),
        ({"balance": False, "target_size": 10}, "target_size is only for balancing"),
        ({"balance": False, "tail_share": 0.1}, "tail_share is only for balancing"),
        ({"balance": False, "english_threshold": 5}, "english_threshold is only for balancing"),
    ],
)
def test_switches_that_contradict_one_another_are_refused(parameters, fault):
    with pytest.raises(InputError, match=fault):
        CurationConfig(**parameters)


def test_images_matched_against_other_lists_are_refused(tmp_path):
    plain, only = requested(tmp_path).made_from(), requested(tmp_path, metadata_of="en").made_from()
    output = Output.claim(tmp_path / "out", plain)
    output.parts.begin("matched")
    output.finish_matched(TALLIES)
    output.release()
    with pytest.raises(InputError, match=r"made differently \(other metadata, metadata_of none, not en\)"):
        Output.claim(tmp_path / "out", only)


def test_a_list_of_english_alone_is_not_the_same_as_metadata_of_english(tmp_path):
    english = Entries.build({"en": LISTS["en"]})
    request = requested(tmp_path, metadata_of="en")
    assert request.entries.digest == english.digest
    assert request.made_from()["metadata_of"] == "en"


@pytest.mark.parametrize("switch", [{"threshold_per_language": "same"}, {"balance": False}])
def test_matched_images_serve_other_thresholds(switch, tmp_path):
    assert requested(tmp_path, **switch).made_from() == requested(tmp_path).made_from()


def test_a_finished_run_tries_other_thresholds_by_its_own_rule(tmp_path):
    entries = Entries.build({"en": ["a"], "ja": ["猫"]})
    images = [[("a", "en", [0])]] * 30 + [[("猫", "ja", [1])]] * 60
    run = Results.open(write_run(tmp_path, entries, images, t=5))
    assert run.thresholds(5).of_language == {"en": 5, "ja": 60}
    same = Results(run.path, run.facts | {"parameters": {"threshold_per_language": "same"}})
    assert same.thresholds(5).of_language == {"en": 5, "ja": 5}
    assert (
        same.threshold_for(79.5).threshold == 50
    )  # all 30 texts of English and 50 others: no t up to 30 keeps as many
