"""What pages and images say about their use is read as they say it."""

import pytest

from curation.inputs.crawl.html_pages import elements
from curation.inputs.crawl.page_candidates import image_signals
from curation.schemas import HOST_SIGNALS, SIGNALS
from tests.support.crawl_records import read_back, warc

pytestmark = pytest.mark.kernels


def said_in(signals):
    return {name for name, bit in SIGNALS.items() if signals & bit}


def said_by(html, *headers):
    packed = warc(html + "<img src=a alt=x>", "\r\n".join(["Content-Type: text/html", *headers]))
    (row,) = read_back(packed)
    return said_in(row["signals"])


def test_the_bits_of_signals_are_powers_of_two_that_stay_as_they_are():
    assert list(SIGNALS.items())[:3] == [("noai", 1), ("noimageai", 2), ("noindex", 4)]
    assert list(SIGNALS.items())[3:6] == [("noimageindex", 8), ("tdm-reservation", 16), ("data-noai", 32)]
    assert [*SIGNALS.items(), *HOST_SIGNALS.items()][6:] == [
        ("noml", 64),
        ("content-usage", 512),
        ("robots", 128),
        ("content-signal", 256),
        ("ai.txt", 1024),
    ]


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("", set()),
        ("<meta name=robots content='index, follow, max-image-preview:large'>", set()),
        ("<META NAME=Robots CONTENT='NoAI,noimageai'>", {"noai", "noimageai"}),
        ("<meta name=robots content='noML, index'>", {"noml"}),
        ("<meta name=robots content=noai><meta name=robots content='noimageindex'>", {"noai", "noimageindex"}),
        ("<meta name=robots content=none>", {"noindex"}),
        ("<meta name=description content='noai'><!--<meta name=robots content=noai>-->", set()),
        ("<meta name=tdm-reservation content=1>", {"tdm-reservation"}),
        ("<meta name=tdm-reservation content=0><meta name=tdm-reservation>", set()),
    ],
)
def test_metas_say_what_a_page_reserves(html, said):
    assert said_by(html) == said


def test_headers_say_it_too():
    assert said_by("", "X-Robots-Tag: otherbot: noindex, noai") == {"noindex", "noai"}
    assert said_by("<meta name=robots content=noimageai>", "TDM-Reservation:  1 ") == {"noimageai", "tdm-reservation"}
    assert said_by("", "tdm-reservation: 0", "X-Robots-Tag: all", "robots: noai2") == set()


def test_all_of_repeated_headers_and_metas_count():
    headers = ("X-Robots-Tag: noai", "x-robots-tag: a: noimageai", "tdm-reservation: 0", "TDM-Reservation: 1")
    metas = "<meta name=robots content=all><meta name=ROBOTS content=NONE>"
    assert said_by(metas, *headers) == {"noai", "noimageai", "noindex", "tdm-reservation"}


def test_a_page_speaks_for_all_its_images_and_an_image_for_itself():
    html = "<meta name=robots content=noai><img src=a alt=x title=y data-noai width=9 height=8><img src=b alt=z>"
    rows = read_back(warc(html))
    assert [said_in(row["signals"]) for row in rows] == [{"noai", "data-noai"}] * 2 + [{"noai"}]
    assert [(row["stated_width"], row["stated_height"]) for row in rows] == [(9, 8)] * 2 + [(None, None)]


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ("", (set(), None, None)),
        ("data-noai width=640 height='480px'", ({"data-noai"}, 640, 480)),
        ("width=100% height=auto", (set(), None, None)),
        ("width=' 12.5 ' height=9999999", (set(), 12, None)),
        ("width height=-1", (set(), None, None)),
        ("width=٣", (set(), None, None)),
        ("width=999999999999 height=999999", (set(), None, 999_999)),
        ("WIDTH=7PX HEIGHT='+3 px' DATA-NOAI", ({"data-noai"}, 7, 3)),
        ("width=0 width=5", (set(), 0, None)),
        ("height='1 2' width=1e3", (set(), None, None)),
    ],
)
def test_images_say_their_size_and_what_they_reserve(attributes, said):
    (image,) = elements(f"<img src=a {attributes}>".encode())
    signals, *size = image_signals(image.attributes, image.places)
    assert (said_in(signals), *size) == said
