"""The dataset card says what is known of a run and of its author's wishes, and no more."""

import re

import pytest

from curation.export.card import ISO_639, About, card, size_category
from curation.export.croissant import COLUMNS
from curation.runs.results import Results
from curation.schemas import CURATED
from metadata import InputError
from metadata.languages import LANGUAGES


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


def test_the_card_says_what_it_was_told_and_leaves_out_what_it_was_not(run):
    facts = Results.open(run.path).facts
    bare = card(facts, About(), "pairs")
    told = card(facts, About(license="cc-by-4.0", cite="Ada: Pairs, 2026"), "Paare für alle")
    assert "license" not in bare
    assert "Citation" not in bare
    assert 'license: "cc-by-4.0"\n' in told
    assert 'pretty_name: "Paare für alle"\n' in told
    assert told.endswith("## Citation\n\nAda: Pairs, 2026\n")


def test_languages_have_iso_639_codes_and_norwegian_is_no_truth_value(run):
    assert 'language: ["en", "ja", "no"]\n' in card(Results.open(run.path).facts, About(), "pairs")
    tags = [ISO_639.get(language.code, language.code) for language in LANGUAGES]
    assert set(ISO_639) <= {language.code for language in LANGUAGES}
    assert [tag for tag in tags if tag and not re.fullmatch(r"[a-z]{2,3}", tag)] == []
    assert len({tag for tag in tags if tag}) == sum(tag is not None for tag in tags)


@pytest.mark.parametrize("date", ["yesterday", "2026-13-01", "20261125", "2026-1-5"])
def test_a_date_that_is_none_is_refused(date):
    with pytest.raises(InputError, match=f"the date is '{date}'"):
        About(date=date)


def test_every_column_of_a_manifest_is_described():
    assert list(COLUMNS) == CURATED.names
