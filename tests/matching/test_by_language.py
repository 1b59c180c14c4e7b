"""Matching a batch of rows: in which language each text is, and which entries of that language it holds."""

from dataclasses import replace
from random import Random

import pyarrow as pa
import pytest

from curation.images.grouping import keyed
from curation.matching.finders import built_finders
from curation.matching.matching import Matching
from curation.schemas import KEYED, PAIRS
from metadata import Entries, InputError
from tests.naive.evidence import naive_evidence
from tests.support.pair_rows import ENTRIES, OneLanguage, candidates, matching, random_candidates


def texts(*rows: tuple) -> pa.RecordBatch:
    """Return rows given as (text, language)."""
    rows = ({"url": f"http://x/{i}", "text": text, "language": code} for i, (text, code) in enumerate(rows))
    return keyed(candidates(*rows))


def found(batch: pa.RecordBatch) -> list[tuple]:
    rows = matching().match(batch).to_pylist()
    return [(row["text"], row["language"], [ENTRIES.entry(id) for id in row["entries"]]) for row in rows]


def test_ids_are_global_and_of_the_text_s_own_language():
    rows = matching().match(texts(("photo of a dog", None), ("猫の写真", "ja"), ("Hund of", "deu_Latn"))).to_pylist()
    ja, de = ENTRIES.ids("ja").start, ENTRIES.ids("de").start
    assert [row["entries"] for row in rows] == [[0, 1, 2], [ja, ja + 1], [de, de + 1]]
    assert [row["language"] for row in rows] == ["en", "ja", "de"]


def test_texts_without_a_match_stay_with_no_entries():
    batch = texts(("zzz", None), ("dog", "sw"), ("dog", None), ("", None))
    assert found(batch) == [("zzz", "en", []), ("dog", "sw", []), ("dog", "en", ["dog"]), ("", "en", [])]


def test_a_given_language_has_no_score_and_the_input_s_own_word_for_it_is_kept():
    rows = matching().match(texts(("dog", None), ("Hund", "deu_Latn"), ("dog", "no language"))).to_pylist()
    assert [row["lid_score"] for row in rows] == [0.75, None, None]
    assert [row["given"] for row in rows] == [None, "deu_Latn", "no language"]
    assert [row["language"] for row in rows] == ["en", "de", "other"]


def test_texts_alone_are_told_language_score_and_entries():
    texts = pa.chunked_array([["x", "a photo of a dog", None], ["Hund of", "猫の写真"]])
    languages = pa.array([None, None, None, "de", "ja"])
    rows = matching().find(texts, languages).to_pylist()
    de, ja = ENTRIES.ids("de").start, ENTRIES.ids("ja").start
    assert [row["entries"] for row in rows] == [[], [0, 1, 2], [], [de, de + 1], [ja, ja + 1]]
    assert [row["lid_score"] for row in rows] == [0.75, 0.75, 0.75, None, None]
    assert matching().find(texts[1:4], languages[1:4]).to_pylist() == rows[1:4]
    assert matching().find([]).num_rows == 0


def test_matching_needs_no_folder():
    rows = Matching.of(ENTRIES).find(["a photo of a dog in the park", "公園にいる猫の写真です", None]).to_pylist()
    assert [row["language"] for row in rows] == ["en", "ja", None]
    entries = [[ENTRIES.entry(id) for id in row["entries"]] for row in rows]
    assert entries == [["photo", "dog", "of"], ["猫", "写真"], []]
    assert all(0 < row["lid_score"] <= 1.0001 for row in rows[:2])
    with pytest.raises(InputError, match="rules"):
        Matching.of(ENTRIES, rules="none").find(["a photo of a dog in the park"])


def test_a_text_with_numbers_and_single_letters_alone_is_no_match_where_letters_are_asked_for():
    entries = Entries.build({"en": ["2", "b", "dog", "2 b"], "ja": ["猫", "2"]})
    texts, languages = ["2 b", "dog 2", "", None, "猫", "2", "2 b"], ["en", "en", "en", None, "ja", "ja", "en"]
    usual = Matching(OneLanguage(), built_finders(entries, "unicode"))
    asked = replace(usual, lettered=entries.lettered)
    before, after = (each.find(texts, languages)["entries"].to_pylist() for each in (usual, asked))
    assert before == [[0, 1, 3], [0, 2], [], [], [4], [5], [0, 1, 3]]
    assert after == [naive_evidence(ids, entries.strings.to_pylist()) for ids in before]
    assert after == [[], [0, 2], [], [], [4], [], []]
    assert asked.find([]).num_rows == 0


def test_what_is_known_of_a_row_stays_as_it_is():
    batch = keyed(random_candidates(Random(2), 50))
    assert matching().match(batch).select(KEYED.names).equals(batch)


def test_a_row_is_matched_alike_whatever_comes_with_it():
    batch = keyed(random_candidates(Random(3), 60))
    whole = matching().match(batch).to_pylist()
    assert matching().match(batch.slice(13, 30)).to_pylist() == whole[13:43]
    assert [matching().match(batch.slice(i, 1)).to_pylist()[0] for i in range(60)] == whole


def test_no_rows_give_no_rows():
    assert matching().match(texts()).equals(pa.RecordBatch.from_pylist([], PAIRS))
    assert matching().match(texts(("dog", None)).slice(1)).schema == PAIRS


def test_a_batch_without_a_column_is_refused():
    batch = texts(("dog", None)).select([name for name in KEYED.names if name != "given"])
    with pytest.raises(InputError, match=r"missing columns \['given'\]"):
        matching().match(batch)
