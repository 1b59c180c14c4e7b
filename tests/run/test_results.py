"""A finished run read back: its counts and images, and what other thresholds and runs make of them."""

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, curate
from curation.balancing.thresholds import rates_of
from curation.run.finished_run import curated_files
from curation.run.request import Options
from curation.run.results import Results
from metadata import Entries, InputError
from runtime.engine.local import Local
from runtime.packages import versions
from tests.naive.results import naive_expected
from tests.report.runs import Page
from tests.support.flips import bytes_of
from tests.support.written_run import write_run

ENTRIES = {"en": ["a", "dog", "the", "red dog", "unseen"], "he": ["כלב", "חתול"], "ja": ["犬", "猫", "写真"]}
UNSEEN = 4  # the id of an entry that no text contains


def random_images(entries: Entries, number: int, seed: int = 0) -> list:
    """Return images with one to three texts, each of a random language, with one to four of its entries."""
    random = np.random.default_rng(seed)
    seen = {code: [id for id in range(ids.start, ids.stop) if id != UNSEEN] for code, ids in entries.languages.items()}

    def text(image: int, place: int):
        code = str(random.choice(list(seen)))
        ranks = (random.zipf(1.6, random.integers(1, 5)) - 1) % len(seen[code])
        return f"text {place} of image {image}", code, sorted({seen[code][rank] for rank in ranks})

    return [[text(image, place) for place in range(random.integers(1, 4))] for image in range(number)]


@pytest.fixture(scope="module")
def entries() -> Entries:
    return Entries.build(ENTRIES)


@pytest.fixture(scope="module")
def images(entries) -> list:
    return random_images(entries, 500)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, entries, images) -> Path:
    return write_run(tmp_path_factory.mktemp("run"), entries, images, t=20)


def test_counts_rates_and_languages_are_those_of_the_run(folder, entries, images):
    run = Results.open(folder)
    counts = [0] * len(entries)
    for id in (id for texts in images for _, _, ids in texts for id in ids):
        counts[id] += 1
    assert run.counts.tolist() == counts
    assert run.languages == entries.languages
    t = {code: row["t"] for code, row in run.facts["languages"].items()}
    rates = [min(1, t[entries.language(id)] / count) if count else 1 for id, count in enumerate(counts)]
    np.testing.assert_allclose(run.rates, rates, rtol=1e-6)


def test_the_largest_languages_come_first_and_those_without_matches_not(tmp_path, entries):
    images = [[("犬", "ja", [7])], [("犬と猫", "ja", [7, 8])], [("a dog", "en", [0, 1])]]
    assert Results.open(write_run(tmp_path, entries, images, t=1)).largest == ["ja", "en"]


def test_the_entries_of_a_language_are_its_rows(folder, entries):
    rows = Results.open(folder).entries("he")
    assert [(row["entry"], row["id"]) for row in rows.to_pylist()] == [(ENTRIES["he"][id - 5], id) for id in (5, 6)]
    assert UNSEEN not in Results.open(folder).entries(entries.language(UNSEEN))["id"].to_pylist()


@pytest.mark.parametrize("t", [1, 7, 20, 300])
def test_the_expected_images_of_each_language_are_those_of_the_definition(folder, images, t):
    run = Results.open(folder)
    other, tried = run.thresholds(5), run.thresholds(t)
    of_language = run.expected([other, tried])
    naive = naive_expected(images, rates_of(run.counts, run.languages, tried).astype(float))
    assert {code: pytest.approx(value) for code, value in naive.items()} == {c: v[1] for c, v in of_language.items()}


def test_the_expected_images_at_the_threshold_of_the_run_are_those_that_it_expected(folder):
    run = Results.open(folder)
    of_language = run.expected([run.thresholds(20)])
    expected = {code: pytest.approx(row["expected"]) for code, row in run.facts["languages"].items()}
    assert {code: value[0] for code, value in of_language.items()} == expected


def test_an_estimate_from_some_images_is_scaled_to_all(tmp_path, entries):
    run = Results.open(write_run(tmp_path, entries, [[("a dog", "en", [0, 1])]] * 100, t=1000))
    assert run.expected([run.thresholds(1000)], images=10)["en"].tolist() == [100]


@pytest.mark.parametrize("size", [50, 200, 400])
def test_the_threshold_for_a_size_is_the_smallest_that_gives_it(folder, size):
    run = Results.open(folder)
    found = run.threshold_for(size)
    both = run.expected([run.thresholds(max(found.threshold - 1, 1)), run.thresholds(found.threshold)])
    below, at = sum(both.values())
    assert found.reached
    assert at == pytest.approx(found.size)
    assert at >= size
    assert found.threshold == 1 or below < size


def test_a_size_beyond_all_images_is_not_reached(folder):
    assert not Results.open(folder).threshold_for(10_000).reached


def test_an_example_contains_its_entry_and_unseen_entries_have_none(folder, images):
    found = Results.open(folder).examples(range(10))
    texts_of = {id: {t for texts in images for t, _, ids in texts if id in ids} for id in range(10)}
    assert UNSEEN not in found
    assert {id for id, texts in texts_of.items() if texts} == set(found)
    assert all(text in texts_of[id] for id, text in found.items())


def test_examples_beyond_the_images_that_are_read_are_not_found(tmp_path, entries):
    run = Results.open(write_run(tmp_path, entries, [[("a", "en", [0])], [("dog", "en", [1])]], t=1, files=1))
    assert run.examples([0, 1], images=1) == {0: "a"}
    assert run.examples([]) == {}


def test_kept_counts_are_those_of_the_curated_rows(folder, entries):
    run = Results.open(folder)
    rows = pq.read_table(folder / "curated").to_pylist()
    expected = [sum(id in row["entries"] for row in rows) for id in range(len(entries))]
    assert run.kept_counts().tolist() == expected
    assert sum(expected) > 0


def test_pairs_are_the_first_kept_rows_or_all(folder):
    run, rows = Results.open(folder), pq.read_table(folder / "curated", columns=["uid", "text"]).to_pylist()
    for images in (7, None):
        found = [row for batch in run.pairs(["uid", "text"], images) for row in batch.to_pylist()]
        assert found == rows[:images]


def test_a_share_of_the_kept_images_is_the_same_in_every_run(folder, tmp_path, entries, images):
    everything = write_run(tmp_path, entries, images, t=100_000, seed=3)
    some = set(Results.open(everything).kept(0.3)["uid"].to_pylist())
    one = Results.open(folder)
    kept = set(one.kept()["uid"].to_pylist())
    assert set(one.kept(0.3)["uid"].to_pylist()) == kept & some
    assert 0 < len(kept & some) < len(kept)


def test_a_run_that_matched_nothing_has_empty_answers(tmp_path, entries):
    run = Results.open(write_run(tmp_path, entries, [], t=20))
    assert run.largest == []
    assert run.kept().num_rows == 0
    assert run.examples([0]) == {}
    assert run.kept_counts().sum() == 0
    assert all(value.tolist() == [0, 0] for value in run.expected([run.thresholds(1), run.thresholds(2)]).values())


def test_matched_images_are_read_up_to_the_number_asked_for(folder, images):
    run = Results.open(folder)
    assert sum(batch.num_rows for batch in run.matched(None)) == len(images)
    assert [sum(batch.num_rows for batch in run.matched(number)) for number in (0, 1, 260)] == [0, 1, 260]


@pytest.mark.parametrize("content", ["{}", "[]"])
def test_a_folder_with_the_run_json_of_no_run_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(
        InputError, match=r"has a run.json that is not of a run \(.*\); pass the output folder of a finished run"
    ):
        Results.open(tmp_path)


def test_a_run_whose_files_are_gone_is_refused(tmp_path, entries, images):
    run = Results.open(write_run(tmp_path / "out", entries, images, t=10))
    facts = {name: each for name, each in run.facts.items() if name != "checksums"}
    (run.path / "curated" / "00000.parquet").unlink()
    with pytest.raises(
        InputError, match=r"curated contains no Parquet files, but the run wrote [\d,]+ rows; curate again"
    ):
        curated_files(replace(run, facts=facts))


@pytest.fixture
def pairs(tmp_path) -> Path:
    words = [f"word{number}" for number in range(40)]
    urls = [f"https://example.org/{word}.jpg" for word in words]
    columns = {"url": urls, "text": [f"the {word}" for word in words], "language": ["en"] * 40}
    pq.write_table(pa.table(columns), tmp_path / "pairs.parquet")
    return tmp_path / "pairs.parquet"


def curated(pairs: Path, output: Path, command_line: str | None = None) -> Results:
    """Curate the pairs, each of which has an entry that all have and an entry of its own."""
    entries = Entries.build({"en": ["the", *(f"word{number}" for number in range(40))]})
    config = CurationConfig(english_threshold=2)
    options = Options(command_line=command_line)
    return curate(pairs, output, metadata=entries, config=config, options=options, engine=Local(1))


def test_the_report_shows_how_many_texts_of_each_entry_are_kept_which_are_more_than_t(pairs, tmp_path):
    run = curated(pairs, tmp_path / "out")
    kept = int(run.kept_counts()[0])
    assert (int(run.counts[0]), kept) == (40, 40)  # each text has a word of its own, which keeps it
    shown = Page((tmp_path / "out" / "report.html").read_text("utf-8")).text
    assert re.search(rf"the\s*40\s*{kept}\s", shown)


def test_run_json_and_the_report_say_when_and_how_a_run_was_made_and_no_other_file_does(pairs, tmp_path):
    lines = "clip-curate --seed 0", "clip-curate --output '<b>'"
    runs = [curated(pairs, tmp_path / str(number), line) for number, line in enumerate(lines)]
    runs.append(curated(pairs, tmp_path / "python"))
    for run, line in zip(runs, lines, strict=False):
        made = run.facts["made"]
        assert made["command_line"] == line
        assert datetime.now(timezone.utc) - datetime.fromisoformat(made["at"]) < timedelta(hours=1)
        shown = Page((run.path / "report.html").read_text("utf-8")).text
        assert f"command line{line}" in shown
        assert f"version{versions()['clip-curation']}" in shown
        assert made["at"] in shown
    assert [*runs[-1].facts["made"]] == ["at"]
    assert "the run was started from Python" in (tmp_path / "python" / "report.html").read_text("utf-8")
    said = [bytes_of(run.path, without=("run.json", "report.html", "times.json")) for run in runs]
    assert said[0] == said[1] == said[2]
    assert {"curated/00000.parquet", "counts.parquet", "thresholds.json"} <= said[0].keys()
    assert len({run.digest for run in runs}) == 1


def test_a_run_goes_on_whatever_the_command_line_was(pairs, tmp_path):
    first = curated(pairs, tmp_path / "out", "clip-curate --seed 0")
    again = curated(pairs, tmp_path / "out", "clip-curate --cores 2")
    assert again.facts["made"]["command_line"] == "clip-curate --cores 2"
    assert again.digest == first.digest


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (lambda run: run.pairs(["uid", "txt"]), r"manifest of .* has no column txt; it has uid, .*did you mean text\?"),
        (lambda run: run.entries("xq"), "has no entries of the language xq; it has entries of .*en"),
        (lambda run: run.examples(["dog"]), r"ids\[0\] is 'dog'; it must be an integer"),
        (lambda run: run.examples([0, -1]), r"ids\[1\] is -1; it must be at least 0"),
        (lambda run: run.expected([5, 10]), r"thresholds\[0\] is of type int; pass Thresholds, such as run.thresholds"),
    ],
)
def test_a_question_that_a_run_cannot_answer_is_refused(folder, mistake, sentence):
    with pytest.raises(InputError, match=sentence):
        mistake(Results.open(folder))


def test_counts_that_are_gone_since_a_run_was_opened_are_said_to_be_gone(tmp_path, entries, images):
    run = Results.open(write_run(tmp_path, entries, images, t=10))
    (tmp_path / "counts.parquet").unlink()
    with pytest.raises(InputError, match="counts.parquet does not exist, but every finished run .*; restore"):
        _ = run.counts
