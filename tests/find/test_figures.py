"""clip-find counts, draws and sums what a naive search finds in the rows of a run."""

from collections import Counter
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, GateOptions, Options, curate, rates_of
from curation.plugins.find.entry_lookup import (
    MAX_NEAREST,
    NothingFound,
    edit_distance,
    nearest_entries,
    other_spellings,
)
from curation.plugins.find.figures import ALL, EXAMPLES, find_figures
from curation.plugins.find.printed import facts_of, text_of
from curation.plugins.find.searching import Search
from curation.plugins.find.selecting import find
from curation.run.results import Results
from metadata import Entries
from runtime.engine import engine_of
from runtime.engine.local import Local
from tests.naive.searches import naive_beside, naive_expected, naive_found
from tests.support.finished_run import LISTS
from tests.support.in_turn import in_turn
from tests.support.searched_run import searched_run

IDS = {(code, entry): id for id, (code, entry) in enumerate((c, e) for c, entries in LISTS.items() for e in entries)}
SEARCHES = [
    {"entry": ["dog"]},
    {"entry": ["dog", "猫"]},
    {"entry": ["a"], "language": ["en"], "text": "(?i)photo|cat"},
    {"language": ["ja", "no"]},
    {"domain": ["shop.co.uk"]},
    {"domain": ["bücher.example", "page:xn--bcher-kva.example"]},
    {"domain": ["page:é.example", "page:10.0.0.1", "me.github.io"], "entry": ["a", "photo"]},
    {"text": r"<script>|\x1b"},
    {"text": "dog", "language": ["ja"]},
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return searched_run(tmp_path_factory.mktemp("searched") / "run", number=150)


def naive_conditions(asked: dict) -> dict:
    entries = {entry for entry in asked.get("entry", ())}
    ids = [id for (_, entry), id in IDS.items() if entry in entries] if entries else None
    spelled = [name.rpartition(":") for name in asked.get("domain", ())]
    domains = [f"{before}{sign}{name.encode('idna').decode()}" for before, sign, name in spelled]
    more = {name: asked[name] for name in ("language", "url", "uid") if name in asked}
    return {"ids": ids, "domain": domains, "pattern": asked.get("text"), **more}


def of_one(run, number: int) -> list[dict]:
    """Searches for one image, by URL and by uid."""
    images = Random(number).sample(run.images, 2)
    return [{"url": [image["url"] for image in images]}, {"uid": [images[0]["uid"], "no such uid"]}]


def require_figures(run, asked: dict) -> None:
    figures = find_figures(in_turn(), Results.open(run.path), Search(**asked))
    conditions = naive_conditions(asked)
    images = naive_found(run.images, **conditions)
    kept = naive_found(run.kept, **conditions)
    assert figures.images == len(images)
    assert figures.kept == len(kept)
    texts = Counter(text["language"] for _, texts in images for text in texts)
    assert figures.sums.by_language("texts") == dict(sorted(texts.items()))
    of_images = Counter(code for _, texts in images for code in {text["language"] for text in texts})
    assert figures.sums.by_language("images_of") == dict(sorted(of_images.items()))
    of_kept = Counter(row["language"] for row, _ in kept)
    assert figures.sums.by_language("kept") == dict(sorted(of_kept.items()))


@pytest.mark.parametrize("asked", SEARCHES, ids=str)
def test_figures_and_rows_are_those_of_a_naive_search(run, asked):
    require_figures(run, asked)
    conditions = naive_conditions(asked)
    rows = find(Results.open(run.path), **asked).to_pylist()
    assert rows == [row for row, _ in naive_found(run.kept, **conditions)]
    drawn = find(Results.open(run.path), **asked, matched=True).to_pylist()
    images = naive_found(run.images, **conditions)
    assert [row["uid"] for row in drawn] == [image["uid"] for image, _ in images]
    for row, (image, texts) in zip(drawn, images, strict=True):
        same = [text for text in texts if text["text"] == row["text"] and text["page_url"] == row["page_url"]]
        assert same, row
        assert row["url"] == image["url"]


def test_an_image_is_found_by_its_url_or_uid(run):
    for number in range(5):
        for asked in of_one(run, number):
            require_figures(run, asked)


def test_a_search_that_one_text_does_not_meet_alone_finds_nothing(run):
    images = [image for image in run.images if {"ja", "en"} <= {text["language"] for text in image["candidates"]}]
    assert images
    figures = find_figures(in_turn(), Results.open(run.path), Search(text="photo", language=["ja"]))
    assert figures.images == 0


def test_an_entry_has_its_numbers_its_neighbours_and_what_other_thresholds_would_keep(run):
    results = Results.open(run.path)
    for entry in ("dog", "a", "猫"):
        figures = find_figures(in_turn(), results, Search(entry=[entry]))
        (sought,) = figures.entries
        assert sought.count == run.counts[sought.id]
        images = naive_found(run.images, ids=[sought.id])
        assert figures.sums["images_with", 0] == len(images)
        assert figures.sums["kept_with", 0] == len(naive_found(run.kept, ids=[sought.id]))
        beside = naive_beside(run.images, sought.id, ids=[sought.id])
        assert figures.together(0) == sorted(beside.items(), key=lambda pair: (-pair[1], pair[0]))
        for name, t in (("half", 2), ("same", 5), ("twice", 10)):
            rates = rates_of(results.counts, results.languages, results.thresholds(t))
            expected = naive_expected(run.images, sought.id, rates, ids=[sought.id])
            assert figures.expected(0)[name] == pytest.approx(expected)


def test_of_several_entries_each_has_its_own_numbers(run):
    together = find_figures(in_turn(), Results.open(run.path), Search(entry=["dog", "cat"], text="(?i)cat"))
    facts = facts_of(together)
    for entry in facts["entries"]:
        images = naive_found(run.images, ids=[entry["id"]], pattern="(?i)cat")
        assert entry["images"] == len(images)
    assert facts["images"] == len(naive_found(run.images, ids=[0, 1], pattern="(?i)cat"))


def test_examples_are_drawn_by_uid_alone_and_say_truly_what_was_kept(run, tmp_path):
    other = searched_run(tmp_path / "other", number=150, files=7)
    kept = {(row["uid"], row["text"]) for row in run.kept}
    for asked in ({"entry": ["a"]}, {"language": ["en"]}, {"text": "hund"}):
        shown = [
            find_figures(in_turn(), Results.open(path), Search(**asked)).examples for path in (run.path, other.path)
        ]
        assert shown[0] == shown[1]
        examples = shown[0][0 if "entry" in asked else ALL]
        assert [(row["uid"], row["text"]) in kept for row in examples] == [row["kept"] for row in examples]
        assert len({(row["uid"], row["text"]) for row in examples}) == len(examples) <= EXAMPLES
    many = find_figures(in_turn(), Results.open(run.path), Search(language=["en"])).examples[ALL]
    assert Counter(row["kept"] for row in many)[True] >= 5
    assert len(many) == EXAMPLES


def test_images_that_a_gate_removed_are_not_found(tmp_path):
    rows = [{"url": f"https://a.example/{n}.jpg", "text": text} for n, (text, _) in enumerate([("a dog", 0)] * 20)]
    rows += [{"url": f"https://b.example/{n}.jpg", "text": "dog"} for n in range(7)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    options = Options(gate=GateOptions(policy=["min_words:2"]))
    config = CurationConfig(english_threshold=5, min_language_score=0.0)
    entries = Entries.build({"en": ["dog"]})
    curate(
        [tmp_path / "pairs.parquet"],
        tmp_path / "run",
        metadata=entries,
        config=config,
        options=options,
        engine=in_turn(),
    )
    results = Results.open(tmp_path / "run")
    gated = pq.read_table(tmp_path / "run" / "gated").to_pylist()
    assert 0 < len(gated) < results.facts["rows"]["matched"]
    figures = find_figures(in_turn(), results, Search(domain=["a.example", "b.example"]))
    assert figures.images == len(gated)
    found = results.find(domain="a.example", matched=True)
    assert found["probability"].to_pylist() == pytest.approx([1 - (1 - results.rates[0])] * found.num_rows)


def test_the_rows_of_matched_images_have_the_probability_of_their_text(run):
    results = Results.open(run.path)
    by_uid = {row["uid"]: row for row in results.find(matched=True).to_pylist()}
    assert len(by_uid) == len(run.images)
    for row in run.kept:  # Without conditions, the run's own text is drawn.
        assert by_uid[row["uid"]] == row


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"entry": ["dogg"]}, r"no text of the run has the entry 'dogg'; the nearest entries are dog \(en\)"),
        ({"entry": ["Dog"]}, r"nearest entries are dog \(en\)"),
        ({"entry": ["dog"], "language": ["ja"]}, r"'dog' in Japanese \(ja\); the languages that have it are English"),
        ({"entry": ["zebra crossing"]}, "no entry is similar to it"),
        ({"language": ["jp"]}, r"no texts in the language jp; it has|did you mean Japanese \(ja\)\?"),
        ({"language": ["Norwegian"]}, r"did you mean Norwegian \(no\)\?"),
    ],
)
def test_what_the_run_does_not_have_is_answered_with_what_is_nearest(run, asked, said):
    with pytest.raises(NothingFound, match=said):
        find_figures(in_turn(), Results.open(run.path), Search(**asked))


def test_entries_that_differ_only_in_case_are_named(run):
    results = Results.open(run.path)
    rows = results.counted_entries.rows.to_pylist()
    entries = ["dog", *(row["entry"].title() for row in rows[:20])]
    sought = {entry.lower() for entry in entries}
    others = [row for row in rows if row["entry"].lower() in sought and row["entry"] not in entries]
    others.sort(key=lambda row: (-row["count"], row["id"]))
    expected = [f"{row['entry']} ({row['language']})" for row in others[:MAX_NEAREST]]
    assert expected
    assert other_spellings(results, entries) == expected
    facts = facts_of(find_figures(in_turn(), results, Search(entry=["dog"])))
    assert facts["other_spellings"] == []
    assert "are not searched" not in text_of(facts)
    assert "upper and lower case are not searched: Dog (en)." in text_of(facts | {"other_spellings": ["Dog (en)"]})


def test_entries_that_no_text_has_are_named_beside_those_that_are_found(run):
    results = Results.open(run.path)
    facts = facts_of(find_figures(in_turn(), results, Search(entry=["dogg", "dog"])))
    alone = facts_of(find_figures(in_turn(), results, Search(entry=["dog"])))
    assert facts["missing"] == ["no text of the run has the entry 'dogg'; the nearest entries are dog (en)"]
    assert [entry["entry"] for entry in facts["entries"]] == [entry["entry"] for entry in alone["entries"]]
    assert {**facts, "asked": 0, "missing": 0} == {**alone, "asked": 0, "missing": 0}
    assert "But no text of the run has the entry 'dogg'" in text_of(facts)


def naive_distance(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    if one[0] == other[0]:
        return naive_distance(one[1:], other[1:])
    return 1 + min(naive_distance(one[1:], other), naive_distance(one, other[1:]), naive_distance(one[1:], other[1:]))


def test_nearest_entries_are_those_of_the_least_distance(run):
    chance = Random(5)
    words = ["".join(chance.choices("abc", k=chance.randrange(1, 7))) for _ in range(40)]
    for one, other in zip(words, words[1:], strict=False):
        assert edit_distance(one, other) == naive_distance(one, other)
    rows = Results.open(run.path).counted_entries.rows
    assert nearest_entries(rows, "phto") == ["photo (en)"]
    assert nearest_entries(rows, "") == []
    assert nearest_entries(rows, "x" * 100_000) == []


@pytest.mark.slow
@pytest.mark.spark
def test_spark_and_processes_find_the_same(run, spark):
    processes = Local(2)
    for asked in ({"entry": ["dog", "猫"]}, {"domain": ["shop.co.uk"]}):
        results = [facts_of(find_figures(engine_of(engine), Results.open(run.path), Search(**asked)))
                   for engine in (processes, spark, in_turn())]  # fmt: skip
        assert results[0] == results[1] == results[2]
    processes.close()


def test_of_two_counts_the_rates_are_those_of_the_run(run):
    results = Results.open(run.path)
    figures = find_figures(in_turn(), results, Search(entry=["a"]))
    assert np.float32(figures.entries[0].rate) == results.rates[figures.entries[0].id]
