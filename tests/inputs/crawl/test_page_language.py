"""A WARC page states the language of its texts: by `lang` of `<html>`, or of an image itself."""

import pytest

from metadata.languages import of_tag
from tests.support.crawl_records import image, read_back, read_wat, warc, wat


def languages(html):
    return [row["page_language"] for row in read_back(warc(html))]


@pytest.mark.parametrize(
    ("html", "stated"),
    [
        ("<html><img src=a alt=x>", [None]),
        ("<!doctype html><HTML LANG='de-AT'><img src=a alt=x title=y>", ["de", "de"]),
        ("<html lang=de><img src=a alt=x lang=fr><img src=b alt=x>", ["fr", "de"]),
        ("<html lang=de><img src=a alt=x lang><img src=b alt=x lang=x-none>", [None, None]),
        ("<html><body><html lang=de><html lang=fr><img src=a alt=x>", ["de"]),
        ("<html lang=''><img src=a alt=x>", [None]),
        ("<!--<html lang=de>--><template><html lang=de></template><div lang=fr><img src=a alt=x></div>", [None]),
        ("<image src=a alt=x lang='pt_BR'>", ["pt"]),
        ("<html lang=zh-Hant><meta charset=big5><img src=a alt=x>", ["zh"]),
    ],
)
def test_the_language_of_an_image_is_its_own_or_that_of_the_page(html, stated):
    assert languages(html) == stated


def test_wat_files_state_no_language():
    page = wat(image(alt="x", lang="de"), head={"Metas": [{"name": "language", "content": "de"}]})
    assert [row["page_language"] for row in read_back(page, read_wat)] == [None]


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("de", "de"),
        (" DE-at ", "de"),
        ("zh-Hant-TW", "zh"),
        ("nb", "no"),
        ("iw", "he"),
        ("fil-PH", "tl"),
        ("yue", "zh"),
        ("simple", None),
        ("german", None),
        ("x-klingon", None),
        ("tlh", None),
        ("und", None),
        ("other", None),
        ("", None),
        ("-", None),
    ],
)
def test_a_tag_means_the_language_of_its_primary_subtag(tag, code):
    assert (of_tag(tag).code if of_tag(tag) else None) == code
