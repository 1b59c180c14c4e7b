"""Grouping the texts of an image: the streaming group equals a plain grouping, however the rows come in batches."""

import numpy as np
import pyarrow as pa
import pytest
from naive_images import naive_group

from curation.images import DUPLICATE, OVER_LIMIT, group
from curation.schemas import IMAGES, SORTED_CANDIDATES
from metadata.tallies import Tallies


def candidates(*rows) -> pa.Table:
    """Return sorted candidates of (uid, text, page_url) or with url too; the hash is the text's length."""
    columns = {name: [] for name in SORTED_CANDIDATES.names}
    for uid, text, page_url, *url in rows:
        values = {
            "uid": uid,
            "text": text,
            "page_url": page_url,
            "url": url[0] if url else f"http://{uid}",
            "kind": "alt",
        }
        for name in columns:
            columns[name].append(len(text) if name == "hash" else values.get(name))
    table = pa.table(columns, schema=SORTED_CANDIDATES)
    return table.sort_by([("uid", "ascending"), ("hash", "ascending"), ("text", "ascending")])


def grouped(table: pa.Table, max_texts: int = 64, rows: int = 1000) -> tuple[list[dict], Tallies]:
    tallies = Tallies()
    batches = list(group(table.combine_chunks().to_batches(rows), max_texts, tallies))
    return pa.Table.from_batches(batches, IMAGES).to_pylist(), tallies


def test_the_texts_of_an_image_come_together():
    images, tallies = grouped(candidates(("a", "x", None), ("b", "yy", None), ("a", "zzz", None)))
    assert [(i["uid"], [t["text"] for t in i["texts"]]) for i in images] == [("a", ["x", "zzz"]), ("b", ["yy"])]
    assert (tallies["images"], tallies["texts"]) == (2, 3)


def test_exact_duplicates_count_once_and_the_smallest_page_stays():
    images, tallies = grouped(candidates(("a", "x", "http://p/2"), ("a", "x", "http://p/10"), ("a", "yy", None)))
    assert images[0]["page_url"] == "http://p/10"
    assert len(images[0]["texts"]) == 2
    assert tallies[DUPLICATE] == 1


def test_of_many_texts_those_with_the_smallest_hash_stay():
    rows = [("a", "x" * n, None) for n in range(1, 10)]
    images, tallies = grouped(candidates(*rows, *rows), max_texts=3)
    assert [t["text"] for t in images[0]["texts"]] == ["x", "xx", "xxx"]
    assert (tallies[DUPLICATE], tallies[OVER_LIMIT]) == (3, 12)


def test_tally_rows_are_added_and_give_no_image():
    row = dict.fromkeys(SORTED_CANDIDATES.names) | {"text": "dropped.empty_text", "tally": 7}
    images, tallies = grouped(pa.Table.from_pylist([row, row], SORTED_CANDIDATES))
    assert images == []
    assert tallies["dropped.empty_text"] == 14


def test_no_rows_give_no_images():
    assert grouped(SORTED_CANDIDATES.empty_table())[0] == []
    assert list(group([], 64, Tallies())) == []


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 1000])
def test_the_group_equals_a_plain_one_however_rows_are_cut(rows):
    rng = np.random.default_rng(rows)
    texts = ["x", "é", "猫", "🐕 dog", "", "xx", "x\u0301", "zz"]
    pages = [None, "http://p/1", "http://p/ü", "http://p"]
    table = candidates(
        *(
            (f"u{rng.integers(40):02}", texts[rng.integers(8)], pages[rng.integers(4)], f"http://u/{rng.integers(3)}")
            for _ in range(400)
        )
    )
    images, tallies = grouped(table, max_texts=4, rows=rows)
    expected, dropped = naive_group(table.to_pylist(), max_texts=4)
    assert images == expected
    assert (tallies[DUPLICATE], tallies[OVER_LIMIT]) == dropped
