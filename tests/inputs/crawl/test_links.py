"""Links mean the URLs that browsers would load."""

import random

import pytest

from curation.inputs.crawl.page_candidates import Links
from tests.naive.inputs import naive_resolve
from tests.support.crawl_records import PAGE, dropped, image, of_warc, of_wat, warc, wat

pytestmark = pytest.mark.kernels


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://a.org/x y?q#f", "https://a.org/x y?q#f"),
        ("HTTP://A.org/é.jpg?", "HTTP://A.org/é.jpg?"),
        ("//cdn.org/a.jpg", "https://cdn.org/a.jpg"),
        ("/a.jpg", "https://example.org/a.jpg"),
        ("a/b.jpg?x=1", "https://example.org/news/a/b.jpg?x=1"),
        ("../a.jpg", "https://example.org/a.jpg"),
        (" \n/a\t.jp\ng ", "https://example.org/a.jpg"),
        ("", "empty_url"),
        (" \t\n", "empty_url"),
        ("data:image/gif;base64,R0lGOD//", "not_http"),
        ("blob:https://a.org/1", "not_http"),
        ("http:///", "not_http"),
        ("http://[::1/a.jpg", "bad_url"),
        ("//[x/a.jpg", "bad_url"),
    ],
)
def test_a_link_means_the_url_that_a_browser_would_load(link, url):
    assert (Links(PAGE).resolve(link)[0] or Links(PAGE).resolve(link)[1]) == url == naive_resolve(PAGE, None, link)


PIECES = [
    "http:",
    "https:",
    "/",
    "/",
    "//",
    ".",
    "..",
    "./",
    "../",
    "?",
    "#",
    ";",
    ":",
    "[",
    "]",
    "a",
    "b.jpg",
    "é",
    " ",
]
PIECES += ["\t", "\\", "@", "%20", "data:", "x=1&y", "www.x.org", "\uff03", "\xa0", "\x1f", "HTTP"]


@pytest.mark.slow
def test_fast_links_are_what_urljoin_says():
    dice = random.Random(1)
    for _ in range(30_000):
        base, path, link = ("".join(dice.choices(PIECES, k=dice.randrange(8))) for _ in range(3))
        page = f"{dice.choice(['http', 'https'])}://host.org/{path}"
        try:
            url, reason = Links(page, base).resolve(link)
        except ValueError:
            continue
        assert (url or reason) == naive_resolve(page, base, link), (page, base, link)


def test_other_links_are_no_images():
    pairs, tally = of_wat(wat({"path": "A@/href", "url": "b.html", "alt": "x"}, image(alt="a")))
    assert [text for _, text, _, _ in pairs] == ["a"]
    assert tally["image_links"] == 1


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("/img/", "https://example.org/img/a.jpg"),
        ("//cdn.org/x", "https://cdn.org/a.jpg"),
        ("", "https://example.org/news/a.jpg"),
        ("javascript:0", "https://example.org/news/a.jpg"),
        ("http://[", "https://example.org/news/a.jpg"),
        (7, "https://example.org/news/a.jpg"),
    ],
)
def test_links_are_relative_to_the_base_of_the_page(base, url):
    assert of_wat(wat(image(alt="x"), head={"Base": base}))[0] == [(url, "x", "alt", PAGE)]


def test_links_that_are_no_objects_are_counted():
    pairs, tally = of_wat(wat(7, None, "IMG@/src", [image()], image(alt="x")))
    assert len(pairs) == 1
    assert dropped(tally) == {"bad_link": 4}


def test_angle_brackets_around_a_target_are_no_part_of_it():
    assert of_warc(warc("<img src=a.jpg alt=x>", url=f"<{PAGE}>"))[0][0][3] == PAGE
