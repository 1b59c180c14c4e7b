"""The texts nearest to each centre are gathered from any batches, and shown on a page that runs nothing foreign."""

import numpy as np
import pyarrow as pa
import pytest

from curation.plugins.clustering.clip_cluster import cluster_lines, cluster_page
from curation.plugins.clustering.embeddings import TEXT
from curation.plugins.clustering.joining import COARSE, FINE, TEXTS_SHOWN, Nearest, nearest_rows
from runtime.terminal import plain
from tests.report.runs import Page
from tests.support.hostile_strings import ACTING, EVERY


def rows_of(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, pa.RecordBatch]:
    random = np.random.default_rng(seed)
    texts = [{"uid": f"u{each:04}", "text": f"text {each % 40}", "language": "en"} for each in range(number)]
    return (
        random.integers(0, 3, number),
        random.random(number).astype(np.float32),
        pa.RecordBatch.from_pylist(texts, TEXT),
    )


def naive_nearest(clusters, distances, texts, cluster: int, most: int) -> list[str]:
    rows = sorted(zip(distances.tolist(), texts.to_pylist(), clusters, strict=True), key=lambda row: row[0])
    own = [row["text"] for _, row, of in rows if of == cluster]
    return [*dict.fromkeys(own)][:most]


@pytest.mark.parametrize("sizes", [[500], [1, 0, 99, 400], [100] * 5])
def test_the_nearest_texts_are_those_of_all_batches_each_once(sizes):
    clusters, distances, texts = rows_of(500)
    found, begin = Nearest(), 0
    for size in sizes:
        some = slice(begin, begin + size)
        for kind in (FINE, COARSE):
            found.add(nearest_rows(kind, clusters[some], pa.array(distances[some]), texts.slice(begin, size)))
        begin += size
    for kind in (FINE, COARSE):
        expected = [naive_nearest(clusters, distances, texts, each, TEXTS_SHOWN[kind]) for each in range(3)]
        assert [[row["text"] for row in own] for own in found.of(kind, 4)] == [*expected, []]


def test_a_long_text_is_cut():
    texts = pa.RecordBatch.from_pylist([{"uid": "u", "text": "é" * 8000, "language": "fr"}], TEXT)
    rows = nearest_rows(FINE, np.zeros(1, np.int32), pa.array([0.5], pa.float32()), texts)
    assert rows["text"].to_pylist() == ["é" * 300]


def facts(**other) -> dict:
    text = {"text": "a dog", "language": "ar", "uid": "u", "distance": 0.5}
    return {
        "run": "0" * 32, "encoder": {"name": "all-MiniLM-L6-v2", "digest": "0"}, "tables": [],
        "parameters": {"fine": 3, "coarse": 2, "seed": 0}, "versions": {"numpy": "2", "numba": None},
        "images": 30, "without_embedding": 2, "trained_on": 30, "fine": 3, "coarse": 2, "inertia": 15.0,
        "embeddings": {"dimension": 8, "rows": 30, "unusable": 1, "repeated": 0, "of_other_images": 0},
        "fine_sizes": [10, 10, 10], "coarse_sizes": [20, 10], "coarse_of_fine": [0, 0, 1],
        "balance": dict.fromkeys(("fine", "coarse"), {"smallest": 0.5, "largest": 1.25, "deviation": 0.1}),
        "languages": {"en": [15, 5], "ar": [5, 5]}, "coarse_texts": [[text], [text]], "fine_texts": [[text]] * 2 + [[]],
    } | other  # fmt: skip


def hostile_facts() -> dict:
    """Return facts in which all that comes from outside is hostile."""
    texts = [{"text": text, "language": text, "uid": text, "distance": 0.5} for text in EVERY]
    encoder = {"name": EVERY[0], "digest": EVERY[1]}
    languages = {"en": [15, 5], "ar": [5, 5]}
    return facts(run=EVERY[2], encoder=encoder, tables=EVERY, languages=languages, coarse_texts=[texts, texts[::-1]])


def test_the_page_shows_sizes_texts_and_languages():
    page = cluster_page(facts())
    for shown in (
        "with 0.50 to 1.25 times the mean number of images",
        "66.7 % of the images",
        "English 75.0 %, Arabic 25.0 %",
        "all-MiniLM-L6-v2",
    ):
        assert shown in page
    assert '<li lang="ar" dir="auto"' in page


def test_what_comes_from_outside_is_text_and_nothing_else():
    attacked, usual = Page(cluster_page(hostile_facts())), Page(cluster_page(facts()))
    assert attacked.scripts == usual.scripts == []
    assert {name for name, _ in attacked.elements} == {name for name, _ in usual.elements}
    assert not [name for _, attributes in attacked.elements for name in attributes if name.startswith("on")]
    assert all(attacked.text.count(text[:100]) >= 2 for text in EVERY)
    assert ACTING.findall(plain(cluster_lines(hostile_facts()))) == []


def test_languages_beyond_the_table_are_added_up():
    from metadata.languages import LANGUAGES

    codes = [each.code for each in LANGUAGES][:40]
    assert "10 more" in cluster_page(facts(languages={code: [1, 1] for code in codes}))


def test_the_console_shows_a_text_of_each_coarse_cluster_also_of_an_empty_one():
    shown = cluster_lines(facts(coarse_sizes=[30, 0], coarse_texts=[facts()["coarse_texts"][0], []]))
    assert "30 images in 3 fine clusters, with 0.50 to 1.25 times the mean number of images" in shown
    assert shown.splitlines()[-1].split() == ["1", "0", "0.0", "%"]
