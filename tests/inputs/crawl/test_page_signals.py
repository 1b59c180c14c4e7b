"""What pages and images say about their use is read as they say it."""

import pytest

from curation.inputs.crawl.html_elements import elements
from curation.inputs.crawl.page_signals import image_signals, page_signals


def signals(html, **headers):
    found = [each.attributes for each in elements(html.encode()) if each.tag == "meta"]
    return page_signals({name.replace("_", "-"): value for name, value in headers.items()}, found)


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("", set()),
        ("<meta name=robots content='index, follow, max-image-preview:large'>", set()),
        ("<META NAME=Robots CONTENT='NoAI,noimageai'>", {"noai", "noimageai"}),
        ("<meta name=robots content=noai><meta name=robots content='noimageindex'>", {"noai", "noimageindex"}),
        ("<meta name=robots content=none>", {"noindex"}),
        ("<meta name=description content='noai'><!--<meta name=robots content=noai>-->", set()),
        ("<meta name=tdm-reservation content=1>", {"tdm-reservation"}),
        ("<meta name=tdm-reservation content=0><meta name=tdm-reservation>", set()),
    ],
)
def test_metas_say_what_a_page_reserves(html, said):
    assert signals(html) == said


def test_headers_say_it_too():
    assert signals("", x_robots_tag="otherbot: noindex, noai") == {"noindex", "noai"}
    assert signals("<meta name=robots content=noimageai>", tdm_reservation=" 1 ") == {"noimageai", "tdm-reservation"}
    assert signals("", tdm_reservation="0", x_robots_tag="all") == set()


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ("", (set(), None, None)),
        ("data-noai width=640 height='480px'", ({"data-noai"}, 640, 480)),
        ("width=100% height=auto", (set(), None, None)),
        ("width=' 12.5 ' height=9999999", (set(), 12, None)),
        ("width height=-1", (set(), None, None)),
        ("width=٣", (set(), None, None)),
    ],
)
def test_images_say_their_size_and_what_they_reserve(attributes, said):
    (image,) = elements(f"<img src=a {attributes}>".encode())
    assert image_signals(image.attributes) == said
