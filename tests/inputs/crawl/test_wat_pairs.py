"""WAT records become pairs; what is no pair is counted by its reason."""

import gzip
import io
from collections import Counter

import pytest

from curation.inputs.candidates import BATCH_ROWS
from curation.inputs.crawl.wat import read as read_wat
from curation.inputs.tables.columns import TableOptions
from tests.naive.inputs import naive_wat
from tests.support.checkout import SHARED
from tests.support.crawl_records import PAGE, dropped, envelope, image, of_warc, of_wat, record, wat

pytestmark = pytest.mark.kernels

needs_shared = pytest.mark.skipif(not (SHARED / "wat").is_dir(), reason="needs the shared data: wat and warc")


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
    packed = wat(*(image(f"{i}.jpg", alt="x") for i in range(BATCH_ROWS + 1)))
    assert [batch.num_rows for batch in read_wat(io.BytesIO(packed), "", TableOptions(), Counter())] == [BATCH_ROWS, 1]
    assert len(of_wat(packed)[0]) == BATCH_ROWS + 1


@pytest.mark.slow
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
