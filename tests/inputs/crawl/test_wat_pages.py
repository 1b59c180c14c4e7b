"""The kernels resolve links and page URLs as urljoin does."""

import json
from urllib.parse import urljoin

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.inputs.crawl import wat
from curation.inputs.crawl.page_candidates import Links
from tests.support.wat_records import fast, image, of_links, slow

pytestmark = pytest.mark.kernels

LINKS = ["http:", "HTTPS:", "/", "//", ".", "..", "./", "?", "#", ";", ":", "[", "a", "b.jpg", "é", " ", "data:", "x+y"]


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(st.lists(st.lists(st.sampled_from([*LINKS, "\t", "\x7f", "ſ"]), max_size=7).map("".join), max_size=20))
def test_links_are_resolved_alike(links):
    block = of_links(*(image(link, alt="x") for link in links))
    assert fast([block]) == slow([block])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(LINKS), max_size=7).map("".join), st.sampled_from(["a.jpg", "/a.jpg", "//a.org/b"]))
def test_pages_that_are_read_off_are_those_that_urljoin_would_read(path, link):
    page = f"https://a.org{path}"
    try:
        expected = urljoin(page, link)
        resolved = Links(page).resolve(link)[0]
    except ValueError:
        return
    assert resolved == expected


PAGES = ["http://", "https://", "HTTP://", "a.org", "-.9", "/", "//", ".", "..", "a", "?", "#", ";", "<", ">", ":", "é"]
PAGES += ['"', "\x7f", "!", "~", "\\", "\n", " ", "[", "data:"]


@pytest.mark.slow
@settings(max_examples=800, deadline=None)
@given(st.lists(st.sampled_from(PAGES), max_size=9).map("".join), st.booleans(), st.sampled_from(["https://a.org", ""]))
@example("<http://a.org/b>", True, "")
@example("http://\n", True, "")
@example("", True, "http://a.org/b/.c?d>")
@example("", True, "http://a.org/.b/c")
def test_pages_are_read_off_alike(path, escaped, site):
    page = json.dumps(site + path, ensure_ascii=escaped).replace("/", r"\/" if escaped else "/")
    block = of_links(*(image(url, alt="x") for url in ("a.jpg", "/a.jpg", "//b.org/a.jpg", "../a.jpg")), url=page)
    assert fast([block, of_links(image(alt="y"))]) == slow([block, of_links(image(alt="y"))])


def test_plain_pages_need_no_look(monkeypatch):
    monkeypatch.setattr(wat, "Links", None)
    for page in ("http://a.org/", "https://a-1.org/b/c.d/.e?f=g/h", r"http:\/\/a.org\/b\u002fc"):
        (row,) = fast([of_links(image(alt="x"), url=f'"{page}"')])[0]
        assert row[0] == urljoin(json.loads(f'"{page}"'), "a.jpg")
