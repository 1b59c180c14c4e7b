"""The folder for Hugging Face: card, data, entries and Croissant metadata."""

import json
import re
from hashlib import sha256

import pyarrow.parquet as pq
import pytest

from curation.balancing.thresholds import EntryCounts
from curation.plugins.export.card import ISO_639, Card, card, size_category
from curation.plugins.export.formats import export
from curation.plugins.export.huggingface import HuggingFace
from curation.run.results import Results
from curation.schemas import COUNTS, CURATED
from metadata import Entries, InputError
from metadata.languages import LANGUAGES
from tests.support.finished_run import LISTS, finished_run, image
from tests.support.in_turn import in_turn


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path / "run", [image(number) for number in range(60)])


# The card


@pytest.mark.parametrize(
    ("rows", "category"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (10**6, "1M<n<10M"),
        (10**9 - 1, "100M<n<1B"),
        (10**9, "1B<n<10B"),
        (10**12, "n>1T"),
    ],
)
def test_sizes_have_the_words_of_hugging_face(rows, category):
    assert size_category(rows) == category


def test_languages_have_iso_639_codes_and_norwegian_is_no_truth_value(run):
    assert 'language: ["en", "ja", "no"]\n' in card(Results.open(run.path).facts, HuggingFace(), "pairs")
    tags = [ISO_639.get(language.code, language.code) for language in LANGUAGES]
    assert set(ISO_639) <= {language.code for language in LANGUAGES}
    assert [tag for tag in tags if tag and not re.fullmatch(r"[a-z]{2,3}", tag)] == []
    assert len({tag for tag in tags if tag}) == sum(map(bool, tags))


@pytest.mark.parametrize("date", ["yesterday", "2026-13-01", "20261125", "2026-1-5"])
def test_a_date_that_is_none_is_refused(date):
    with pytest.raises(InputError, match=f"the answer datePublished is '{date}'"):
        HuggingFace({"datePublished": date})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("CC-BY 4.0", "did you mean cc-by-4.0?"),
        ("mine", "give the identifier of a licence that it knows, or other (--answers)"),
        ("cc-by-4.0", ""),
    ],
)
@pytest.mark.parametrize("form", [Card, HuggingFace])
def test_a_licence_that_is_not_known_is_warned_of(run, tmp_path, caplog, form, given, sentence):
    export(in_turn(), run.path, tmp_path / "out", form({"license": given}))
    assert sentence in caplog.text
    assert (f"does not know the licence {given!r}" in caplog.text) == bool(sentence)


# The folder


def test_data_and_entries_are_linked_not_copied(run, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", HuggingFace())
    assert (tmp_path / "out" / "data" / "00000.parquet").samefile(run.path / "curated" / "00000.parquet")
    assert (tmp_path / "out" / "entries" / "entries.parquet").samefile(run.path / "counts.parquet")


def test_the_entries_of_a_pair_can_be_looked_up_by_their_ids(run, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", HuggingFace())
    entries = {row["id"]: row for row in pq.read_table(tmp_path / "out" / "entries").to_pylist()}
    listed = [entry for listed in LISTS.values() for entry in listed]
    assert {id: (row["entry"], row["count"], row["rate"]) for id, row in entries.items()} == {
        id: (listed[id], count, run.rates[id]) for id, count in enumerate(run.counts) if count
    }
    for row in run.kept:
        assert all(entries[id]["entry"] in row["text"] for id in row["entries"])


def test_the_card_has_a_configuration_for_the_pairs_and_one_for_the_entries(run, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", HuggingFace())
    (line,) = re.findall("^configs: (.*)$", (tmp_path / "out" / "README.md").read_text("utf-8"), re.MULTILINE)
    paths = {config["config_name"]: config["data_files"][0]["path"] for config in json.loads(line)}
    assert paths == {"default": "data/*.parquet", "entries": "entries/*.parquet"}
    assert [len(list((tmp_path / "out").glob(path))) for path in paths.values()] == [2, 1]


def test_croissant_names_every_file_with_its_digest(run, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", HuggingFace())
    described = json.loads((tmp_path / "out" / "croissant.json").read_text("utf-8"))
    digests = {each["contentUrl"]: each["sha256"] for each in described["distribution"] if "sha256" in each}
    files = sorted((tmp_path / "out").rglob("*.parquet"))
    assert digests == {
        file.relative_to(tmp_path / "out").as_posix(): sha256(file.read_bytes()).hexdigest() for file in files
    }
    columns = {each["name"]: [field["name"] for field in each["field"]] for each in described["recordSet"]}
    assert columns == {"pairs": CURATED.names, "entries": COUNTS.names}


def test_a_manifest_with_rows_missing_is_refused(run, tmp_path):
    (run.path / "curated" / "00001.parquet").unlink()
    with pytest.raises(InputError, match=r"curated holds \d+ images, \d+ were written"):
        export(in_turn(), run.path, tmp_path / "out", HuggingFace())


def test_counts_of_another_run_are_refused(run, tmp_path):
    entries = Entries.build({"en": ["other"]})
    EntryCounts.zeros(1, entries.digest).save(str(run.path / "counts.parquet"), entries)
    with pytest.raises(InputError, match=r"counts.parquet and the run.json beside it come from two different runs"):
        export(in_turn(), run.path, tmp_path / "out", HuggingFace())


def test_a_run_without_counts_is_refused(run, tmp_path):
    (run.path / "counts.parquet").unlink()
    with pytest.raises(InputError, match=r"counts.parquet does not exist"):
        export(in_turn(), run.path, tmp_path / "out", HuggingFace())
    assert not (tmp_path / "out").exists()
