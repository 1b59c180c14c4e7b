"""The number for what is around an image is the one of the naive twin, on made-up, nasty and real pages."""

import random
import time
from collections import Counter

import pytest

from curation.inputs.crawl import html_pages
from curation.inputs.crawl.html_pages import elements
from curation.inputs.crawl.warc import gzip_members, responses
from curation.kernels.surroundings import FIELDS
from tests.naive.surroundings import naive_surroundings
from tests.support.checkout import SHARED
from tests.support.crawl_records import read_back, warc

pytestmark = pytest.mark.kernels


def found(html: str | bytes) -> list[int]:
    page = html if isinstance(html, bytes) else html.encode()
    return [each.surroundings for each in elements(page) if each.tag in ("img", "image")]


def named(number: int) -> dict[str, int]:
    """Return the values of the fields that are not 0."""
    values = {}
    for name, size in FIELDS.items():
        number, values[name] = divmod(number, size)
    assert number == 0
    return {name: value for name, value in values.items() if value}


IMG = "<img src=a.jpg alt='Black dog'>"
CASES = [
    (IMG, {}),
    (f"{IMG} the dog", {"words behind": 3}),
    (f"{IMG}<p>The BLACK dog barks</p>", {"words behind": 4}),
    (f"{IMG}<!-- black --><script>black</script><b>d</b>og", {"words behind": 1}),
    (f"{IMG}<img src=b>black dog", {"images beside it": 1}),
    (f"<h2>Dogs</h2><h3>Dog, black</h3><h1>Black cats</h1>{IMG}", {"heading": 3, "first h1": 3}),
    (f"<h3>Dog, black</h3>{IMG}", {"heading": 5}),
    (f"<a href=x>black {IMG} dog</a> cat", {"link text": 5, "words behind": 3}),
    (f"<figure>{IMG}<figcaption>A black dog</figcaption></figure>", {"words behind": 4, "caption": 4}),
    (f"<figure>{IMG}</figure><figcaption>A black dog</figcaption>", {"words behind": 4}),
    ("<img alt=黒い犬>犬「黒」", {"words behind": 3}),
    ("<img alt='dog &amp; cat'>dog&nbsp;amp", {"words behind": 3}),
    ("<img src=a>dog", {}),
]


@pytest.mark.parametrize(("html", "fields"), CASES)
def test_words_near_an_image_say_how_its_text_relates_to_them(html, fields):
    assert naive_surroundings(html.encode()) == found(html)
    assert named(found(html)[0]) == fields


def test_the_fields_of_a_block_are_about_the_other_images_in_it():
    item = "<div class=item-{}><a href=x><img src=a width={} alt='{}'> one two</a></div>"
    items = [item.format(k, width, text) for k, (width, text) in enumerate([(9, "one"), (99, "one"), (100, "six")])]
    html = f"<ul>{''.join(items)}</ul><img src=b alt=alone>"
    *block, alone = map(named, found(html))
    common = {"images beside it": 2, "words of images beside it": 1, "bytes of images beside it": 2}
    assert {name: block[0][name] for name in common} == common
    some = [{name: each.get(name, 0) for name in ("small images beside it", "equal texts beside it")} for each in block]
    assert [[*each.values()] for each in some] == [[2, 2], [2, 2], [4, 0]]
    assert all(each["linked images beside it"] == 4 for each in block)
    assert alone == {}


def test_a_page_has_the_column_and_a_page_of_a_wat_has_null():
    rows = read_back(warc(f"<h1>Black dog</h1>{IMG}<img src=b alt=cat title=cats>"))
    assert [named(row["surroundings"]).get("first h1") for row in rows] == [5, 1, 1]


PIECES = [
    *("<div class=a1>", "<div class='a2'>", "<ul>", "</ul>", "</div>", "<figure>", "</figure>", "<a href=x>", "</a>"),
    *("<h1>", "</h1>", "<h2 id=x>", "</h2>", "<figcaption>", "</figcaption>", "<template>", "</template>", "<svg>"),
    *("</svg>", "<!-- dog -->", "<script>dog</script>", "<style>cat</style>", "<p>", "<b>", "</b>", "&amp;", "&", "<"),
    *(
        "dog",
        "Dog",
        "black",
        "cat",
        " ",
        " ",
        ", ",
        "é",
        "犬",
        "。",
        "“",
        "猫犬",
        "x" * 300,
        "</",
        "<!x>",
        "\xa0",
        "1 ",
    ),
    *("<img src=a alt='dog'>", "<img src=b alt='Black dog' width=9>", "<img alt='' title='cat dog' height=99px>"),
    *("<img src=c>", "<img>", "<image alt=犬 width=100>", "<img alt='<b>dog &eacute;é'>", "<nav class=m><section>"),
]


@pytest.mark.parametrize("seed", range(8))
def test_made_up_pages_have_the_numbers_of_the_twin(seed):
    draw = random.Random(seed)
    seen = set()
    for _ in range(150):
        html = "".join(draw.choices(PIECES, k=draw.randrange(60)))
        assert found(html) == naive_surroundings(html.encode()), html
        seen.update(found(html))
    assert len(seen) > 100


NASTY = {
    "no head and no body": f"dog{IMG}",
    "nothing closed": f"<h1><a><figure><figcaption>dog{IMG}black",
    "cut in a tag": f"{IMG}black <a href='",
    "cut in a character": IMG.encode() + "犬".encode()[:2],
    "bytes of no encoding": b"<img alt='\xe4\xf6 \xff\xe2'>\xe4\xf6 \xef\xe3\x80\xc2",
    "long texts": f"<img alt='{'dog ' * 2000}'>{'dog ' * 2000}<img alt='{'x' * 8000}'>{'x' * 8000}",
    "long texts without spaces": f"<img alt='{'犬' * 8000}'>{'犬' * 8000}",
    "a heading far before": f"<h1>black dog</h1>{'<p>x</p>' * 5000}{IMG}",
    "many in one block": "<ul>" + IMG * 300 + "</ul>",
}


@pytest.mark.parametrize("html", NASTY.values(), ids=NASTY)
def test_nasty_pages_have_the_numbers_of_the_twin(html):
    page = html if isinstance(html, bytes) else html.encode()
    assert found(page) == naive_surroundings(page)
    assert found(page)


def test_a_hundred_thousand_images_in_one_block_take_a_time_that_their_number_bounds():
    def seconds(number: int) -> float:
        page = ("<ul>" + f"<li><a href=x>{IMG}dog</a></li>" * number).encode()
        begin = time.process_time()
        numbers = found(page)
        assert len(numbers) == number
        assert {*map(str, map(named, numbers[1:-1]))} == {str(named(numbers[1]))}
        return time.process_time() - begin

    seconds(100)
    assert seconds(100_000) < 30 * seconds(10_000) + 1


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "junk").is_dir(), reason="needs the shared data: junk")
@pytest.mark.parametrize(("name", "pages"), [("junk/pages", 638), ("warc/aut-example", 140)])
def test_real_pages_have_the_numbers_of_the_twin(name, pages):
    read = different = 0
    with (SHARED / f"{name}.warc.gz").open("rb") as file:
        for _, block, _ in responses(gzip_members(file, Counter()), Counter()):
            fields, body = html_pages.headers(block)
            if html_pages.is_html(dict(fields)):
                page = html_pages.unpacked_body(body, dict(fields))
                read += 1
                different += found(page) != naive_surroundings(page)
    assert (read, different) == (pages, 0)
