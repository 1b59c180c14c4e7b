"""The language of a host is that of most of its sure texts."""

from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from curation.inputs.candidates import candidates, tallies
from curation.language.judging import host_languages
from curation.run.tasks import with_host_languages
from curation.schemas import CANDIDATES
from metadata.languages import language
from tests.naive.judging import naive_is_foreign

TEXTS = st.none() | st.tuples(
    st.sampled_from(["en", "de", "ru"]), st.sampled_from("47"), st.sampled_from("abcdefgя")
).map("-".join)
ROWS = st.lists(st.tuples(TEXTS, st.sampled_from([None, "a", "b"])), max_size=60)


class Spelled:
    """Stands for an identifier; a text says what it finds, as de-7-x: German with a score of 0.75."""

    def predict(self, texts):
        parts = [(text or "en-4-x").split("-") for text in texts.to_pylist()]
        nulls = texts.is_null().to_numpy(zero_copy_only=False)
        labels = pa.array([code for code, *_ in parts], pa.string(), mask=nulls).dictionary_encode()
        return labels, pa.array([{"7": 0.75, "4": 0.4}[score] for _, score, _ in parts], pa.float32(), mask=nulls)


def naive_host_languages(rows):
    sure = {(text, host) for text, host in rows if text and host and text[3] == "7"}
    sure = {(text, host) for text, host in sure if not naive_is_foreign(text, {*language(text[:2]).scripts})}
    answers = {}
    for own in {host for _, host in sure}:
        counts = Counter(text[:2] for text, host in sure if host == own)
        code, most = counts.most_common(1)[0]
        if counts.total() >= 5 and most >= 0.8 * counts.total():
            answers[own] = code
    return [answers.get(host) for _, host in rows]


@given(ROWS)
def test_languages_of_hosts_are_those_of_the_definition(rows):
    texts, hosts = (pa.array(column, pa.string()) for column in (zip(*rows, strict=True) if rows else ((), ())))
    assert host_languages(texts, Spelled().predict(texts), hosts).to_pylist() == naive_host_languages(rows)


def test_the_host_is_that_of_the_page_or_of_the_image_and_tallies_are_no_texts():
    rows = [(f"de-7-{letter}", "http://cdn/x", "https://Shop.example/a") for letter in "abcde"]
    rows += [(f"en-7-{letter}", "http://image.example/x", None) for letter in "abcde"]
    rows += [("en-4-x", "http://cdn/y", "http://shop.example/b"), ("de-4-y", "http://image.example/", None)]
    texts, urls, pages = (pa.array(column, pa.string()) for column in zip(*rows, strict=True))
    batches = [candidates({"text": texts, "url": urls, "page_url": pages}), tallies(Counter({"en-7-z": 5}))]
    (found,) = with_host_languages(batches, Spelled(), 6)
    assert found["host_language"].to_pylist() == [*["de"] * 5, *["en"] * 5, "de", "en", None]
    assert found["label"].to_pylist() == [*["de"] * 5, *["en"] * 5, "en", "de", None]
    unchanged = [name for name in CANDIDATES.names if name != "host_language"]
    assert found.select(unchanged).equals(pa.concat_batches(batches).select(unchanged))
