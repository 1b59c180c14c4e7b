"""Pages that are made to take long are read in a time that grows as they do."""

import time

import pytest

from curation.inputs.crawl import html_pages
from tests.support.crawl_records import of_warc, warc
from tests.support.nasty_pages import PAGES

NANOSECONDS = (
    2_000  # of a processor for a byte: an image of 21 bytes takes 300 to 850 a byte; squares would take minutes
)
AGAIN = 60_000  # times a piece is repeated: a parser of trees needs seconds to minutes for most of these pages


def read(name: str, times: int) -> tuple[int, float]:
    """Return the links and pages that could not be read of a page, and the seconds that this took."""
    packed = warc(PAGES[name](times), "Content-Type: text/html")
    begin = time.process_time()
    _, tally = of_warc(packed)
    return tally.get("image_links", 0) + tally.get(("dropped", "bad_page_url"), 0), time.process_time() - begin


@pytest.mark.parametrize("name", PAGES)
def test_a_nasty_page_gives_its_images(name):
    assert read(name, 1000)[0] > 0


@pytest.mark.parametrize("name", ["deep", "formatting again and again", "tables", "attributes", "svg"])
def test_a_long_nasty_page_gives_its_images(name):
    assert read(name, AGAIN)[0] == 1


@pytest.mark.soak
@pytest.mark.parametrize("name", PAGES)
def test_a_nasty_page_of_any_size_takes_a_time_that_its_bytes_bound(name):
    bytes_each = (len(PAGES[name](2000)) - len(PAGES[name](1000))) / 1000
    largest = int(0.9 * html_pages.MAX_PAGE_BYTES / bytes_each)
    sizes = [10_000, 20_000, 40_000, 80_000, largest]
    seconds = [read(name, times)[1] for times in sizes]
    print(f"{name:30}", *(f"{each:8.3f}" for each in seconds))
    assert seconds[-1] < NANOSECONDS * 1e-9 * bytes_each * largest
