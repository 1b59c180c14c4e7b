"""What is around an image gives it a place: its containers, its link, and the words in their names and its own."""

import random
from collections import Counter

import pytest
from selectolax.lexbor import LexborHTMLParser

from curation.inputs.crawl import html_pages
from curation.inputs.crawl.html_pages import elements
from curation.inputs.crawl.warc import gzip_members, responses
from curation.kernels.places import NAMES_OF_PLACES
from curation.schemas import IMAGE_PLACES
from tests.naive.page_places import CONTAINERS, naive_places
from tests.support.checkout import SHARED
from tests.support.crawl_records import read_back, warc

pytestmark = pytest.mark.kernels

needs_shared = pytest.mark.skipif(not (SHARED / "warc").is_dir(), reason="needs the shared data: warc")


def found(html: str | bytes) -> list[int]:
    page = html if isinstance(html, bytes) else html.encode()
    return [each.places for each in elements(page) if each.tag in ("img", "image")]


def of_tree(html: str | bytes) -> list[int]:
    return [naive_places(node) for node in LexborHTMLParser(html).css("img")]


CASES = [
    ("<img src=a>", []),
    ("<nav><img src=a></nav>", ["in menu"]),
    ("<header><div><img src=a></div></header>", ["in header"]),
    ("<div class='site footer'><img src=a></div>", ["in footer"]),
    ("<div id=siteFooter><img src=a></div>", ["in footer"]),
    ("<div id=SITEFOOTER class=footers><img src=a></div>", []),
    ("<DIV ID='x_FOOTER2'><IMG SRC=a></DIV>", ["in footer"]),
    ("<div class=ÄFooter><img src=a></div>", ["in footer"]),
    ("<div class=footerä><img src=a></div>", []),
    ("<div role=banner><img src=a></div>", ["in header"]),
    ("<div class=banner><img src=a></div>", ["in advertisement"]),
    ("<section role='contentinfo navigation'><img src=a></section>", ["in footer", "in menu"]),
    ("<a rel='noopener sponsored'><img src=a></a>", ["in advertisement"]),
    ("<a rel=icon class=x><img src=a></a>", []),
    ("<a class=social-links><b><img src=a></b></a>", ["in interface"]),
    ("<img src=a class=my-logo>", ["in interface"]),
    ("<article><header><img src=a></header></article>", ["in contents"]),
    ("<div class=entry-header><img src=a></div>", ["in contents"]),
    ("<header><article><img src=a></article></header>", ["in header", "in contents"]),
    ("<ul class=menu-items><img src=a></ul>", ["in menu"]),
    ("<article><div class=comments><img src=a></div></article>", ["in interface"]),
    ("<div class=comments><figure class=photo><img src=a></figure></div>", ["in contents", "in figure"]),
    ("<div class=figure><img src=a></div>", []),
    ("<aside class=ad><span class=logo><img src=a></span></aside>", ["in advertisement"]),
]


@pytest.mark.parametrize(("html", "places"), CASES)
def test_tags_and_words_in_names_say_where_an_image_is(html, places):
    assert found(html) == of_tree(html) == [sum(IMAGE_PLACES[place] for place in places)]


PAGES = [
    "<nav><img src=1></nav><img src=2><nav><img src=3><div class=ad></nav><img src=4></div><img src=5>",
    "<div class=ad><div><img src=1></div><img src=2></div><img src=3></div><img src=4>",
    "<a class=logo><img src=1><img src=2></a><a class=ad><img src=3><a><img src=4></a><img src=5>",
    "<nav><template></nav><div class=ad></template><img src=1></nav><img src=2>",
    "<nav><svg><footer><image></footer></svg><img src=1></nav><img src=2>",
    "<div class='ad\nlogo&amp;footer'><img src=1></div><div class=''id=ad class=logo><img src=2></div>",
    "<header>" * 9 + "<div>" * 90 + "<img src=1>" + "</div>" * 90 + "</header>" * 9 + "<img src=2>",
    "<nav>" + "<div>" * 60 + "</nav><img src=1>",
]


@pytest.mark.parametrize("html", PAGES)
def test_containers_end_where_those_of_the_tree_do(html):
    assert found(html) == of_tree(html)


def test_an_end_tag_far_from_its_start_ends_nothing():
    html = "<nav>" + "<div>" * 64 + "</nav><img src=1>"
    assert (found(html), of_tree(html)) == ([IMAGE_PLACES["in menu"]], [0])


WORDS = [word for words in NAMES_OF_PLACES.values() for word in words.split()]


def made_up(draw: random.Random, depth: int = 0, in_link: bool = False) -> str:
    """Return a page, or a part of one, of elements that end where they should."""
    if draw.random() < 0.25:
        return f"<img src=a {names(draw)}>"
    tag = draw.choice([each for each in CONTAINERS if each not in ("table", "form")] + ["span", "a"] * 2)
    if depth > 6 or (tag == "a" and in_link):
        return "x"
    inner = "".join(made_up(draw, depth + 1, in_link or tag == "a") for _ in range(draw.randrange(4)))
    return f"<{tag} {names(draw)}>{inner}</{tag}>"


def names(draw: random.Random) -> str:
    pieces = [*WORDS, *map(str.title, WORDS), *WORDS, "x", "é", "2", "-", "_", " ", "/", "&amp;"]
    attributes = draw.sample(["id", "class", "Class", "role", "rel", "title"], draw.choice([0, 0, 1, 2]))
    return " ".join(f'{each}="{"".join(draw.choices(pieces, k=draw.randrange(4)))}"' for each in attributes)


def test_places_of_made_up_pages_are_those_of_the_tree():
    draw = random.Random(1)
    seen = set()
    for _ in range(1500):
        html = "".join(made_up(draw) for _ in range(3))
        places = found(html)
        assert places == of_tree(html), html
        seen.update(places)
    assert len(seen) > 90


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize(("name", "images"), [("aut-example", 858), ("whirlwind", 13)])
def test_places_of_real_pages_are_those_of_the_tree(name, images):
    number = 0
    with (SHARED / "warc" / f"{name}.warc.gz").open("rb") as file:
        for _, block, _ in responses(gzip_members(file, Counter()), Counter()):
            fields, body = html_pages.headers(block)
            if html_pages.is_html(dict(fields)):
                page = html_pages.unpacked_body(body, dict(fields)).decode("utf-8", "replace")
                places = found(page)
                number += len(places)
                assert places == of_tree(page)
    assert number == images


def test_pairs_of_warc_files_have_the_places_of_their_image():
    html = "<footer><a href=/ class=logo><img src=1.jpg alt=a></a></footer><img src=2.jpg alt=b>"
    places = ["in home link", "in footer", "in interface"]
    assert [row["signals"] for row in read_back(warc(html))] == [sum(IMAGE_PLACES[place] for place in places), 0]
