"""Deep, long and large WAT records are read alike and in bounded memory."""

import gzip
import io
import json
import tracemalloc
from collections import Counter

import pytest

from curation.inputs.candidates import BATCH_BYTES, BATCH_ROWS
from curation.inputs.crawl import warc, wat
from curation.inputs.crawl.page_candidates import LONGEST_BASE
from curation.inputs.tables.columns import TableOptions
from curation.kernels.wat.wat_images import MAX_DEPTH
from runtime.arrow import gather_rows
from tests.support.wat_records import fast, image, is_read_fast, of_links, slow

pytestmark = pytest.mark.kernels


def test_deep_nesting_breaks_nothing():
    for depth in (MAX_DEPTH - 8, MAX_DEPTH, 1000, 100_000):
        block = of_links(image(alt="x"), head=f'{{"a":{"[" * depth}{"]" * depth}}}')
        assert fast([block]) == slow([block])


@pytest.mark.slow
def test_many_links_of_a_page_with_a_long_url_need_little_memory():
    url = "https://a.org/" + "é" * (LONGEST_BASE - 20) + "/y"  # two bytes each
    block = of_links(*[image("b.jpg", alt="x")] * 20_000, url=json.dumps(url))
    tracemalloc.start()
    found = wat.pairs_in_blocks([warc.joined_blocks([block])], Counter())
    sizes = [batch.nbytes for batch in gather_rows(found, BATCH_ROWS, BATCH_BYTES, exact=True)]
    assert sum(sizes) > 20_000 * 16_000
    assert max(sizes) < 2 * BATCH_BYTES + 4096 * 16  # of strings, and a number a row
    assert tracemalloc.get_traced_memory()[1] < 8 * BATCH_BYTES
    tracemalloc.stop()


def test_more_images_than_a_batch_has_rows_come_from_one_page():
    block = of_links(*(image(f"{i}.jpg", alt=f"text {i}") for i in range(2 * BATCH_ROWS + 5)))
    assert is_read_fast(block)
    assert fast([block]) == slow([block])


def test_a_link_of_megabytes_is_a_link():
    block = of_links(image("x" * 3_000_000, alt="a", title="b"), image("data:" + "x" * 1_000_000, alt="c"))
    assert fast([block]) == slow([block])


@pytest.mark.slow
def test_a_small_file_that_unpacks_to_much_needs_little_memory():
    packed = gzip.compress(bytes(600 << 20), 9)
    assert len(packed) < 1 << 20
    tracemalloc.start()
    tally = Counter()
    assert list(wat.read(io.BytesIO(packed), "", TableOptions(), tally)) == []
    assert tally["files"] == 1
    assert tracemalloc.get_traced_memory()[1] < 5 * warc.MAX_BUFFERED_BYTES
    tracemalloc.stop()
