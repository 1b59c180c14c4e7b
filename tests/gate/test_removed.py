"""What a gate removes is written down with step and rule: the rows of a naive twin, of a share of the images."""

import math
import random
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.config import CurationConfig
from curation.plugins.gate.filters import IMAGE, TEXT, Filter, ImageBatch, decide
from curation.plugins.gate.image_limits import DRAW_OF_DOMAINS
from curation.plugins.gate.options import GateOptions
from curation.plugins.gate.policies import policies
from curation.plugins.gate.policies.policies import Policy, PolicyRule
from curation.plugins.gate.step import DRAW_OF_SAMPLE, RemovedSample
from curation.schemas import GATE_REMOVED, MATCHED
from runtime.draws import draws
from runtime.engine.local import Local
from runtime.errors import InputError
from tests.naive.captions import naive_best
from tests.naive.gates import naive_capped, naive_pictures
from tests.naive.policies import naive_fails_image, naive_fails_text
from tests.naive.removed import naive_checked, naive_copies, naive_dropped
from tests.support.captions import captions_of, find, rows_of, run, write_captions, write_pairs
from tests.support.downloaded import all_bytes
from tests.support.finished_run import candidate, image
from tests.support.gates import gated, write_table

SAID = ("a dog", "dog", "a photo of a dog", "my dog.jpg", "a dog &nbsp;", "IMG 0450", "a Prompt", "a cat")
OFTEN = 150
SEED = 7
CONFIG = CurationConfig(seed=SEED)


def some_images(number: int, chance: random.Random) -> list[dict]:
    """Return images with a page of their own, or one a text, and some texts that rules remove."""
    images = []
    for each in range(number):
        url = f"http://{chance.choice('abc')}.example/{chance.choice(['logo', 'cat', 'cat', 'cat'])}/{each}.jpg"
        texts = chance.sample(SAID, chance.randint(1, 3)) + ["often said"] * (chance.random() < 0.5)
        page = chance.choice([None, f"http://p.example/{each}"])
        own = [candidate(text, "en") | {"page_url": page and chance.choice([None, f"{page}/x"])} for text in texts]
        images.append(image(each, url) | {"page_url": page, "candidates": own, "signals": chance.choice([0, 0, 1])})
    return images


def naive_gate(images: list[dict], scores: dict[str, int], pictures: dict[str, str], urls: set[str]) -> list[dict]:
    """Return what all steps remove, in their order."""
    every = [text["text"] for row in images for text in row["candidates"]]
    of_images = {
        "(score > 0)": lambda row: scores.get(row["uid"], 0) <= 0,
        "noai": lambda row: naive_fails_image("noai", None, row),
        "url_words": lambda row: naive_fails_image("url_words", None, row),
        "not in evaluation set eval.parquet": lambda row: row["url"] in urls,
    }
    of_texts = {
        "min_words:2": lambda text, row: naive_fails_text("min_words", 2, text, row),
        "file_name": lambda text, row: naive_fails_text("file_name", None, text, row),
        "html": lambda text, row: naive_fails_text("html", None, text, row),
        f"max_images_per_text:{OFTEN}": lambda text, row: every.count(text["text"]) > OFTEN,
        "no text of prompts.txt": lambda text, row: text["text"] == "a Prompt",
    }
    left, rows = naive_checked("conditions", images, of_images, of_texts)
    known = {row["uid"]: pictures[row["uid"]] for row in left if row["uid"] in pictures}
    title = "one image of a picture, by sha256"
    left, copies = naive_copies("copies", left, title, naive_pictures(known, {}), CONFIG.max_texts)
    stay = {row["uid"] for row in naive_capped(left, 20, lambda uid: draws(SEED, DRAW_OF_DOMAINS, [uid])[0])}
    return rows + copies + naive_dropped("domains", left, "at most 20 images of a registered domain", stay)[1]


def sample_in(folder: Path) -> list[dict]:
    """Return the rows that the last gate below a folder wrote."""
    last = max(folder.iterdir(), key=lambda path: int(path.name.removeprefix("gate")))
    table = pq.read_table(last / "gate_removed")
    assert table.schema.equals(GATE_REMOVED)
    return in_order(table.to_pylist())


def in_order(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=lambda row: (row["step"], row["uid"], row["text"]))


@pytest.mark.slow
def test_of_each_rule_the_rows_of_the_naive_twin_are_written(engine, tmp_path):
    chance = random.Random(3)
    images = some_images(400, chance)
    table = [
        {"uid": row["uid"], "score": chance.choice([0, 1, 2]), "sha256": f"{chance.randrange(300):064x}"}
        for row in images[:390]
    ]
    urls = {row["url"] for row in chance.sample(images, 20)}
    pq.write_table(pa.table({"url": sorted(urls)}), tmp_path / "eval.parquet")
    (tmp_path / "prompts.txt").write_text("A prompt\n")
    asked = {
        "images": [[write_table(table, tmp_path / "t")]],
        "keep": "score > 0",
        "policy": [
            *("noai", "url_words", "min_words:2", "file_name", "html"),
            *(f"max_images_per_text:{OFTEN}", "max_images_per_domain:20"),
        ],
        "decontaminate": [str(tmp_path / "eval.parquet")],
        "decontaminate_texts": [str(tmp_path / "prompts.txt")],
        "same_image": "sha256",
    }
    pictures = {row["uid"]: row["sha256"] for row in table}
    expected = in_order(naive_gate(images, {row["uid"]: row["score"] for row in table}, pictures, urls))
    rules = {(row["step"], row["rule"]) for row in expected}
    assert len(rules) == 11
    folder = tmp_path / "gates"
    for files, share in ((3, 1.0), (2, 0.3)):
        _, counted = gated(engine, folder, images, GateOptions(**asked, keep_removed=share), files, CONFIG)
        drawn = {row["uid"]: draws(SEED, DRAW_OF_SAMPLE, [row["uid"]])[0] < share for row in images}
        assert sample_in(folder) == [row for row in expected if drawn[row["uid"]]]
        facts = counted.facts()["gate"]
        for each in [*facts["conditions"], *facts["texts"]]:
            if "picture" not in each["text"]:  # texts of copies stay
                own = sum(row["rule"] == each["text"] for row in expected)
                assert own == sum(each["removed_texts"].values()), each["text"]


@pytest.mark.slow
def test_bytes_are_the_same_for_any_number_of_cores(tmp_path):
    images, options = some_images(60, random.Random(5)), GateOptions(policy=["noai", "max_images_per_domain:9"])
    for cores in (1, 3):
        local = Local(cores)
        gated(local, tmp_path / "gates", images, replace(options, keep_removed=0.7), 3, CONFIG)
        local.close()
    one, other = (all_bytes(tmp_path / "gates" / f"gate{number}" / "gate_removed") for number in range(2))
    assert one == other
    assert len(one) == 6


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 1])
def test_the_share_is_that_of_images_and_a_larger_one_has_the_same_and_more(share):
    batch = pa.record_batch({"uid": [f"{number:032x}" for number in range(100_000)]})
    drawn = RemovedSample(Path(), "conditions", share, SEED).drawn(batch)
    deviation = math.sqrt(len(drawn) * share * (1 - share))
    assert abs(drawn.sum() - share * len(drawn)) <= 4 * deviation
    more = RemovedSample(Path(), "copies", min(1, 2 * share), SEED).drawn(batch)
    assert not (drawn & ~more).any()


def test_of_captions_without_an_entry_the_caption_is_written(engine, tmp_path):
    write_pairs(tmp_path / "pairs.parquet")
    run(engine, tmp_path)
    matched = rows_of(tmp_path / "run" / "matched")
    rows = captions_of(matched, random.Random(4))
    results = run(engine, tmp_path, write_captions(rows, tmp_path / "captions", 3), keep_removed=1)
    best = {row["uid"]: naive_best(rows, row["uid"]) for row in matched}
    found = {uid: find(text[:40]) for uid, text in ((uid, text and text.strip()) for uid, text in best.items()) if text}
    gone = pq.read_table(tmp_path / "run" / "gate_removed").to_pylist()
    assert {row["uid"]: row["language"] for row in gone} == {
        uid: language for uid, (language, _, entries) in found.items() if not entries
    }
    assert {(row["step"], row["rule"]) for row in gone} == {("captions", "an entry in the caption")}
    assert all(row["text"] == best[row["uid"]].strip()[:40].strip() for row in gone)
    assert results.facts["gate_removed"]["share"] == 1
    assert len(gone) == results.facts["gate"]["conditions"][0]["removed"] > 10


def test_nothing_is_written_of_what_a_silent_rule_removes(engine, tmp_path):
    images = [image(number, f"http://a.example/{'logo' if number % 2 else 'cat'}/{number}.jpg") for number in range(12)]
    for number, row in enumerate(images):
        row["candidates"] = [candidate(text, "en") for text in ("a dog", "secret", "dog")]
        row["signals"] = int(number % 3 == 0)
    secret = PolicyRule("secret", TEXT, "secrets", _is_secret, is_silent=True)
    silent = replace(policies.RULES["noai"], is_silent=True)
    rows = (policies.RULES["url_words"], silent, policies.RULES["min_words"], secret)
    with patch.object(policies, "RULES", {row.name: row for row in rows}):
        options = GateOptions(policy=["noai", "url_words", "min_words:2", "secret"], keep_removed=1)
        _, counted = gated(engine, tmp_path / "gates", images, options, 2)
    facts = counted.facts()["gate"]
    assert {each["text"]: each["failed"] for each in facts["texts"]} == {"min_words:2": 24, "secret": 12}
    assert facts["conditions"][1] | {"text": "noai", "failed": 4} == facts["conditions"][1]
    found = {(row["uid"], row["text"]) for row in sample_in(tmp_path / "gates")}
    loud = [(row["uid"], number % 2) for number, row in enumerate(images) if number % 3]
    assert found == {(uid, text) for uid, is_logo in loud for text in (["a dog", "dog"] if is_logo else ["dog"])}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"keep_removed": 0.5}, "but no other option removes any"),
        ({"keep_removed": 0.5, "robots": ["robots.parquet"]}, "but no other option removes any"),
        ({"keep_removed": 0.0, "policy": ["noai"]}, "keep_removed is 0; it is a share of images, above 0"),
        ({"keep_removed": 1.1, "policy": ["noai"]}, "keep_removed is 1.1; it is a share of images, above 0"),
        ({"keep_removed": float("nan"), "policy": ["noai"]}, "keep_removed is nan; it is a share"),
    ],
)
def test_a_share_of_nothing_is_refused(options, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"host": ["a.example"], "text": [""]}), "robots.parquet")
    with pytest.raises(InputError, match=sentence):
        GateOptions(**options).find()


def _is_secret(batch):
    return [text == "secret" for text in batch.texts.field("text").to_pylist()]


def test_texts_with_personal_data_are_not_written_where_another_step_removes_them():
    texts = ["a dog", "write to jane.doe@mail.de", "a cat"]
    images = [image(number) | {"candidates": [candidate(text, "en")]} for number, text in enumerate(texts)]
    batch, written = pa.RecordBatch.from_pylist(images, MATCHED), []
    first_two = Filter("x", IMAGE, lambda batch: np.array([True, True, False]))
    for silent in ((), Policy.parse(["email_address"]).silent):
        decision = decide(ImageBatch.of(batch), [first_two])
        written.append(RemovedSample(Path(), "captions", 1.0, SEED, silent).rows(decision))
    assert [rows["text"].to_pylist() for rows in written] == [texts[:2], texts[:1]]


def test_a_step_that_asks_nothing_of_single_images_writes_no_sample():
    batch = pa.RecordBatch.from_pylist([image(1) | {"candidates": [candidate("a dog", "en")]}], MATCHED)
    decision = decide(ImageBatch.of(batch), [])
    assert decision.stays().num_rows == 1
    assert RemovedSample(Path(), "conditions", 1.0, SEED).rows(decision).num_rows == 0


def test_only_steps_that_are_needed_are_found():
    def steps(**options):
        return [*GateOptions(**options).find().steps]

    assert steps(policy=["max_images_per_domain:2"]) == ["domains"]
    assert steps(policy=["max_images_per_domain:2", "noai"]) == ["conditions", "domains"]
    assert steps(policy=["max_images_per_text:2"]) == ["conditions"]
