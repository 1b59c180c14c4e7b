"""What pages say of their use is the same through WAT and WARC, through kernels and parser."""

import json
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.inputs.crawl.wat import read as read_wat
from curation.inputs.crawl.wat import signals_of
from curation.schemas import IMAGE_PLACES
from tests.naive.page_signals import naive_pairs
from tests.support.checkout import SHARED
from tests.support.crawl_records import image as link
from tests.support.crawl_records import read_back, warc, wat
from tests.support.wat_records import envelope, fast, image, is_read_fast, of_links, slow

pytestmark = pytest.mark.kernels

SIGNALS = 4  # column of a row
DATA_NOAI = 32
needs_shared = pytest.mark.skipif(not (SHARED / "wat").is_dir(), reason="needs the shared data: wat and warc")

NAMES = ["robots", "ROBOTS", " Robots ", "x-robots-tag", "X-Robots-Tag", "tdm-reservation", "TDM-Reservation"]
NAMES += ["googlebot", "GoogleBot-News", "content-usage", "Content-Usage", "description", "viewport", "", "robots2"]
VALUES = [
    "noai",
    "NoImageAI",
    "noindex,noai",
    "noml",
    "none",
    " noai , x ",
    "bot: noimageindex",
    "1",
    " 1",
    "0",
    "01",
    "index",
]
VALUES += [
    "noa",
    "nonoai",
    "noai;",
    "all",
    "",
    "1,0",
    "train-ai=n",
    "search=y, train-ai=n;x=1",
    "train-ai=y",
    "train-ai=n,",
    "犬 no",
    "x" * 61 + ",noai",
    "x" * 62 + ",noai",
    "x" * 63 + ",TDM-",
]
stated = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4)


def of_parts(headers, metas, **more):
    """The record of a page with one image, of which all parts are JSON."""
    return of_links(image(alt="x"), headers=headers, head=f'{{"Metas":{metas}}}', **more)


def signals(block):
    (row,) = fast([block])[0]
    return row[SIGNALS]


@pytest.mark.parametrize(
    ("headers", "metas", "said"),
    [
        ("{}", "[]", 0),
        ('{"Server":"x"}', '[{"name":"robots","content":"noai, noimageai"}]', 3),
        (
            '{"X-Robots-Tag":"NOINDEX"}',
            '[{"content":"NOAI","name":"Robots"},{"name":"robots","content":"noimageai"}]',
            7,
        ),
        ('{"x-robots-tag":["noai","a: noindex"],"X-Robots-Tag":"noimageai"}', "[]", 7),
        ('{"tdm-reservation":"1"}', '[{"property":"og:title","content":"noai"}]', 16),
        ('{"tdm-reservation":"0"}', r'[{"name":"tdm-reservation","content":"\u0031"}]', 16),
        ("{}", r'[{"name":"ro\u0062ots","content":"n\u006fai"},{"name":"a"}]', 1),
        ("{}", r'[{"name":"robots","content":"\u006Eone"}]', 4),
        (
            '{"a":{"X-Robots-Tag":"noai"}}',
            '[[{"name":"robots","content":"noai"}],7,null,{"name":"robots","content":1}]',
            0,
        ),
        ("{}", r'[{"name":"\ud800","content":"noai"},{"name":"robots","content":"noai\ud800"}]', 0),
        ('{"Content-Usage":"search=y, train-ai=n"}', "[]", 512),
        ('{"content-usage":["train-ai=n","train-ai=y"]}', "[]", 0),
        ("{}", '[{"content":"noai","http-equiv":"X-Robots-Tag"},{"content":"noml","name":"googlebot"}]', 65),
        ("{}", r'[{"name":"robots","content":"\ud800,noai"}]', 1),
    ],
)
def test_a_record_says_what_its_headers_and_metas_say(headers, metas, said):
    block = of_parts(headers, metas)
    assert is_read_fast(block)
    assert signals(block) == said
    assert fast([block]) == slow([block])


@pytest.mark.parametrize(
    ("headers", "metas"),
    [
        ("null", '[{"name":"robots","content":"noai"}]'),
        ("[]", '[{"name":"robots","content":"noai"}]'),
        ('{"x-robots-tag":"noai","x-robots-tag":"all"}', "null"),
        ('{"X-Robots-Tag":"noai"}', '{"name":"robots","content":"noai"}'),
        ("7", '"noai"'),
        ("{}", '[],"Metas":[{"name":"robots","content":"noai"}]'),
        ('{},"Headers":{"X-Robots-Tag":"noai"}', "[]"),
    ],
)
def test_records_of_an_unusual_form_are_read_alike(headers, metas):
    block = of_parts(headers, metas)
    assert fast([block]) == slow([block])


def test_what_stands_elsewhere_in_a_record_says_nothing():
    robots = '{"name":"robots","content":"noai"}'
    block = of_links(image(alt="noai"), head=f'{{"Scripts":[{robots}],"Title":"noai","a":{{"Metas":[{robots}]}}}}')
    assert (signals(block), fast([block])) == (0, slow([block]))


def test_a_record_without_headers_and_metas_says_nothing():
    block = envelope(f"[{image(alt='x')}]").replace('"Headers"', '"Other"').encode()
    assert signals(block) == 0


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(stated, stated, st.booleans()), max_size=4))
@example([([], [("robots", "noai")], False), ([], [], False)])
def test_records_are_read_alike_by_kernels_and_parser(records):
    blocks = []
    for headers, metas, spaced in records:
        separators = (", ", ": ") if spaced else (",", ":")
        objects = [{"content": value, "name": name} for name, value in metas]
        parts = (json.dumps(each, separators=separators) for each in (dict(headers), objects))
        blocks.append(of_parts(*parts))
    assert fast(blocks) == slow(blocks)


odd = st.recursive(
    st.sampled_from(
        ['"noai"', '"robots"', '"1"', "1", "null", '"n\\u006fai"', '"\\ud800"', '"tdm-reservation"', "-", '"']
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: f"[{','.join(each)}]"),
        st.lists(
            st.tuples(st.sampled_from(["name", "content", "robots", "tdm-reservation", "Metas"]), inner), max_size=3
        ).map(lambda each: "{" + ",".join(f'"{name}":{value}' for name, value in each) + "}"),
    ),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(odd, odd)
def test_odd_headers_and_metas_are_read_alike(headers, metas):
    blocks = [of_parts(headers, metas), of_parts("{}", metas), of_parts(headers, "[]")]
    assert fast(blocks) == slow(blocks)


sizes = st.sampled_from(["", "5", "7px", "100%", "9" * 12, "-1"])


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(stated, stated, st.lists(st.tuples(sizes, st.booleans()), min_size=1, max_size=3))
def test_pages_say_the_same_through_warc_and_wat_and_to_the_naive_twin(headers, metas, images):
    headers = [(name.strip() or "x", value.encode("ascii", "ignore").decode()) for name, value in headers]
    keys = ["name" if number % 3 else "http-equiv" for number in range(len(metas))]
    named = [*zip(keys, metas, strict=True)]
    html = "".join(f'<META content="{value}" {key}="{name}">' for key, (name, value) in named)
    html += "".join(f'<img src=a alt=x{" data-noai" * own} width="{size}">' for size, own in images)
    lines = ["Content-Type: text/html; charset=utf-8", *(f"{name}: {value}" for name, value in headers)]
    of_warc = read_back(warc(html, "\r\n".join(lines)))
    found = [(row["signals"], row["stated_width"], row["stated_height"]) for row in of_warc]
    assert found == naive_pairs(html, headers)

    repeated = {name: [value for other, value in headers if other == name] for name, _ in headers}
    head = {"Metas": [{key: name, "content": value} for key, (name, value) in named]}
    of_wat = read_back(wat(*(link(alt="x") for _ in images), head=head, headers=repeated), read_wat)
    assert [row["signals"] for row in of_wat] == [signals & ~DATA_NOAI for signals, _, _ in found]
    assert all(row["stated_width"] is row["stated_height"] is None for row in of_wat)


def test_values_of_other_types_say_nothing():
    assert [signals_of(odd, odd) for odd in (None, 7, "noai", [7, None, "noai"], {"robots": {"noai": 1}})] == [0] * 5


@needs_shared
@pytest.mark.shared
def test_real_pages_say_what_they_say():
    said = Counter()
    for name in ("recipes", "fundus", "aut-warc-example", "whirlwind"):
        for row in read_back((SHARED / "wat" / f"{name}.warc.wat.gz").read_bytes(), read_wat):
            said[row["signals"] & ~sum(IMAGE_PLACES.values())] += 1
    assert (said[1 | 2], said[16]) == (1300, 68)


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize(("page", "links"), [("aut-example", "aut-warc-example"), ("whirlwind", "whirlwind")])
def test_a_crawl_says_the_same_through_warc_and_wat(page, links):
    through_warc = read_back((SHARED / "warc" / f"{page}.warc.gz").read_bytes())
    through_wat = read_back((SHARED / "wat" / f"{links}.warc.wat.gz").read_bytes(), read_wat)
    places = sum(bit for name, bit in IMAGE_PLACES.items() if "link" not in name)  # which WAT does not tell
    rows = [
        sorted((row["url"], row["text"], row["page_url"], row["signals"] & ~places) for row in read)
        for read in (through_warc, through_wat)
    ]
    assert rows[0] == rows[1]
