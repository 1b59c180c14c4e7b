"""The languages of the texts around a text weigh what the model says of it."""

import re

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from curation.inputs.candidates import candidates
from curation.language.label_decisions import Surroundings, weighed, with_pool_languages
from curation.schemas import CANDIDATES
from tests.naive.judging import naive_weighed, naive_words

PIECES = st.builds(
    "{}{}{}".format, st.sampled_from(["en", "de", "ru", "other"]), st.sampled_from("-+"), st.integers(0, 95)
)
WORDS = st.lists(PIECES, min_size=1, max_size=6).map(" ".join)
TEXTS = st.none() | st.builds("{} {}".format, WORDS, st.sampled_from("abcdefgя"))
PLACES = st.sampled_from([None, "http://a/1", "http://a/2", "http://b/1"])
ROWS = st.lists(st.tuples(TEXTS, PLACES, st.sampled_from([None, "de", "fr"])), max_size=60)


def spelled(text):
    """Return `de-75 en+5 x` with scores in letters, or in digits, which are in no word, after a plus: `dehf en5 x`."""
    letters = str.maketrans("0123456789", "abcdefghij")
    return text and re.sub(r"-(\d+)", lambda found: found[1].zfill(2).translate(letters), text).replace("+", "")


def scores_of(text):
    """Return the scores that a spelled text has."""
    digits = str.maketrans("abcdefghij", "0123456789")
    found = re.findall(r"(?<!\w)(other|[a-z]{2})([a-j]{2}|\d+)(?!\w)", text or "")
    return {code: int(score.translate(digits)) / 100 for code, score in found}


class Spelled:
    """Stands for an identifier; a text says what it finds."""

    def predict(self, texts):
        found = [
            max(scores_of(text).items(), key=lambda each: each[1], default=("en", 0)) for text in texts.to_pylist()
        ]
        nulls = texts.is_null().to_numpy(zero_copy_only=False)
        labels = pa.array([code for code, _ in found], pa.string(), mask=nulls).dictionary_encode()
        return labels, pa.array([score for _, score in found], pa.float32(), mask=nulls)

    def spread(self, texts, languages):
        found = [[scores_of(text).get(code, 0) for code in languages] for text in texts.to_pylist()]
        return np.array(found, np.float32).reshape(len(texts), len(languages))


def asked(rows, around=None):
    rows = [(spelled(text), *near) for text, *near in rows]
    texts, pages, stated = (pa.array(column, pa.string()) for column in (zip(*rows, strict=True) if rows else [()] * 3))
    hosts = pa.array([page and page[:-2] for page in pages.to_pylist()], pa.string())
    places = Surroundings(pages, hosts, stated) if around is None else around
    return weighed(texts, Spelled().predict(texts), Spelled(), places).to_pylist()


@given(ROWS)
def test_languages_are_those_of_the_definition(rows):
    seen = [(spelled(text), page, page and page[:-2], stated) for text, page, stated in rows]
    scores = [(scores_of(text), scores_of(text and naive_words(text))) for text, *_ in seen]
    allowed = naive_weighed([(text, own, *near) for own, (text, *near) in zip(scores, seen, strict=True)])
    assert all(answer in may for answer, may in zip(asked(rows), allowed, strict=True))


POOL = [(f"en-99 {letter}", None, None) for letter in "abcdefghijklmnopqrst"]  # a quarter of the weight: 5


def test_a_text_is_in_the_language_of_its_pool_unless_its_own_is_far_likelier():
    assert asked([*POOL, ("de-40 en-9 x", None, None)])[-1] == "en"
    assert asked([*POOL, ("de-40 en-7 x", None, None)])[-1] is None
    assert asked([*POOL[:10], ("de-40 en-9 x", None, None)])[-1] is None
    assert asked([*POOL, ("de-90 en-60 x", None, None)])[-1] == "en"
    assert asked([*POOL, ("en-60 de-30 x", None, None), ("en-90 x", None, None)])[-2:] == ["en", None]


def test_a_label_that_nothing_around_supports_is_other_if_its_score_is_low():
    assert asked([*POOL, ("de-25 en-1 x", None, None)])[-1] == "other"
    assert asked([*POOL, ("de-35 en-1 x", None, None)])[-1] is None
    assert asked([("de-25 en-1 x", None, None)])[-1] is None


def test_a_label_counts_half_that_the_words_in_lower_case_do_not_get():
    assert asked([*POOL, ("de+99 en-5 x", None, None)])[-1] is None
    assert asked([*POOL, ("de+60 en-3 x", None, None)])[-1] == "other"
    assert asked([*POOL, ("de+99 en-12 x", None, None)])[-1] == "en"
    assert asked([*POOL, ("de-90 EN-99 x", None, None)])[-1] == "en"


def test_a_page_and_its_host_weigh_more_than_the_pool_and_few_texts_are_enough():
    pool = [(f"en-99 {letter}", "http://a/1", None) for letter in "abcdefghijklmnopqrst"]
    near = [(f"de-80 {letter}", "http://b/1", None) for letter in "abc"]
    doubtful = "de-5 en-40 x"
    assert asked([*pool, *near, (doubtful, "http://c/1", None)])[-1] == "en"
    assert asked([*pool, *near, (doubtful, "http://b/1", None)])[-1] == "de"
    assert asked([*pool, *near, (doubtful, "http://b/2", None)])[-1] == "de"
    assert asked([*pool, (doubtful, "http://c/1", "de")])[-1] == "de"


def test_a_text_counts_once_and_without_others_nothing_is_lifted():
    repeated = [("de-80 a", "http://b/1", None)] * 60
    assert asked([*repeated, ("de-5 en-40 x", None, None)])[-1] is None
    assert asked([("de-5 en-40 x", None, None)]) == [None]
    assert asked([]) == []


def test_given_shares_weigh_alone():
    rows = [*((f"de-99 {letter}", "http://a/1", "de") for letter in "abcdef"), ("de-40 en-3 x", "http://a/1", "de")]
    assert asked(rows, {"en": 0.97, "de": 0.02})[-1] == "en"
    assert asked(rows, {"en": 0.5, "de": 0.02})[-1] is None
    assert asked(rows, {"en": 0.97, "de": 0.5})[-1] == "de"


def test_languages_that_are_balanced_keep_all_their_texts():
    codes = ("en", "de", "fr", "it", "es", "nl", "pl", "sv", "da", "no", "fi", "cs", "hu", "ro", "tr", "pt", "el", "vi")
    rows = [(f"{code}-80 {number}", None, None) for code in codes for number in range(50)]
    doubtful = [(f"{code}-30 {other}-29 x", None, None) for code in codes for other in codes if code != other]
    assert set(asked([*rows, *doubtful])[len(rows) :]) == {None}


def test_the_host_is_that_of_the_page():
    rows = [(f"de-80 {letter}", "http://cdn/x", "https://Shop.example/a") for letter in "abcde"]
    rows += [("en-40 de-4 x", "http://cdn/y", "http://shop.example/b"), ("en-40 de-4 y", "http://cdn/y", None)]
    rows = [(spelled(text), *near) for text, *near in rows]
    texts, urls, pages = (pa.array(column, pa.string()) for column in zip(*rows, strict=True))
    batches = [candidates({"text": texts, "url": urls, "page_url": pages})]
    (found,) = with_pool_languages(batches, Spelled())
    assert found["pool_language"].to_pylist() == [*[None] * 5, "de", None]
    assert found["label"].to_pylist() == [*["de"] * 5, "en", "en"]
    unchanged = [name for name in CANDIDATES.names if name != "pool_language"]
    assert found.select(unchanged).equals(pa.concat_batches(batches).select(unchanged))
