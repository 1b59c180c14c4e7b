import gzip
import io
import json
import random
import zlib

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.inputs.candidates import ROWS
from curation.inputs.cleaning import HTTP_URL, clean, clean_array, is_web
from curation.inputs.crawl import gzip_members
from curation.inputs.crawl.links import Links
from curation.inputs.crawl.warc import read as read_warc
from curation.inputs.crawl.wat import read as read_wat
from curation.schemas import CANDIDATES
from tests.naive.inputs import naive_clean, naive_resolve, naive_wat
from tests.support.checkout import SHARED

PAGE = "https://example.org/news/today.html"
needs_shared = pytest.mark.skipif(not (SHARED / "wat").is_dir(), reason="needs the shared data: wat and warc")


def record(kind, block, url=PAGE, length=None):
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nContent-Length: {length or len(block)}\r\n"
    content_type = "application/json" if kind == "metadata" else "application/http; msgtype=response"
    return f"{head}Content-Type: {content_type}\r\n\r\n".encode() + block + b"\r\n\r\n"


def envelope(links, url=PAGE, head=None):
    html = {"Head": head or {}, "Links": links}
    payload = {"HTTP-Response-Metadata": {"HTML-Metadata": html}}
    header = {"WARC-Target-URI": url}
    return json.dumps({"Envelope": {"Payload-Metadata": payload, "WARC-Header-Metadata": header}}).encode()


def image(url="a.jpg", **texts):
    return {"path": "IMG@/src", "url": url, **texts}


def wat(*links, **page):
    """One gzip member: the WAT record of a page with these links."""
    return gzip.compress(record("metadata", envelope(list(links), **page)))


def warc(html, headers="Content-Type: text/html; charset=utf-8", url=PAGE):
    """One gzip member: the WARC record of a page."""
    body = html.encode() if isinstance(html, str) else html
    return gzip.compress(record("response", f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n".encode() + body, url))


def result(batches):
    """The pairs (url, text, kind, page_url) and the tally of a reader's batches."""
    batches = list(batches)
    assert all(batch.schema == CANDIDATES for batch in batches)
    for batch in batches:
        batch.validate(full=True)
    rows = [row for batch in batches for row in batch.to_pylist()]
    pairs = [(row["url"], row["text"], row["kind"], row["page_url"]) for row in rows if row["url"] is not None]
    tally = {row["text"]: row["tally"] for row in rows if row["url"] is None}
    assert tally.get("pairs", 0) == len(pairs)
    assert batches[-1]["url"].null_count == batches[-1].num_rows
    return pairs, tally


def of_wat(packed):
    return result(read_wat(io.BytesIO(packed)))


def of_warc(packed):
    return result(read_warc(io.BytesIO(packed)))


def dropped(tally):
    return {name.removeprefix("dropped."): count for name, count in tally.items() if name.startswith("dropped.")}


# Links


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
        ("", "dropped.empty_url"),
        (" \t\n", "dropped.empty_url"),
        ("data:image/gif;base64,R0lGOD//", "dropped.not_http"),
        ("blob:https://a.org/1", "dropped.not_http"),
        ("http:///", "dropped.not_http"),
        ("http://[::1/a.jpg", "dropped.bad_url"),
        ("//[x/a.jpg", "dropped.bad_url"),
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


# Texts and addresses

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


# WAT


def test_each_text_of_an_image_is_a_candidate():
    pairs, tally = of_wat(wat(image(alt=" ein\r\nHund ", title="犬", **{"data-image-title": "dog", "id": "x"})))
    url = "https://example.org/news/a.jpg"
    assert pairs == [(url, "ein Hund", "alt", PAGE), (url, "犬", "title", PAGE), (url, "dog", "data-image-title", PAGE)]
    assert tally == {"files": 1, "records": 1, "pages": 1, "image_links": 1, "pairs": 3}


def test_what_is_no_pair_is_counted_once_by_reason():
    links = [image(alt=" \n"), image(alt=""), image(), image("", alt="x"), image("data:x", alt="x", title="y")]
    links += [
        image("//[", alt="x"),
        image(None, alt="x"),
        image(7, alt="x"),
        image(alt=7),
        image(alt=None),
        image(alt=[]),
    ]
    pairs, tally = of_wat(wat(*links))
    assert not pairs
    reasons = {"empty_text": 3, "no_text": 1, "empty_url": 2, "not_http": 2, "bad_url": 2, "bad_text": 2}
    assert dropped(tally) == reasons
    assert tally["image_links"] == 11


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


def test_escaped_slashes_are_slashes():
    block = envelope([image(alt="x")]).replace(b"/", rb"\/")
    assert len(of_wat(gzip.compress(record("metadata", block)))[0]) == 1


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b'["IMG@/src"]', "bad_record"),
        (b'7.5 "IMG@/src"', "bad_json"),
        (b'{"Envelope": "IMG@/src"}', "bad_record"),
        (b'{"Envelope": {"IMG@/src', "bad_json"),
        (b"[" * 100_000 + b'"IMG@/src"', "bad_json"),
        (envelope([image(alt="x")], url=None), "bad_record"),
        (envelope([image(alt="x")], url="http://[x/"), "bad_page_url"),
        (envelope({"path": "IMG@/src"}), "bad_record"),
        (envelope(None).replace(b"null", b'"IMG@/src"'), "bad_record"),
    ],
)
def test_a_broken_record_costs_only_itself(block, reason):
    pairs, tally = of_wat(gzip.compress(record("metadata", block)) + wat(image(alt="x")))
    assert len(pairs) == 1
    assert dropped(tally) == {reason: 1}


def test_links_that_are_no_objects_are_counted():
    pairs, tally = of_wat(wat(7, None, "IMG@/src", [image()], image(alt="x")))
    assert len(pairs) == 1
    assert dropped(tally) == {"bad_link": 4}


def test_a_lone_surrogate_costs_its_text_only():
    block = envelope([image(alt="\ud800"), image(alt="ok \U0001f600"), image("\udfff.jpg", alt="x")])
    pairs, tally = of_wat(gzip.compress(record("metadata", block)))
    assert [text for _, text, _, _ in pairs] == ["ok \U0001f600"]
    assert dropped(tally) == {"bad_utf8": 2}


def test_bytes_that_are_no_utf8_cost_their_text_only():
    block = envelope([image(alt="XX"), image(alt="ok")]).replace(b"XX", b"\xff\xfe")
    pairs, tally = of_wat(gzip.compress(record("metadata", block)))
    assert [text for _, text, _, _ in pairs] == ["ok"]
    assert dropped(tally) == {"bad_utf8": 1}


def test_many_pairs_come_in_batches():
    packed = wat(*(image(f"{i}.jpg", alt="x") for i in range(ROWS + 1)))
    assert [batch.num_rows for batch in read_wat(io.BytesIO(packed))] == [ROWS, 1, 5]
    assert len(of_wat(packed)[0]) == ROWS + 1


# Broken files

FOUR = [wat(image(f"{i}.jpg", alt=f"text {i}")) for i in range(4)]


def texts(packed):
    pairs, tally = of_wat(packed)
    return [text for _, text, _, _ in pairs], dropped(tally)


@pytest.mark.parametrize("at", [0, 3, 10, 60, -8, -5, -1])
def test_a_corrupt_member_costs_only_itself(at):
    broken = bytearray(FOUR[1])
    broken[at] ^= 0xFF
    found, reasons = texts(FOUR[0] + bytes(broken) + FOUR[2] + FOUR[3])
    # The last four bytes are the length, the four before them the checksum: both are checked.
    assert found == ["text 0", "text 2", "text 3"]
    assert reasons == {"corrupt_gzip": 1}


@pytest.mark.parametrize("chunk", [1, 7, 100, gzip_members.CHUNK])
def test_no_flipped_byte_costs_more_than_its_member(chunk, monkeypatch):
    monkeypatch.setattr(gzip_members, "CHUNK", chunk)
    whole = b"".join(FOUR)
    dice = random.Random(chunk)
    for _ in range(40):
        broken = bytearray(whole)
        at = dice.randrange(3, len(whole))
        broken[at] ^= 1 << dice.randrange(8)
        found, _ = texts(bytes(broken))
        assert set(found) <= {f"text {i}" for i in range(4)}
        assert len(found) >= 3


def test_a_corrupt_member_that_seems_to_go_on_is_none_that_was_cut():
    stored = bytearray(gzip.compress(gzip.decompress(FOUR[1]), 0))
    stored[11:15] = b"\xff\xff\0\0"  # its one block now claims the 64 KB that follow
    assert texts(FOUR[0] + bytes(stored) + FOUR[2]) == (["text 0", "text 2"], {"corrupt_gzip": 1})


def test_bytes_between_members_are_skipped():
    assert texts(FOUR[0] + b"garbage \x1f\x8b\x08 more" + FOUR[1]) == (["text 0", "text 1"], {"corrupt_gzip": 1})
    assert texts(FOUR[0] + b"\0" * 1000 + FOUR[1] + b"\0") == (["text 0", "text 1"], {})


def test_a_cut_file_gives_all_records_before_the_cut():
    start = len(FOUR[0] + FOUR[1])
    for end in range(start + 1, start + len(FOUR[2])):
        assert texts(b"".join(FOUR)[:end]) == (["text 0", "text 1"], {"truncated": 1})


@pytest.mark.parametrize("content", [b"", b"\x1f", b"hello " * 99, gzip.compress(b"hello " * 99), gzip.compress(b"")])
def test_a_file_that_is_no_warc_is_counted(content):
    assert of_wat(content)[1] in ({"files": 1, "dropped.bad_file": 1}, {"files": 1, "dropped.truncated": 1})
    assert of_warc(content)[0] == []


def test_a_file_compressed_in_one_go_is_read_piece_by_piece(monkeypatch):
    monkeypatch.setattr(gzip_members, "WHOLE", 1000)
    monkeypatch.setattr(gzip_members, "CHUNK", 100)
    plain = b"".join(map(gzip.decompress, FOUR)) + record("metadata", b"0" * 50_000)
    assert texts(gzip.compress(plain, 1)) == ([f"text {i}" for i in range(4)], {})


def test_a_file_compressed_in_one_go_gives_what_is_before_the_break(monkeypatch):
    monkeypatch.setattr(gzip_members, "WHOLE", 1000)
    monkeypatch.setattr(gzip_members, "CHUNK", 100)
    noise = random.Random(1).randbytes(50_000)
    plain = b"".join(map(gzip.decompress, FOUR)) + record("metadata", noise)
    found, reasons = texts(gzip.compress(plain)[:-20_000])
    assert found == [f"text {i}" for i in range(4)]
    assert reasons == {"truncated": 1, "bad_record": 1}


def test_a_disk_that_fails_is_no_broken_record(monkeypatch):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 100:
                raise OSError("disk failed")
            return super().read(50)

    for whole in (gzip_members.WHOLE, 10):
        monkeypatch.setattr(gzip_members, "WHOLE", whole)
        with pytest.raises(OSError, match="disk failed"):
            list(read_wat(Failing(gzip.compress(random.Random(1).randbytes(1000)))))


def test_a_record_shorter_than_it_says_is_counted():
    short = gzip.compress(record("metadata", envelope([image(alt="x")]), length=9999))
    no_length = gzip.compress(gzip.decompress(FOUR[0]).replace(b"Content-Length", b"Content-Width"))
    found, reasons = texts(short + no_length + FOUR[1])
    assert found == ["text 1"]
    assert reasons["bad_record"] >= 2


# WARC


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


@pytest.mark.parametrize(
    ("headers", "start", "codec"),
    [
        ("Content-Type: text/html; charset=Shift_JIS", "", "shift_jis"),
        ("content-type: TEXT/HTML;Charset='EUC-KR'", "", "euc-kr"),
        ("Content-Type: text/html", '<meta charset="gb2312">', "gb18030"),
        ("Content-Type: text/html", '<meta http-equiv=x content="text/html; charset=euc-jp">', "euc-jp"),
        ("Content-Type: text/html; charset=no-such", "", "utf-8"),
        ("Content-Type: text/html; charset=hex", "", "utf-8"),
        ("Content-Type: application/xhtml+xml", "", "utf-8"),
        ("Content-Type: text/html; charset=utf-8", "<meta charset=big5>", "utf-8"),
        ("Content-Type: text/html; charset=latin1", "", "utf-16"),
        ("Content-Type: text/html", "<meta charset=utf-16>", "utf-8"),
    ],
)
def test_the_page_is_read_in_its_charset(headers, start, codec):
    pairs, _ = of_warc(warc(f"{start}<img src=a.jpg alt=東京>".encode(codec), headers))
    assert [text for _, text, _, _ in pairs] == ["東京"]


@pytest.mark.parametrize("label", ["ISO-8859-1", "latin1", "us-ascii", "windows-1252"])
def test_latin1_means_windows_1252_as_in_browsers(label):
    packed = warc(b"<img src=a.jpg alt='\x93caf\xe9\x94'>", f"Content-Type: text/html; charset={label}")
    assert of_warc(packed)[0][0][1] == "“café”"


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


def test_angle_brackets_around_a_target_are_no_part_of_it():
    assert of_warc(warc("<img src=a.jpg alt=x>", url=f"<{PAGE}>"))[0][0][3] == PAGE


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_page_is_an_exception(noise):
    found, tally = of_warc(warc(b"<img src=a.jpg alt=" + noise) + warc(noise, "Content-Type: text/html"))
    assert tally["records"] == 2


# Real files


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize("name", ["recipes", "fundus", "aut-warc-example", "whirlwind"])
def test_real_wat_files_read_as_by_the_naive_reader(name):
    packed = (SHARED / "wat" / f"{name}.warc.wat.gz").read_bytes()
    assert of_wat(packed)[0] == naive_wat(packed)


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize(("page", "links"), [("aut-example", "aut-warc-example"), ("whirlwind", "whirlwind")])
def test_a_crawl_gives_the_same_pairs_through_warc_and_wat(page, links):
    through_warc, _ = of_warc((SHARED / "warc" / f"{page}.warc.gz").read_bytes())
    through_wat, _ = of_wat((SHARED / "wat" / f"{links}.warc.wat.gz").read_bytes())
    assert through_warc
    assert sorted(through_warc) == sorted(through_wat)
