"""The languages that tables state are understood however they are written; labels that are not known are counted."""

from collections import Counter

import pyarrow as pa
import pytest

from curation.inputs.candidates import MAX_UNKNOWN_LABELS, UNKNOWN_LANGUAGE, coded, count_unknown, unknown_labels
from curation.matching.matching import Matching
from curation.report.warnings import unknown_languages
from metadata.entries import Entries
from runtime import tallies
from runtime.tallies import Tally, TaskResult
from tests.support.tables import URL, json_lines, of_csv, of_json, of_parquet


def test_codes_are_those_of_each_distinct_label():
    stated = pa.array(["English", None, "en-US", "zz", "English", "zh-Hant", "eng_Latn"])
    assert coded(stated).to_pylist() == ["en", None, "en", "other", "en", "zh", "en"]
    assert coded(stated.slice(3, 2)).to_pylist() == ["other", "en"]
    assert coded(stated.slice(0, 0)).to_pylist() == []


def test_texts_are_matched_against_the_entries_of_the_language_that_is_stated(caplog):
    matching = Matching.of(Entries.build({"en": ["dog"], "ja": ["犬"]}))
    found = matching.find(["a dog"] * 5 + ["犬"], ["English", "EN", "en-US", "zz", None, "Japanese"])
    assert found["language"].to_pylist() == ["en", "en", "en", "other", "en", "ja"]
    assert found["entries"].to_pylist() == [[0], [0], [0], [], [0], [1]]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("texts in an unknown language count as other: 'zz' is not the code of a metadata language; ")


@pytest.mark.parametrize("labels", [["zz", "English", "", None, "zz", "犬", "und"], [None] * 7, ["en"] * 7])
def test_rows_of_unknown_labels_are_counted_in_every_format(labels):
    rows = [{"url": URL, "text": "x", "language": label} for label in labels]
    column = pa.array(labels, pa.string())
    expected = {label: rows for label, rows in Counter(labels).items() if label in ("zz", "犬")}
    found = [
        of_parquet({"url": [URL] * 7, "text": ["x"] * 7, "language": column}),
        of_parquet({"url": [URL] * 7, "text": ["x"] * 7, "language": column.dictionary_encode()}),
        of_json(json_lines(*rows)),
        of_csv("url,text,language\n" + "".join(f"{URL},x,{label or ''}\n" for label in labels)),
    ]
    for pairs, tally in found:
        assert len(pairs) == 7
        assert {key[1]: value for key, value in tally.items() if key[0] == UNKNOWN_LANGUAGE} == expected


def test_a_row_that_is_dropped_is_not_counted():
    assert of_csv("url,text,language\nftp://a,x,zz\n")[1] == {"files": 1, "records": 1, ("dropped", "not_http"): 1}


def test_of_a_column_of_texts_few_labels_are_counted_apart():
    tally = Tally()
    for begin in range(0, 5000, 1000):
        count_unknown(pa.array([f"text {number}" for number in range(begin, begin + 1000)]), tally)
    assert sum(tally.values()) == 5000
    assert len(tally) == MAX_UNKNOWN_LABELS + 1
    assert tally[UNKNOWN_LANGUAGE] == 5000 - MAX_UNKNOWN_LABELS


def test_labels_of_many_files_stay_few():
    counted = TaskResult()
    for file in range(50):
        for number in range(MAX_UNKNOWN_LABELS):
            counted.add(UNKNOWN_LANGUAGE, 2, item=f"{file} {number}")
        counted.add("records", 7)
    again = TaskResult(counted.rows()) + TaskResult(counted.rows())
    assert sum(again.by_item(UNKNOWN_LANGUAGE).values()) + again[UNKNOWN_LANGUAGE] == 2 * 2 * 50 * MAX_UNKNOWN_LABELS
    assert again["records"] == 2 * 7 * 50
    assert len(again.rows()) == tallies.MAX_UNKNOWN_ITEMS + 2


def test_a_long_label_is_cut():
    assert unknown_labels(pa.array(["y" * 1_000_000])) == {"y" * 40: 1}


def test_the_warning_names_the_five_most_frequent():
    labels = {f"l{number}": 20 - number for number in range(9)}
    sentence = "".join(unknown_languages(1234, labels).sentence)
    assert "1,234 rows state an unknown language" in sentence
    assert "l0 (20), l1 (19), l2 (18), l3 (17), l4 (16). Known labels are BCP 47 tags" in sentence
