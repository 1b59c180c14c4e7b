"""The link of an image is its src, or what scripts put there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.inputs.crawl.html_pages import LINKS, largest_link, link_of
from tests.naive.image_links import naive_largest, naive_link
from tests.support.crawl_records import PAGE, dropped, of_warc, warc

pytestmark = pytest.mark.kernels

PARTS = [
    *(
        "a.jpg",
        "b",
        "https://c.org/w_1,h_2/d",
        "data:image/gif;base64,R0lG",
        "blank.gif",
        "{x}",
        "#",
        ",",
        ",,",
        " ",
        " ",
    ),
    *("\n", "\t", "(", ")", "( ,)", "1w", "320w", "640w", "0w", "1h", "0h", "1x", "2x", "1.5x", ".5x", "1.x", "+1x"),
    *("-1x", "-0x", "1e3x", "1e999x", "w", "x", "2X", "é", "1w 2h", "3x,", "a 1x, b 2x"),
]
SRCS_OF_OTHERS = [
    "data-x=/a.jpg",
    "x = '/b/c.png'",
    "data-gt-src=/f.png",
    "data-fallback='/d.jpg'",
    "y",
    "z=/blank.gif",
]
SETS = st.lists(st.sampled_from(PARTS), max_size=9).map("".join)
SRCS = [
    "",
    " ",
    "#",
    "//:0",
    "about:blank",
    "data:,",
    "http:a",
    "HTTPS://a.org/b",
    "spacer.png?x",
    "/clear/a",
    "a?blank",
]
SRCS += ["LazyLoad.gif", "blanket.jpg", "a-1x1-2.jpg", "ſpacer.gif", "a_blank", "javascript:x", "\n/a", "x{y}.jpg"]


@settings(deadline=None)
@given(SETS)
def test_the_largest_of_a_set_is_what_the_standard_reads(value):
    assert largest_link(value) == naive_largest(value)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(LINKS), st.one_of(st.sampled_from(SRCS + SRCS_OF_OTHERS), SETS), max_size=4))
def test_the_link_of_an_image_is_that_of_the_definition(attributes):
    assert link_of(attributes) == naive_link(attributes)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a,b 1x, c,d 2x,", "c,d"),
        ("a 1x,b 3x,c 2x", "b"),
        ("a, b,c", "a"),
        ("a,,,", "a"),
        ("a 100w, b 9x, c 200w 50h", "c"),
        ("a 1w 2x, b 0w, c 1q, d (,) 9x, e -1x", None),
        ("a 2x, data:image/png;base64,AA== 3x", "a"),
        ("", None),
    ],
)
def test_a_set_is_read_as_in_browsers(value, expected):
    assert largest_link(value) == expected


def test_images_that_wait_for_a_script_are_candidates():
    html = """<img src="data:image/gif;base64,R0lG" data-src=a.jpg alt=1>
<img data-lazy-src=b.jpg src=/x/blank.gif alt=2>
<picture><source srcset="c.webp 1x, d.webp 2x"><img alt=3></picture><img srcset="e.jpg 320w, f,w_2.jpg 640w" alt=4>
<img alt=5 src=data:,><noscript><img src=g.jpg></noscript><img src=h.jpg data-src=i.jpg srcset="j.jpg 2x" alt=6>
<img src=spacer.gif data-src="" alt=7><img src="data:," data-src="{{k}}" alt=8><img alt=9>"""
    pairs, tally = of_warc(warc(html))
    names = ["a.jpg", "b.jpg", "d.webp", "f,w_2.jpg", "g.jpg", "h.jpg", "spacer.gif"]
    folder = PAGE.rpartition("/")[0]
    assert pairs == [(f"{folder}/{name}", str(k), "alt", PAGE) for k, name in enumerate(names, 1)]
    assert (tally["image_links"], dropped(tally)) == (9, {"not_http": 1, "no_text": 1})


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ("data-img-url='/a.jpg'", "/a.jpg"),
        ("src=data:, data-td-src-property = https://a.org/b.JPEG?w=1", "https://a.org/b.JPEG?w=1"),
        ("src=/blank.gif data-zeen-src=//a.org/b.webp", "https://a.org/b.webp"),
        ("src='' nitro-lazy-src='/a b.png' data-ezsrc=/b.avif", "/b.avif"),
        ("src=/a.png data-cfsrc=/b.png", "/a.png"),
        ("data-cfsrc='/a.png' data-src='/b.png'", "/b.png"),
        ("data-gt-lazy-src='/flags/de.png'", None),
        ("data-fallback='/none.jpg'", None),
        ("data-x='a.jpg'", None),
        ("data-x='{&quot;a&quot;:&quot;/a.jpg'", None),
        ("data-x='/a.jpgs' data-y='/a.gi' data-z='/a.png/b' data-w='/ajpg'", None),
        ("data-x='/é.png&amp;b?a&amp;b' data-y", None),
        ("data-x='/é.png?a&amp;b' data-y", "/é.png?a&b"),
    ],
)
def test_another_attribute_that_looks_like_an_address_stands_for_a_missing_src(attributes, name):
    pairs, _ = of_warc(warc(f"<img {attributes} alt='a dog'>"))
    root = "https://example.org"
    assert [url for url, *_ in pairs] == ([name if "//" in name else root + name] if name else [])
