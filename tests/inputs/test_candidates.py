"""Texts are cleaned and web addresses are recognised alike one by one and as arrays."""

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.inputs.candidates import HTTP_URL, clean, clean_array, is_web
from tests.naive.inputs import naive_clean

REFERENCES = [
    "&",
    "#",
    "x",
    ";",
    "amp",
    "AMP",
    "lt",
    "nbsp",
    "copy",
    "nosuch",
    "39",
    "039",
    "x27",
    "0",
    "128",
    "x10",
    "99999999",
    " ",
    "R",
    "é",
]


@given(st.lists(st.lists(st.sampled_from(REFERENCES), max_size=12).map("".join), max_size=9))
@example(
    [
        "Joe&#039;s",
        "R&B",
        "Smith & Sons",
        "a &amp b",
        "&copy;",
        "&nosuch;",
        "&amp;lt;",
        "&#x80;&#0;",
        "&nbsp;a&#10;b&nbsp;",
    ]
)
def test_references_that_are_left_are_resolved_once_more_if_they_are_complete(texts):
    expected = [naive_clean(text) for text in texts]
    assert [clean(text) for text in texts] == expected
    assert (
        clean_array(pa.array(["before", *texts, "x" * 100], pa.string()).slice(1, len(texts))).to_pylist() == expected
    )


WEB = ["http", "HTTP", "s", "S", "ſ", ":", "://", "/", "?", "#", "a", "a.org", "é", " ", "ht", "tp"]


@settings(deadline=None)
@given(
    st.text(
        st.one_of(st.sampled_from(" \r\n\t\v\f\x1c\x85\xa0\u2028\u3000ab"), st.characters(exclude_categories=["Cs"]))
    )
)
def test_texts_are_cleaned_alike_one_by_one_and_as_an_array(text):
    assert clean(text) == naive_clean(text)
    assert clean_array(pa.array(["", text, None]).slice(1)).to_pylist() == [naive_clean(text), None]


CHARACTERS = " \r\n\t\v\f\x1c\x85\xa0\u1680\u2003\u2028\u202f\u205f\u3000\u200b\u2019aé犬"


@given(
    st.lists(st.one_of(st.none(), st.text(st.sampled_from(CHARACTERS), max_size=4), st.integers(0, 130)), max_size=9)
)
def test_arrays_are_cleaned_as_each_text_is(parts):
    texts = [part if part is None or isinstance(part, str) else "a" * part + " b" for part in parts] + ["x" * 100]
    array = pa.array(["before", *texts, "behind"], pa.string()).slice(1, len(texts))
    assert clean_array(array).to_pylist() == [None if text is None else naive_clean(text) for text in texts]
    assert array.to_pylist() == texts


def test_an_array_of_clean_texts_is_not_copied():
    texts = pa.array(["a dog", "", "犬 und Hund", "x" * 200])
    assert clean_array(texts.slice(0, 3)).buffers()[2].address == texts.buffers()[2].address


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.lists(st.sampled_from(WEB), max_size=8).map("".join)), max_size=9))
@example(["httpſ://a.org", "http:/a.org", "https://", "http://a", "HTTPS://é", "httpss://a", "http:///a"])
def test_web_addresses_are_told_as_the_expression_tells_them(urls):
    array = pa.array(["before", *urls], pa.string()).slice(1)
    expected = pc.fill_null(pc.match_substring_regex(array, HTTP_URL), False)
    assert is_web(array).to_pylist() == expected.to_pylist()
