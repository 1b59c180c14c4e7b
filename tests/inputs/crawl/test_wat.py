"""The kernels read WAT records as the JSON parser does: the same pairs in the same order, the same tallies."""

import io
import json
import random
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.inputs.crawl import warc, wat
from tests.support.checkout import SHARED
from tests.support.wat_records import PAGE, envelope, fast, image, is_read_fast, mutated, of_links, slow

pytestmark = pytest.mark.kernels

needs_shared = pytest.mark.skipif(not (SHARED / "wat").is_dir(), reason="needs the shared data: wat")
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


@pytest.mark.slow
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


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.lists(records, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_broken_records_are_read_alike(blocks, dice):
    blocks = [mutated(block, dice) for block in blocks]
    assert fast(blocks) == slow(blocks)


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
    monkeypatch.setattr(warc, "GROUP_BYTES", group)
    monkeypatch.setattr(wat, "BATCH_ROWS", 3)
    blocks = [of_links(*(image(f"{i}{k}.jpg", alt=f"text {i} {k}") for k in range(i % 7))) for i in range(40)]
    blocks[5:5] = [b"[", of_links("1", image("z.jpg", alt="in its place"))]
    assert fast(blocks) == slow(blocks)


@pytest.mark.parametrize("size", [1, 10, 56, 57, 63, 64, 65, 127, 128, 129, 1000])
@pytest.mark.parametrize("end", ["x", r"\n", "é", "\u3000", "\xa0", r"\u2028", r"\ud83d\ude00", " ", r"\\", r"\""])
def test_strings_of_any_length_are_read_alike(size, end):
    text = "a" * size + end
    block = of_links(f'{{"path":"IMG@/src","url":"/{text}","alt":"{text}","title":" {end}{text}"}}')
    assert fast([block]) == slow([block])


@pytest.mark.slow
@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize("name", ["recipes", "fundus", "aut-warc-example", "whirlwind"])
def test_real_records_are_read_alike_and_fast(name):
    packed = (SHARED / "wat" / f"{name}.warc.wat.gz").read_bytes()
    groups = warc.metadata(warc.gzip_members(io.BytesIO(packed), Counter()), Counter())
    found = [data[begin:end] for data, *spans in groups for begin, end, _ in zip(*spans, strict=True)]
    assert fast(found) == slow(found)
    assert all(is_read_fast(block) for block in found if rb"IMG@\/src" in block)
    dice = random.Random(name)
    broken = [mutated(block, dice) for block in found if rb"IMG@\/src" in block for _ in range(2)]
    assert fast(broken) == slow(broken)
