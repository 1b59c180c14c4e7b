"""Matched images become pairs again."""

import pyarrow as pa

from curation.images.grouping import pairs_of
from curation.schemas import MATCHED, PAIRS


def test_copies_become_pairs_of_the_image_that_stays():
    text = {"text": "dog", "kind": "alt", "language": "en", "lid_score": 0.25, "entries": [1]}
    rows = [{"uid": uid, "url": uid, "page_url": None, "signals": 0, "candidates": [text]} for uid in "ab"]
    found = pairs_of(pa.RecordBatch.from_pylist(rows, MATCHED), pa.array(["a", "a"]))
    assert found.schema == PAIRS
    assert [(row["uid"], row["url"], row["text"]) for row in found.to_pylist()] == [
        ("a", "a", "dog"),
        ("a", None, "dog"),
    ]


def test_the_texts_of_copies_keep_their_pages():
    texts = [{"text": "dog", "page_url": None}, {"text": "Hund", "page_url": "http://de"}]
    rows = [
        {"uid": uid, "url": uid, "page_url": f"http://{uid}", "signals": 0, "shown": 5, "candidates": texts}
        for uid in "ab"
    ]
    found = pairs_of(pa.RecordBatch.from_pylist(rows, MATCHED), pa.array(["a", "a"]))
    assert found["shown"].to_pylist() == [5, 0, 5, 0]
    assert found["page_url"].to_pylist() == ["http://a", "http://de", "http://b", "http://de"]
