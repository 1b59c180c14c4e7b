"""Rules of a policy at the gate: what a naive twin says, in whatever order they are asked for and files are cut."""

import random

import pytest

from curation.config import CurationConfig
from curation.plugins.gate.image_limits import DRAW_OF_DOMAINS
from curation.plugins.gate.options import GateOptions
from runtime.draws import draws
from runtime.errors import InputError
from tests.naive.gates import naive_capped
from tests.support.finished_run import candidate, image
from tests.support.gates import gated

TEXTS = ("a dog", "dog", "a photo of a dog", "dog.jpg", "a dog &nbsp;", "IMG_0450", "hund", "en hund til", "a template")
POLICY = ["max_images_per_domain:30", "file_name", "min_words:2", "max_images_per_text:100", "url_words", "html"]


def text_of(text: str) -> dict:
    return candidate(text, "no" if "hund" in text else "en")


def some_images(number: int) -> list[dict]:
    chance = random.Random(4)
    images = []
    for each in range(number):
        url = f"http://{chance.choice('ab')}.example/{chance.choice(['logo', 'cat'])}/{each}.jpg"
        texts = chance.sample(TEXTS, chance.randint(1, 3)) + ["a template"] * (chance.random() < 0.5)
        images.append(image(each, url) | {"candidates": [text_of(text) for text in dict.fromkeys(texts)]})
    return images


def naive_texts(row: dict, often: set[str]) -> list[dict]:
    bad = {"dog.jpg", "IMG_0450", "a dog &nbsp;"} | often
    return [text for text in row["candidates"] if text["text"] not in bad and len(text["text"].split()) >= 2]


def test_a_policy_removes_what_its_rules_say_in_any_order(engine, tmp_path):
    images = some_images(300)
    every = [text["text"] for row in images for text in row["candidates"]]
    often = {text for text in TEXTS if every.count(text) > 100}
    assert often
    left = [row | {"candidates": naive_texts(row, often)} for row in images if "logo" not in row["url"]]
    capped = naive_capped(
        [row for row in left if row["candidates"]], 30, lambda uid: draws(7, DRAW_OF_DOMAINS, [uid])[0]
    )
    for number, files in enumerate((1, 4)):
        policy = random.Random(number).sample(POLICY, len(POLICY))
        options, config = GateOptions(policy=policy), CurationConfig(seed=7)
        rows, counted = gated(engine, tmp_path / "gates", images, options, files, config)
        assert rows == capped
        facts = counted.facts()["gate"]
        removed = {each["text"]: each["removed"] for each in facts["conditions"]}
        assert [*removed] == ["url_words", "a text is left", "at most 30 images of a registered domain"]
        assert removed["url_words"] == sum("logo" in row["url"] for row in images)
        assert removed["a text is left"] == sum(not row["candidates"] for row in left)
        names = ["min_words:2", "file_name", "html", "max_images_per_text:100"]
        assert [each["text"] for each in facts["texts"]] == names
        assert facts["texts"][3]["failed"] == sum(text in often for text in every)
        texts = [each for group in ("conditions", "texts") for each in facts[group]]
        gone = sum(sum(each["removed_texts"].values()) for each in texts)
        assert gone == len(every) - sum(len(row["candidates"]) for row in capped)


def test_a_policy_that_nothing_meets_is_refused(engine, tmp_path):
    images = [image(number, f"http://a.example/logo/{number}.png") for number in range(4)]
    with pytest.raises(InputError, match=r"no matched image meets all conditions \(failed: 4 url_words\)"):
        gated(engine, tmp_path, images, GateOptions(policy=["url_words"]))
