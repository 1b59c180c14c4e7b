"""Titles outside the main namespace are recognised by Wikipedia's prefixes."""

import pytest

from metadata.languages import is_wikipedia
from metadata.wikipedia.pageviews import _MAIN_PAGES, _NAMES, Namespaces, _is_main_page_of
from tests.naive.titles import MAIN_PAGES, NAMESPACES


@pytest.mark.parametrize(
    ("wikipedia", "prefix"),
    [
        ("en", "Talk"),
        ("en", "talk"),
        ("en", "USER_TALK"),
        ("en", " Wikipedia "),
        ("en", "WP"),
        ("en", "fr"),
        ("en", "zh-yue"),
        ("en", "Commons"),
        ("de", "Datei"),
        ("de", "File"),
        ("de", "Benutzerin Diskussion"),
        ("ko", "특수"),
        ("ja", "利用者‐会話"),
        ("tr", "Özel"),
        ("ru", "Обсуждение участника"),
        ("th", "คุยกับผู้ใช้"),
        ("ar", "نقاش المستخدم"),
        ("hi", "सदस्य वार्ता"),
        ("fa", "ویکی‌پدیا"),
        ("zh", "維基百科"),
        ("map_bms", "User"),
    ],
)
def test_a_namespace_is_known_in_english_and_in_the_language_whatever_its_case(wikipedia, prefix):
    assert Namespaces().hold(wikipedia, prefix)


@pytest.mark.parametrize(
    ("wikipedia", "prefix"),
    [
        ("en", "Star Trek"),
        ("en", "Datei"),
        ("de", "21"),
        ("ja", "Re"),
        ("en", "Talk show"),
        ("en", ""),
        ("tg", "ISO 639"),
    ],
)
def test_the_beginning_of_a_title_is_no_namespace(wikipedia, prefix):
    assert not Namespaces().hold(wikipedia, prefix)


def test_names_that_are_added_count_in_their_wikipedia_only():
    added = Namespaces({"zh-yue": ["Extra", ""]})
    assert added.hold("zh_yue", "extra")
    assert added.hold("zh_yue", "Talk")
    assert not added.hold("zh", "Extra")
    assert not added.hold("zh_yue", "")


@pytest.mark.parametrize(
    ("wikipedia", "title"), [("en", "Main Page"), ("sw", "Mwanzo"), ("fa", "صفحهٔ اصلی"), ("guw", "Main Page")]
)
def test_a_main_page_is_known_in_its_own_wikipedia(wikipedia, title):
    assert _is_main_page_of(wikipedia, title)
    assert _is_main_page_of("fr", title) == (title == "Main Page")


def test_the_table_names_wikipedias_of_the_language_table_only():
    assert not [code for code in {*_NAMES, *_MAIN_PAGES} if code != "*" and not is_wikipedia(code)]


def test_the_table_holds_what_the_naive_twin_knows():
    known = Namespaces()
    assert all(known.hold(code or "simple", name) for code, names in NAMESPACES.items() for name in names)
    assert all(_is_main_page_of(code or "simple", title) for code, titles in MAIN_PAGES.items() for title in titles)
