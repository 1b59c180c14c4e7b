"""The fast reader of WAT records gives what the slow one gives: the same pairs in the same order, the same tallies."""

import gzip
import io
import json
import random
import tracemalloc
from collections import Counter
from urllib.parse import urljoin

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.inputs.candidates import BYTES, ROWS
from curation.inputs.crawl import gzip_members, warc, warc_records, wat, wat_by_kernels, wat_by_parser
from curation.inputs.crawl.links import Links
from curation.inputs.crawl.page_images import pairs_of_page
from curation.inputs.crawl.page_pairs import from_rows
from curation.kernels.warc_heads import UNUSUAL
from curation.kernels.wat.links import DEEPEST, scan
from curation.kernels.wat.names import IMAGE_COLUMNS, PAGE_COLUMNS, READ
from runtime.arrow.batching import gather, gather_rows
from runtime.kernels.windows import SLACK
from tests.support.checkout import SHARED

PAGE = "https://example.org/news/today.html"
needs_shared = pytest.mark.skipif(not (SHARED / "wat").is_dir(), reason="needs the shared data: wat")


def slow(blocks):
    """The pairs and the tally of records, by the JSON parser."""
    tally = Counter()
    found = (wat_by_parser.page_of(block, tally) for block in blocks)
    rows = (row for page in found if page and page.images for row in pairs_of_page(page, tally))
    return read_back(from_rows(rows, tally), tally)


def grouped(blocks):
    return (warc_records.joined(group) for group in gather(blocks, len, warc_records.GROUP))


def fast(blocks):
    """The same by the kernels."""
    tally = Counter()
    return read_back(wat_by_kernels.read(grouped(blocks), tally), tally)


def read_back(given, tally):
    rows = []
    for batch in given:
        batch.validate(full=True)
        rows += zip(*(column.to_pylist() for column in batch.columns), strict=True)
    return rows, +tally


def is_read_fast(block):
    """Say whether the kernels read a record without help."""
    data = np.frombuffer(block + bytes(SLACK), np.uint8)
    page, images = np.empty((1, PAGE_COLUMNS), np.int32), np.empty((len(data), IMAGE_COLUMNS), np.int32)
    stack, stops = np.empty(DEEPEST, np.int64), np.empty(len(data), np.int32)
    scan(data, np.array([0]), np.array([len(block)]), stack, stops, page, images)
    return bool(page[0, READ])


def envelope(links, url=f'"{PAGE}"', head="{}"):
    """The JSON of a record; all parts are JSON."""
    html = f'{{"Head":{head},"Links":{links}}}'
    payload = f'{{"HTTP-Response-Metadata":{{"Headers":{{"a":[1,-20,true,null,false]}},"HTML-Metadata":{html}}}}}'
    return f'{{"Envelope":{{"Payload-Metadata":{payload},"WARC-Header-Metadata":{{"WARC-Target-URI":{url}}}}}}}'


def image(url="a.jpg", **texts):
    return json.dumps({"path": "IMG@/src", "url": url, **texts})


def of_links(*links, **page):
    return envelope(f"[{','.join(links)}]", **page).encode("utf-8", "surrogatepass")


# Records as they are made

PIECES = [
    "http:",
    "https://",
    "a.org",
    "/",
    "//",
    "\\/",
    ".",
    "..",
    "./",
    "?",
    "#",
    ";",
    ":",
    "[",
    " ",
    "é",
    "犬",
    "😀",
]
PIECES += ["data:", "x", "b.jpg", r"\u00e9", r"\ud83d\ude00", r"\ud800", r"\"", r"\\", r"\n", r"\t", r"\u0000", "\x7f"]
PIECES += ["\xa0", "\u3000", "\u2028", "\x85", "\u2019", r"\u2028", r"\u0020", r"\x", "\n", "A", "IMG@/src", "y" * 70]
strings = st.lists(st.sampled_from(PIECES), max_size=6).map(lambda pieces: f'"{"".join(pieces)}"')
scalars = st.sampled_from(
    ["1", "-0", "01", "1.5", "1e9", "9" * 30, "-", "null", "true", "nul", "NaN", '""', "[]", "{}"]
)
values = st.one_of(strings, strings, strings, scalars, st.sampled_from(['[{"path":"IMG@/src"}]', '{"a":{"b":[]}}']))
names = st.sampled_from(["url", "alt", "title", "data-image-title", "text", "path", r"p\u0061th", "alts", "Url", ""])
paths = st.sampled_from([r"IMG@\/src", "IMG@/src", "IMG@/src", "A@/href", r"IMG@\u002fsrc", "IMG@/srcs", r"\/"])
attributes = st.one_of(
    st.tuples(names, values).map(lambda pair: f'"{pair[0]}":{pair[1]}'),
    strings.map(lambda value: f'"url": {value}'),
    strings.map(lambda value: f'"alt":{value}'),
)
links = st.builds(
    lambda path, before, after: "{" + ",".join([*before, f'"path":"{path}"', *after]) + "}",
    paths,
    st.lists(attributes, max_size=1),
    st.lists(attributes, max_size=3),
)
commas = st.sampled_from([",", ",", ", ", ""])
lists = st.builds(
    lambda comma, found, end: f"[{comma.join(found)}{end}]",
    commas,
    st.lists(st.one_of(links, links, links, scalars), max_size=4),
    st.sampled_from(["", "", "", ","]),
)
pages = st.one_of(st.just(json.dumps(PAGE)), st.just(r'"http:\/\/a.org\/b\/"'), strings, scalars)
heads = st.one_of(st.just("{}"), strings.map(lambda base: f'{{"Base":{base}}}'), values)
records = st.builds(envelope, lists, pages, heads).map(lambda text: text.encode("utf-8", "surrogatepass"))


@settings(max_examples=600, deadline=None)
@given(st.lists(records, max_size=4))
@example([])
def test_records_of_all_kinds_are_read_alike(blocks):
    assert fast(blocks) == slow(blocks)


@pytest.mark.parametrize(
    "other",
    [
        '{"path":"A@/href","url":"x","text":"\\" }"}',
        '{"path":"A@/href","path":"IMG@/src","alt":"x"}',
        '{"path":"A@/href","a":"b","path":"IMG@/src","alt":"x"}',
        '{"path":"A@/href" "a":"b"}',
        '{"path":"A@/href","a":"b"',
        '{"path":"A@/href","a":"b",}',
        '{"path":"A@/href""a":"b"}',
        '{"path":"A@/href","a" :"b", "c": "d" }',
        '{"path":"A@/href","a":"\\ud800"}',
        '{"path":"A@/href","a":"\\x"}',
        '{"path":"A@/href","a":"\t"}',
        '{"path":"A@/href","a\\"b":"c"}',
        '{"path":"IMG@\\u002fsrc","alt":"x"}',
        '{"path":"A@\\u002fhref","alt":"x"}',
        '{"path":"A@/href","a":{"path":"IMG@/src"}}',
        '{"url":"x","path":"A@/href"}',
        '{"path":"A@/href","a":1}',
        "{}",
        "[]",
        '"x"',
    ],
)
@pytest.mark.parametrize("comma", [",", " ,\n", "", ",,"])
def test_links_that_are_passed_over_are_read_alike(other, comma):
    link = image(alt="a text")
    blocks = [envelope(f"[{comma.join(found)}]").encode() for found in ([other, link], [link, other], [other] * 2)]
    assert fast(blocks) == slow(blocks)


@settings(max_examples=400, deadline=None)
@given(st.lists(records, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_broken_records_are_read_alike(blocks, dice):
    blocks = [mutated(block, dice) for block in blocks]
    assert fast(blocks) == slow(blocks)


def mutated(block, dice):
    block = bytearray(block)
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(block))
        change = dice.randrange(3)
        if change == 0:
            block[at] = dice.choice(b'"\\{}[],: \n\0\xff\xc3u/0a')
        elif change == 1:
            del block[at : at + dice.randrange(1, 5)]
        else:
            block[at:at] = block[dice.randrange(len(block)) :][: dice.randrange(20)]
    return bytes(block) or b" "


@pytest.mark.parametrize(
    "block",
    [
        of_links(image(alt="x", title="y z"), image("https://b.org/é", alt="犬"), '{"path":"A@/href","url":"#"}'),
        of_links(r'{"path":"IMG@\/src","url":"http:\/\/b.org\/c","alt":"\u00e9\ud83d\ude00\n"}', head='{"Base":"/i/"}'),
        of_links(' { "alt" : "x" , "path" : "IMG@/src" } ', head='{"Metas":[{"a":"b"},[[1]],{}]}'),
        of_links(),
    ],
)
def test_usual_records_need_no_parser(block):
    assert is_read_fast(block)
    assert fast([block]) == slow([block])


@pytest.mark.parametrize(
    "block",
    [
        of_links(image(), '{"path":"IMG@/src","path":"A@/href","alt":"x"}'),
        of_links('{"path":"A@/href","alt":"x","path":"IMG@/src"}'),
        of_links(r'{"p\u0061th":"IMG@/src","alt":"x"}'),
        of_links(r'{"path":"IMG@\u002fsrc","alt":"x"}', image(alt="y")),
        of_links('{"path":"IMG@/src","alt":"x","alt":"y"}'),
        of_links('{"path":"IMG@/src","alt":null}'),
        of_links(r'{"path":"IMG@/src","alt":"\ud800x"}', image(alt="y")),
        of_links("7", image(alt="y")),
        of_links(image(alt="y")) + b" ",
        of_links(image(alt="y")) + b"}",
        of_links(image(alt="y"))[:-1],
        of_links(image(alt="y"), '{"a":01}'),
        of_links(image(alt="y"), head="[" * 200 + "]" * 200),
        of_links(image(alt="y"), url="7"),
        of_links(image(alt="y"), head='{},"Links":[]'),
    ],
)
def test_what_is_unusual_is_left_to_the_parser(block):
    assert not is_read_fast(block)
    assert fast([block]) == slow([block])


def test_bytes_that_are_no_utf8_are_left_to_the_parser():
    blocks = [of_links(image(alt="a")), of_links(image(alt="XX"), image(alt="b")).replace(b"XX", b"\xff"), of_links()]
    assert fast(blocks) == slow(blocks)
    assert [row[1] for row in fast(blocks)[0]] == ["a", "b"]


@pytest.mark.parametrize("group", [1, 500, 2000, 1 << 20])
def test_records_are_read_alike_however_they_are_grouped(group, monkeypatch):
    monkeypatch.setattr(warc_records, "GROUP", group)
    monkeypatch.setattr(wat_by_kernels, "ROWS", 3)
    blocks = [of_links(*(image(f"{i}{k}.jpg", alt=f"text {i} {k}") for k in range(i % 7))) for i in range(40)]
    blocks[5:5] = [b"[", of_links("1", image("z.jpg", alt="in its place"))]
    assert fast(blocks) == slow(blocks)


@pytest.mark.parametrize("size", [1, 10, 56, 57, 63, 64, 65, 127, 128, 129, 1000])
@pytest.mark.parametrize("end", ["x", r"\n", "é", "\u3000", "\xa0", r"\u2028", r"\ud83d\ude00", " ", r"\\", r"\""])
def test_strings_of_any_length_are_read_alike(size, end):
    text = "a" * size + end
    block = of_links(f'{{"path":"IMG@/src","url":"/{text}","alt":"{text}","title":" {end}{text}"}}')
    assert fast([block]) == slow([block])


# Links

LINKS = ["http:", "HTTPS:", "/", "//", ".", "..", "./", "?", "#", ";", ":", "[", "a", "b.jpg", "é", " ", "data:", "x+y"]


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
    monkeypatch.setattr(wat_by_kernels, "Links", None)
    for page in ("http://a.org/", "https://a-1.org/b/c.d/.e?f=g/h", r"http:\/\/a.org\/b\u002fc"):
        (row,) = fast([of_links(image(alt="x"), url=f'"{page}"')])[0]
        assert row[0] == urljoin(json.loads(f'"{page}"'), "a.jpg")


# What is made to break it


def test_deep_nesting_breaks_nothing():
    for depth in (DEEPEST - 8, DEEPEST, 1000, 100_000):
        block = of_links(image(alt="x"), head=f'{{"a":{"[" * depth}{"]" * depth}}}')
        assert fast([block]) == slow([block])


def test_many_links_of_a_page_with_a_long_url_need_little_memory():
    url = "https://a.org/" + "x" * 100_000 + "/y"
    block = of_links(*[image("b.jpg", alt="x")] * 2000, url=json.dumps(url))
    tracemalloc.start()
    sizes = [
        batch.nbytes for batch in gather_rows(wat_by_kernels.read(grouped([block]), Counter()), ROWS, BYTES, exact=True)
    ]
    assert sum(sizes) > 2000 * 200_000
    assert max(sizes) < 2 * BYTES
    assert tracemalloc.get_traced_memory()[1] < 8 * BYTES
    tracemalloc.stop()


def test_more_images_than_a_batch_has_rows_come_from_one_page():
    block = of_links(*(image(f"{i}.jpg", alt=f"text {i}") for i in range(2 * ROWS + 5)))
    assert is_read_fast(block)
    assert fast([block]) == slow([block])


def test_a_link_of_megabytes_is_a_link():
    block = of_links(image("x" * 3_000_000, alt="a", title="b"), image("data:" + "x" * 1_000_000, alt="c"))
    assert fast([block]) == slow([block])


def test_a_small_file_that_unpacks_to_much_needs_little_memory():
    packed = gzip.compress(bytes(600 << 20), 9)
    assert len(packed) < 1 << 20
    tracemalloc.start()
    (tallies,) = wat.read(io.BytesIO(packed))
    assert dict(zip(tallies["text"].to_pylist(), tallies["tally"].to_pylist(), strict=True))["files"] == 1
    assert tracemalloc.get_traced_memory()[1] < 5 * gzip_members.WHOLE
    tracemalloc.stop()


# Heads of records


def by_fastwarc(read, packed, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(warc_records, "read_heads", lambda data, begins, ends, heads: heads.fill(UNUSUAL))
        return [batch.to_pylist() for batch in read(io.BytesIO(packed))]


def record(kind, block):
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {PAGE}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(block) + block + b"\r\n\r\n"


@pytest.mark.parametrize("kind", ["metadata", "request", "response", "warcinfo", "unheard"])
@pytest.mark.parametrize("read", [wat.read, warc.read])
def test_heads_are_read_as_fastwarc_reads_them(kind, read, monkeypatch):
    whole = record(kind, of_links(image(alt="x")))
    places = [*range(whole.index(b"{")), *range(len(whole) - 6, len(whole))]
    inserted = [b"\n", b"\r\n", b" ", b"\r\nContent-Length: 5", b"\r\nWARC-Type: response", b"\r", b"\xff", b"0"]
    dice = random.Random(kind)
    changed = [whole, record(kind, b""), whole + whole, whole + b"\r\n", whole[:-1]]
    for _ in range(250):
        at = dice.choice(places)
        changed.append(whole[:at] + dice.choice([b"", *inserted]) + whole[at + dice.randrange(2) :])
    for data in changed:
        packed = gzip.compress(data, 1)
        found = [batch.to_pylist() for batch in read(io.BytesIO(packed))]
        assert found == by_fastwarc(read, packed, monkeypatch), data


def test_a_usual_record_needs_no_fastwarc(monkeypatch):
    monkeypatch.setattr(warc_records, "ArchiveIterator", None)
    (pairs, _) = wat.read(io.BytesIO(gzip.compress(record("metadata", of_links(image(alt="x"))))))
    assert pairs["text"].to_pylist() == ["x"]


# Real files


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize("name", ["recipes", "fundus", "aut-warc-example", "whirlwind"])
def test_real_records_are_read_alike_and_fast(name):
    packed = (SHARED / "wat" / f"{name}.warc.wat.gz").read_bytes()
    groups = warc_records.metadata(gzip_members.members(io.BytesIO(packed), Counter()), Counter())
    found = [data[begin:end] for data, *spans in groups for begin, end in zip(*spans, strict=True)]
    assert fast(found) == slow(found)
    assert all(is_read_fast(block) for block in found if rb"IMG@\/src" in block)
    dice = random.Random(name)
    broken = [mutated(block, dice) for block in found if rb"IMG@\/src" in block for _ in range(2)]
    assert fast(broken) == slow(broken)
