"""The link around an image gives it a place; WAT and WARC agree with their definitions."""

import json
import random
from urllib.parse import urlsplit

import numpy as np
import pytest
from selectolax.lexbor import LexborHTMLParser

from curation.inputs.crawl.html_pages import elements
from curation.inputs.crawl.page_candidates import host_of, places_of_link
from curation.kernels.html import OF_LINK
from curation.kernels.places import FIGURE
from curation.kernels.wat.surrounding_links import AWAY, HOME, ODD, place_bits
from curation.schemas import IMAGE_PLACES
from runtime.kernels.masks import SLACK
from tests.support.crawl_records import envelope, image, read_back, warc
from tests.support.wat_records import fast, slow

pytestmark = pytest.mark.kernels

HOST = "www.shop.co.uk"


def naive_place(link: str, host: str) -> set[str]:
    """By urlsplit; None for what it reads otherwise than the pattern."""
    if not link.startswith(("/", "http://", "https://")):
        return set()
    parts = urlsplit(link)
    is_home = parts.path in ("", "/") and not link.partition("#")[0].count("?")
    found = {"in home link"} if is_home and (parts.netloc or link.startswith("/")) else set()
    is_picture = parts.path.rpartition(".")[2] in ("jpg", "jpeg", "png", "gif", "webp", "avif")
    if parts.netloc and naive_site(parts.hostname) != naive_site(host) and not is_picture:
        found.add("in link away")
    return found


def naive_site(host: str) -> list[str]:
    labels = host.split(".")
    return labels[-3:] if len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) < 4 else labels[-2:]


HOSTS = [
    HOST,
    "shop.co.uk",
    "a.org",
    "img.a.org",
    "a.b.org",
    "localhost",
    "co.uk",
    "x.co.uk",
    "shop.com.br",
    "a.b.c.de",
]
ENDS = ["", "/", "/#a", "#", "?a", "/?a", "/b", "/b.jpg", "/b.jpeg?c", "/jpeg", "/a.webp#b", "/.avif", "/b/", "/b.html"]
LINKS = [f"{begin}{host}{end}" for begin in ("http://", "https://", "//") for host in HOSTS for end in ENDS]
LINKS += ["/", "/#", "/?a", "/b", "", "a", "#", "mailto:a@b.org", "ftp://a.org/", "//"]


@pytest.mark.parametrize("host", HOSTS)
def test_places_are_those_of_the_definition(host):
    for link in LINKS[:-1]:
        expected = naive_place(link, host)
        assert places_of_link(link, host) == sum(IMAGE_PLACES[name] for name in expected), link
    assert places_of_link(" HTTPS://User:x@A.Org:80/\n", "b.org") == HOME | AWAY
    assert {places_of_link(link, host) for link in ("http://", "//[::1]/", "http:/", "https:a.org")} == {0}


def test_the_kernel_says_what_the_definition_says():
    chance, odd = random.Random(1), 0
    pieces = [*LINKS, *HOSTS, *"/.:?#@", "HTTP", "Co.UK", "é", " ", ".JPG", "www.", ".jpeg", "s://"]
    for _ in range(20_000):
        link, host = (
            "".join(chance.choices(pieces, k=chance.choice([1, 1, 2, 3]))),
            chance.choice([*HOSTS, "é.org", ""]),
        )
        given, hosts = (np.frombuffer(each.encode() + bytes(SLACK), np.uint8) for each in (link, host))
        found = place_bits(
            given, np.int64(0), np.int64(len(link.encode())), hosts, np.int64(0), np.int64(len(host.encode()))
        )
        odd += found == ODD
        assert found in (ODD, places_of_link(link, host)), (link, host)
    assert odd < 10_000


A = {"path": "A@/href", "url": "https://a.org/"}
BEHIND = [
    *(A, A | {"url": "/"}, A | {"text": "x"}, A | {"rel": "me", "title": "t"}, A | {"title": "t", "text": ""}),
    *({"path": "A@/href"}, {"url": "/", "path": "A@/href"}, A | {"url": 7}, A | {"url": "/é"}, A | {"a\\b": "/"}),
    *(A | {"url": '/"\\'}, A | {"x": {"y": []}}, {"path": "FORM@/action", "url": "/"}, {}, A | {"texts": "t"}),
    *(A | {"x": 'a"},{"path":"A@/href"', "text": "y"}, {"path": "A@/hrefs", "url": "/"}, A | {"url": "/" + "b" * 9999}),
]


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,", " : ")])
def test_both_readers_of_wat_see_the_link_that_follows_an_image(separators, ascii_only):
    chance = random.Random(2)
    some = [image(f"{k}.jpg", alt=f"a {k}") for k in range(3)]
    blocks = []
    for _ in range(300):
        tree = json.loads(envelope([chance.choice(chance.choice([some, BEHIND])) for _ in range(8)]))
        block = json.dumps(tree, separators=separators, ensure_ascii=ascii_only).encode()
        blocks.append(block.replace(b"/", rb"\/") if chance.random() < 0.5 else block)
    found = fast(blocks)
    assert found == slow(blocks)
    assert {row[4] for row in found[0]} == {0, HOME, HOME | AWAY}


PAGES = [
    "<a href=/ class=x><img src=1><b><img src=2></b></a><img src=3><a><img src=4></a><a href><img src=5>",
    "<a href=1><div><img src=1></div></a><a href=2><img src=2><a href=3><img src=3></a><img src=4>",
    "<figure><img src=1><figure><img src=2></figure><img src=3></figure><img src=4></figure><figure><img src=5>",
    "<figure><a href='?a=1&amp;b'><picture><source srcset=x><img></picture></a><figcaption>x</figcaption></figure>",
    "<a href=1><template><img src=0></a></template><img src=1></a><template><a href=2><figure></template><img src=2>",
    "<a href=1><svg><a href=2></a></svg><img src=1></a><img src=2>",
    "<svg><a href=1></a></svg><img src=1><p><a name=x><img src=2></a><img src=3 href=4>",
]


@pytest.mark.parametrize("html", PAGES)
def test_the_link_and_the_figure_around_an_image_are_those_of_the_tree(html):
    found = [
        (each.attributes.get(OF_LINK), each.places & FIGURE != 0)
        for each in elements(html.encode())
        if each.tag == "img"
    ]
    assert found == [around(node) for node in LexborHTMLParser(html).css("img")]


def around(node) -> tuple[str | None, bool]:
    parents = []
    while (node := node.parent) is not None:
        parents.append(node)
    links = [parent.attributes for parent in parents if parent.tag == "a"]
    hrefs = [link["href"] or "" for link in links[:1] if "href" in link]
    return (hrefs[0] if hrefs else None), any(parent.tag == "figure" for parent in parents)


def test_pairs_of_warc_files_have_the_place_of_their_image():
    html = "<a href='//b.org/'><img src=1.jpg alt=a></a><figure><img src=2.jpg alt=b></figure><img src=3.jpg alt=c>"
    assert [row["signals"] for row in read_back(warc(html))] == [HOME | AWAY, IMAGE_PLACES["in figure"], 0]


def test_the_host_of_a_page_is_without_user_and_port():
    assert [host_of(url) for url in ("http://A.org:8/b", "https://u:p@a.org", "a", "")] == ["a.org", "a.org", "", ""]
