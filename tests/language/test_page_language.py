"""A doubtful text gets the language that its page states, where that is asked for."""

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from curation.images.combine import group
from curation.images.tasks import keyed
from curation.language.judging import LanguageRules, judge
from curation.matching.by_language import Matching
from curation.matching.finders import built_finders
from metadata.languages import language
from runtime.tallies import Tallies
from tests.language.test_judging import CODES, ROWS, RULES, columns
from tests.naive.judging import naive_judge_on_page
from tests.support.pair_rows import ENTRIES, candidates


def judged(rows, pages, **rules):
    found = judge(*columns(rows), LanguageRules(**{"ask_pages": True, **rules}), pa.array(pages, pa.string()))
    return list(zip(*(each.to_pylist() for each in found), strict=True))


def one(text, label, score, page, **rules):
    return judged([(text, label, score)], [page], **rules)[0]


def written(code):
    return {*language(code).scripts} if code else set()


@given(ROWS, RULES, st.lists(st.none() | CODES.filter("other".__ne__), min_size=8, max_size=8))
@example([(None, "en", 0.1), ("dog", "ru", 0.1)], {"min_score": 0.5}, ["de"] * 8)
def test_languages_are_those_of_the_definition(rows, rules, pages):
    pages = pages[: len(rows)]
    expected = [
        naive_judge_on_page(*row, written(row[1]), page, written(page), **rules)
        for row, page in zip(rows, pages, strict=True)
    ]
    assert judged(rows, pages, **rules) == expected


def test_a_doubtful_text_gets_the_language_of_its_page_and_no_other_text_does():
    assert one("Hund", "en", 0.49, "de") == ("de", None)
    assert one("Hund", "en", 0.5, "de") == one("Hund", "en", 0.4, None) == ("en", None)
    assert one("Hund", "en", 0.4, "de", ask_pages=False) == ("en", None)


def test_letters_that_contradict_the_page_count_more():
    assert one("собака", "ru", 0.1, "de") == one("собака", "ru", 0.1, "ja") == ("ru", None)
    assert one("собака Dog", "ru", 0.1, "de") == ("de", None)
    assert one("犬", "en", 0.1, "ja") == ("ja", None)
    assert one("犬", "en", 0.1, "de") == ("other", "script")


def test_the_page_s_word_is_enough_where_a_score_is_asked_for_but_a_file_name_stays_one():
    assert one("Hund", "en", 0.1, "de", min_score=0.9) == ("de", None)
    assert one("IMG_1.jpg", "en", 0.1, "de", check_kinds=True) == ("other", "file_name")
    assert one("IMG_1.jpg", "other", 0.1, "de", check_kinds=True) == ("other", None)


class Doubtful:
    """Stands for an identifier; it finds all texts English with a score of 0.25."""

    def predict(self, texts):
        labels = pa.array(["en"] * len(texts), pa.string()).dictionary_encode()
        return labels, pa.array([0.25] * len(texts), pa.float32())


def test_texts_with_the_language_of_their_page_are_counted_and_keep_the_score_of_the_model():
    stated = [
        ("Hund", "de", None),
        ("собака", "de", None),
        ("of", None, None),
        ("Hund of", "ja", "de"),
        ("猫", "ja", None),
    ]
    named = ("text", "page_language", "language")
    rows = keyed(candidates(*({"url": "http://a", **dict(zip(named, row, strict=True))} for row in stated)))
    rules = LanguageRules(check_scripts=False, ask_pages=True)
    found = Matching(Doubtful(), built_finders(ENTRIES, "unicode"), rules).match(rows)
    assert found["language"].to_pylist() == ["de", "en", "en", "de", "ja"]
    assert found["lid_score"].to_pylist() == [0.25, 0.25, 0.25, None, 0.25]
    tallies = Tallies()
    group(found, tallies, unique=True)
    assert tallies["page_language"] == 2
