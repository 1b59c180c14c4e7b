"""WARC pages are unpacked, decoded and read as browsers do."""

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.inputs.crawl import html_pages
from curation.inputs.crawl.page_candidates import LONGEST_BASE
from tests.support.crawl_records import PAGE, dropped, image, of_warc, of_wat, record, warc, wat


def test_images_of_a_page_are_candidates():
    html = """<base href="/i/"><img src=a.jpg alt="Köln &amp; Bonn" title='x
y'><IMG SRC="//b.org/b.png" data-image-title=c><img alt=e><!-- <img src=d alt=d> --><script>"<img src=f>"</script>"""
    pairs, tally = of_warc(warc(html))
    first = "https://example.org/i/a.jpg"
    assert pairs == [
        (first, "Köln & Bonn", "alt", PAGE),
        (first, "x y", "title", PAGE),
        ("https://b.org/b.png", "c", "data-image-title", PAGE),
    ]
    assert tally == {"files": 1, "records": 1, "pages": 1, "image_links": 2, "pairs": 3}


def test_an_attribute_without_value_is_empty():
    pairs, tally = of_warc(warc("<img src alt=x><img src=a.jpg alt>"))
    assert not pairs
    assert dropped(tally) == {"empty_url": 1, "empty_text": 1}


HTML = ("<p>" + "x" * 100_000 + "<img src=a.jpg alt=x>").encode()
CHUNKED = b"".join(b"%x;q\r\n%b\r\n" % (len(HTML[i : i + 999]), HTML[i : i + 999]) for i in range(0, len(HTML), 999))
BROTLI = bytes.fromhex(  # of "<p>hello</p>" 9,000 times and then an image
    "5bf4a501de711aacb9f931d53c6c6f70fa250c0d4ff994c1061c386461889bcbb5e0ddc7ce00560d667e1b6a5715f7af0d"
)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("Content-Encoding: gzip", gzip.compress(HTML)),
        ("Content-Encoding: x-gzip", gzip.compress(HTML)),
        ("Content-Encoding: deflate", zlib.compress(HTML)),
        ("Content-Encoding: deflate", zlib.compress(HTML)[2:-4]),
        ("Content-Encoding: gzip", HTML),
        ("Content-Encoding: br", HTML),
        ("Content-Encoding: br", BROTLI),
        ("Content-Encoding: UTF-8", HTML),
        ("Transfer-Encoding: chunked", CHUNKED + b"0\r\n\r\n"),
        ("Transfer-Encoding: chunked", CHUNKED),
        ("Transfer-Encoding: chunked", HTML),
        ("Content-Encoding: gzip, gzip", gzip.compress(gzip.compress(HTML))),
    ],
)
def test_an_encoded_page_is_unpacked_unless_it_was(encoding, body):
    packed = warc(body, f"Content-Type: text/html\r\n{encoding}")
    assert [text for _, text, _, _ in of_warc(packed)[0]] == ["x"]


def test_a_page_that_was_packed_too_often_is_counted():
    often = ", ".join(["gzip"] * (html_pages.MAX_CODINGS + 1))
    packed = warc(HTML, f"Content-Type: text/html\r\nContent-Encoding: {often}")
    assert dropped(of_warc(packed)[1]) == {"bad_encoding": 1}


def test_a_page_whose_pairs_would_repeat_a_long_url_is_counted():
    long = "/" + "a" * LONGEST_BASE
    for packed in (warc(f"<base href={long}><img src=a.jpg alt=x>"), warc("<img src=a.jpg alt=x>", url=PAGE + long)):
        pairs, tally = of_warc(packed)
        assert (pairs, dropped(tally)) == ([], {"bad_page_url": 1})
    for packed in (wat(image(alt="x"), head={"Base": long}), wat(image(alt="x"), url=PAGE + long)):
        pairs, tally = of_wat(packed)
        assert (pairs, dropped(tally)) == ([], {"bad_page_url": 1})


def test_only_the_first_bytes_of_a_head_are_read():
    late = "X: y\r\n" * (html_pages.MAX_HEAD_BYTES // 6) + "Content-Type: text/html"
    assert of_warc(warc(HTML, late)) == ([], {"files": 1, "records": 1})


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_page_that_cannot_be_unpacked_is_counted(encoding):
    packed = warc(b"\xff\xfe\xfd" * 99, f"Content-Type: text/html\r\nContent-Encoding: {encoding}")
    assert dropped(of_warc(packed)[1]) == {"bad_encoding": 1}


def test_only_http_responses_of_type_html_are_pages():
    html = "<img src=a.jpg alt=x>"
    packed = warc(html, "Content-Type: image/svg+xml") + warc(html, "X: y") + gzip.compress(record("request", b"GET /"))
    assert of_warc(packed) == ([], {"files": 1, "records": 3})
    assert dropped(of_warc(gzip.compress(record("response", b"garbage")))[1]) == {"bad_http": 1}
    assert len(of_warc(gzip.compress(record("response", b"HTTP/1.0 200\nContent-Type: text/html\n\n" + HTML)))[0]) == 1


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_page_is_an_exception(noise):
    found, tally = of_warc(warc(b"<img src=a.jpg alt=" + noise) + warc(noise, "Content-Type: text/html"))
    assert tally["records"] == 2
