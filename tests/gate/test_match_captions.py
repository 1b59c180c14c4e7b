"""With --match-captions an image is balanced by its caption, as a naive twin says; without one, by its alt texts."""

from collections import Counter
from random import Random
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.config import MAX_TEXT_LENGTH
from curation.plugins.annotations.captions import caption_rows, find_captions
from curation.plugins.gate.caption_replacement import CaptionStep, replace_by_captions
from curation.plugins.gate.filters import ImageBatch, decide, difference
from curation.plugins.gate.options import GateOptions
from curation.schemas import CURATED, MATCHED
from runtime.errors import InputError
from runtime.tallies import TaskResult
from tests.naive.captions import naive_best, naive_captioned
from tests.support.captions import (
    ENTRIES,
    WORDS,
    captions_of,
    find,
    matching,
    rows_of,
    run,
    write_captions,
    write_pairs,
)
from tests.support.finished_run import image

COUNTED = ("images", "without", "cut")


def test_a_batch_of_images_gets_its_captions_as_the_naive_twin_says():
    chance = Random(2)
    images = [image(number) for number in range(80)]
    images[3]["candidates"] = []
    for number, text in enumerate(text for row in images for text in row["candidates"]):
        text |= {"page_url": chance.choice([None, "http://p"]), "record": {"file": "é", "offset": number}}
    rows = captions_of(images, chance)
    expected, counts = naive_captioned(images, rows, find, MAX_TEXT_LENGTH)
    batch = pa.RecordBatch.from_pylist([image(99), *images, image(98)], MATCHED).slice(1, len(images))
    best = [_cleaned(naive_best(rows, row["uid"])) for row in images]
    known = [number for number, caption in enumerate(best) if caption is not None]
    found = pa.record_batch(
        {"row": [7 + number for number in known], "caption": pa.array([best[number] for number in known], pa.string())}
    )
    plan = SimpleNamespace(matching=matching())
    tallies = TaskResult()
    step = CaptionStep(None)

    def captioned(images: pa.RecordBatch, rows: pa.RecordBatch | None, result: TaskResult) -> pa.RecordBatch:
        rewritten = replace_by_captions(ImageBatch.of(images, rows, begin=7), result, plan)
        decision = decide(rewritten, step.filters())
        decision.tally(result)
        return decision.stays()

    passed = captioned(batch, found, tallies)
    assert passed.schema == MATCHED
    assert passed.to_pylist() == expected
    assert tallies["captioned"] == counts["images"] > 20
    assert (tallies["without"], tallies["cut"]) == (counts["without"], counts["cut"])
    assert tallies["removed", 0] == counts["removed"]
    before = [text["language"] for row in images for text in row["candidates"]]
    after = [text["language"] for row in expected for text in row["candidates"]]
    removed = difference(tallies.by_language("replaced"), tallies.by_language("matched"))
    assert removed == difference(Counter(filter(None, before)), Counter(filter(None, after)))
    assert captioned(batch.slice(0, 0), None, TaskResult()).num_rows == 0


def _cleaned(caption: str | None) -> str | None:
    return caption and " ".join(caption.strip().splitlines())


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (GateOptions(match_captions=["gone"]), "gone does not exist; expected tables of captions"),
    ],
)
def test_captions_that_serve_nothing_are_refused(options, fault):
    with pytest.raises(InputError, match=fault):
        options.find()


@pytest.mark.slow
def test_a_run_is_balanced_by_captions_as_the_naive_twin_says(engine, tmp_path):
    write_pairs(tmp_path / "pairs.parquet")
    plain = run(engine, tmp_path)
    matched = rows_of(tmp_path / "run" / "matched")
    rows = captions_of(matched, Random(4))
    expected, counts = naive_captioned(matched, rows, find, MAX_TEXT_LENGTH)
    results = run(engine, tmp_path, write_captions(rows, tmp_path / "captions", 3))
    assert rows_of(tmp_path / "run" / "gated") == expected
    assert rows_of(tmp_path / "run" / "matched") == matched
    assert results.facts["rows"]["gated"] == len(expected) < plain.facts["rows"]["matched"] == len(matched)
    entries = [id for row in expected for text in row["candidates"] for id in text["entries"]]
    assert results.counts.tolist() == [entries.count(id) for id in range(len(ENTRIES))]
    own = {row["uid"]: {text["text"] for text in row["candidates"]} for row in expected}
    curated = pq.read_table(tmp_path / "run" / "curated")
    assert curated.schema.equals(CURATED)
    assert 20 < len(curated) < len(expected)
    assert all(row["text"] in own[row["uid"]] for row in curated.to_pylist())
    said = results.facts["gate"]
    assert {name: said["captions"][name] for name in COUNTED} == {name: counts[name] for name in COUNTED}
    assert [each["removed"] for each in said["conditions"]] == [counts["removed"]]
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert f"{counts['images']} matched images have a caption, {counts['without']} keep their alt texts" in page


def test_rows_of_a_table_are_clean_and_have_a_score(tmp_path):
    rows = [{"uid": "a", "caption": caption, "score": 1} for caption in WORDS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    table = find_captions([str(tmp_path / "t.parquet")])
    (batch,) = caption_rows(table, table.files[0])
    assert batch["caption"].to_pylist() == [_cleaned(text) for text in WORDS if text and text.strip()]
    assert batch["score"].to_pylist() == [1.0] * batch.num_rows
