"""Runs that are compared."""

from pathlib import Path

import numpy as np
import pytest

from metadata import Entries
from tests.support.written_run import write_run

ENTRIES = {"en": ["a", "dog", "the", "red dog", "unseen"], "he": ["כלב", "חתול"], "ja": ["犬", "猫", "写真"]}
OTHERS = {"en": ["zebra", "dog", "a"], "ja": ["猫", "犬"], "ko": ["개", "고양이"]}
UNLIKE = {"ko": ["개", "고양이"]}


def images_of(lists: dict[str, list[str]], number: int, seed: int, begin: int = 0) -> list:
    """Return images with one to three texts, each with one to three entries of a language; some have no text."""
    random = np.random.default_rng(seed)
    languages = Entries.build(lists).languages
    images = []
    for image in range(begin + number):
        texts = []
        for place in range(random.integers(1, 4)):
            code = str(random.choice([*lists]))
            ids = languages[code]
            some = random.integers(ids.start, ids.stop, random.integers(1, 4))
            texts.append((f"text {place} of image {image}", code, sorted({*some.tolist()})))
        images.append(texts)
    return images


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Runs over the same images, with another seed or t, and over other images or with other metadata."""
    folder = tmp_path_factory.mktemp("runs")
    entries = Entries.build(ENTRIES)
    images = images_of(ENTRIES, 500, 0)
    return {
        "one": write_run(folder / "one", entries, images, t=20),
        "seed": write_run(folder / "seed", entries, images, t=20, seed=1),
        "t": write_run(folder / "t", entries, images, t=60),
        "images": write_run(folder / "images", entries, images[:200] + images_of(ENTRIES, 100, 7, 200)[200:], t=20),
        "metadata": write_run(folder / "metadata", Entries.build(OTHERS), images_of(OTHERS, 400, 2), t=9),
        "unlike": write_run(folder / "unlike", Entries.build(UNLIKE), images_of(UNLIKE, 90, 3), t=9),
        "nothing": write_run(folder / "nothing", entries, [], t=20),
    }
