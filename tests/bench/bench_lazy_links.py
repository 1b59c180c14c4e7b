"""What lazy links, sets and noscripts add to src: images with a text and a link of the web, beside a parser of trees.

Arguments are WARC files, pages, or numbers of made-up pages. Each prints a line: pages, images with a text, those with
a link by src alone, by all that is looked at, by the definition over the tree of selectolax, and pages that differ.
"""

import io
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from curation.inputs.crawl import html_pages, warc
from curation.inputs.crawl.html_pages import link_of
from curation.inputs.crawl.warc import gzip_members
from tests.naive.image_links import naive_images, naive_link, naive_shows

TEXTS = ("alt", "title", "data-image-title")
# Ways in which sites write pictures; {} is a number, the same in a picture and its noscript.
WAYS = [
    *("<img src=/{}.jpg alt='t {}'>", "<img src=/{}.jpg data-src=/x{}.jpg srcset='/y.jpg 2x' alt=t>"),
    "<img class=lazyload src='data:image/gif;base64,R0lGODlhAQABAAAAACw=' data-src='/{}.jpg' alt='t {}'>",
    "<img data-lazy-src=/{}.jpg src=/transparent.png alt=t><noscript><img src=/{}.jpg alt=t></noscript>",
    "<img data-srcset='/{}-320.jpg 320w, /{}-640.jpg 640w' alt=t>\n<noscript><img src=/{}.jpg></noscript>",
    "<picture><source srcset='/{}.avif' type=image/avif><source srcset=/{}.webp><img src=data:, alt=t></picture>",
    "<picture><img srcset='/{},w_1.jpg 1x, /{},w_2.jpg 2x' alt=t></picture>\n<noscript><img src=/n{}.jpg></noscript>",
    "<img src=/1x1.gif alt=t><noscript><img src=/{}.jpg></noscript><img src=/spacer.gif width=1>",
    "<a href=x><img src='/blank.gif' data-original=/{}.jpg title='t {}'></a><noscript><img src=/px{}></noscript>",
    "<img data-src='{{{{ image }}}}' alt=t><img src=/placeholder.svg alt='t {}'><img alt=nothing><img src=/{}.jpg>",
]


def pages_of(argument: str) -> Iterator[tuple[bytes, dict[str, str]]]:
    """Yield pages and the fields of their heads."""
    if argument.isdigit():
        draw = random.Random(0)
        for _ in range(int(argument)):
            ways = [draw.choice(WAYS).format(*[draw.randrange(1000)] * 3) for _ in range(draw.randrange(1, 30))]
            yield ("<!doctype html><title>t</title>" + "<p>text ".join(ways)).encode(), {}
    elif not argument.endswith(".gz"):
        yield Path(argument).read_bytes(), {}
    else:
        file = io.BytesIO(Path(argument).read_bytes())
        for _, block, _ in warc.responses(gzip_members(file, Counter()), Counter()):
            stated, body = html_pages.headers(block)
            fields = dict(reversed(stated))
            if block.startswith(b"HTTP/") and html_pages.is_html(fields):
                yield html_pages.unpacked_body(body, fields), fields


def links(images, link_of) -> Counter[str]:
    """Return how often each link of the web is that of an image with a text."""
    found = [link_of(each) for each in images if any((each.get(name) or "").strip() for name in TEXTS)]
    return Counter(link for link in found if link is not None and naive_shows(link))


def main() -> None:
    utf8, read = [b""], html_pages.elements
    html_pages.elements = lambda page: read(utf8.append(page) or page)  # the last one is in UTF-8
    for argument in sys.argv[1:]:
        total: Counter[str] = Counter()
        for page, fields in pages_of(argument):
            utf8[:] = [b""]
            images = [image.attributes for image in html_pages.parse(page, fields).images]
            ours = links(images, link_of)
            tree = naive_images(LexborHTMLParser(utf8[-1]))
            theirs = links(tree, naive_link)
            total["pages"] += 1
            total["images with a text"] += sum(any((each.get(name) or "").strip() for name in TEXTS) for each in tree)
            total["by src"] += links(images, lambda each: each.get("src")).total()
            total["by all"] += ours.total()
            total["by all, of the tree"] += theirs.total()
            total["pages that differ"] += ours != theirs
        print(argument, dict(total), flush=True)


if __name__ == "__main__":
    main()
