"""The rules of policies remove the images and texts that their naive twins do."""

import random
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest

from curation.gate.image_rules import url_words
from curation.gate.personal_data import KINDS
from curation.gate.policies import Policy
from curation.gate.rule import IMAGES, TEXTS
from runtime.arrow.buffers import parts
from tests.naive.policies import naive_fails_image, naive_fails_text
from tests.support.stated_images import batch, image

RECOMMENDED = Policy.parse(["recommended", "min_words:4", "min_stated_size:100"]).rules
POLICY = Policy(
    tuple(chosen for chosen in RECOMMENDED if chosen.rule.name not in KINDS)
)  # these have tests of their own
RULES = {chosen.rule.name: chosen for chosen in POLICY.rules}


def failing_images(name: str, rows: pa.RecordBatch) -> list[bool]:
    return RULES[name].fails(rows).tolist()


def failing_texts(name: str, rows: pa.RecordBatch) -> list[bool]:
    texts, offsets = parts(rows["candidates"])
    return RULES[name].fails(texts, np.repeat(np.arange(len(rows)), np.diff(offsets)), rows).tolist()


def expected(rows: list[dict]) -> dict[str, list[bool]]:
    """What the naive twin says of all images, or texts, by rule."""
    found = {
        str(each): [naive_fails_image(each.rule.name, each.number, row) for row in rows] for each in POLICY.over(IMAGES)
    }
    texts = [(text, row) for row in rows for text in row["candidates"] or []]
    return found | {
        str(each): [naive_fails_text(each.rule.name, each.number, *pair) for pair in texts]
        for each in POLICY.over(TEXTS)
    }


def found(rows: pa.RecordBatch) -> dict[str, list[bool]]:
    by_image = {str(each): failing_images(each.rule.name, rows) for each in POLICY.over(IMAGES)}
    return by_image | {str(each): failing_texts(each.rule.name, rows) for each in POLICY.over(TEXTS)}


PIECES = [
    *"/._-?#%:aZé犬\xa0 ",
    *url_words()[:12],
    "Logo",
    "LOGO",
    "MyIcon",
    "XMLIcon",
    "iconSet",
    "%20",
    "%2F",
    "%C3%A9",
]
PIECES += [
    "%6C",
    "%zz",
    "2x",
    "1",
    ".jpg",
    "É",
    "IMG_0450",
    "&nbsp;",
    "<b>",
    "　",
    "\u2003",
    "ſ",
    "K",
    "Ⱥ",
    "ⱥ",
    "%E9",
    "://",
]


def random_images(chance: random.Random, number: int) -> list[dict]:
    def made() -> str:
        return "".join(chance.choices(PIECES, k=chance.randrange(6)))

    rows = []
    for _ in range(number):
        url = chance.choice(["http://a.example/", "HTTPS://logo.example/b/", "http://icon.example"]) + made()
        name = url.rpartition("/")[2]
        texts = [
            made(),
            quote(name),
            name.upper(),
            name.swapcase(),
            name.rpartition(".")[0],
            url.lower(),
            None,
            " ".join(map(str, range(9))),
        ]
        sizes = [chance.choice([None, 0, 1, 99, 100, 2000]) for _ in range(2)]
        row = image(
            chance.choice([url] * 20 + [None]),
            chance.sample([(text, chance.choice(["en", "ja", "th", "other"])) for text in texts], chance.randrange(4)),
            signals=chance.choice([None, *range(128)]),
            stated_width=sizes[0],
            stated_height=sizes[1],
        )
        rows.append(row | ({"candidates": None} if chance.random() < 0.02 else {}))
    return rows


def test_rules_agree_with_their_naive_twins_on_nasty_images():
    rows = random_images(random.Random(1), 5000)
    twin, fast = expected(rows), found(batch(*rows))
    for name in twin:
        assert twin[name] == fast[name], name
        assert 0 < np.mean(twin[name]) < 1, name


def test_rules_say_the_same_of_slices_and_of_nothing():
    rows = random_images(random.Random(2), 100)
    part = batch(*rows).slice(17, 41)
    assert found(part) == expected(rows[17:58])
    assert all(values == [] for values in found(batch()).values())
    assert all(values == [] for name, values in found(batch(image(texts=[]))).items() if name in ("html", "equals_url"))


@pytest.mark.parametrize(
    ("path", "fails"),
    [
        ("/logo.png", True),
        ("/siteLogo2.png", True),
        ("/img/LOGO-big.png", True),
        ("/SVGIcon.svg", True),
        ("/icon24x24.png", True),
        ("/static/icons/a.svg", True),
        ("/a%2Flogo.png", True),
        ("/a/%6Cogo.png", True),
        ("/_sprite_2x.png", True),
        ("/AVATARS/1", True),
        ("/logo", True),
        ("/logos.png", True),
        ("/catalogo.png", False),
        ("/logoed.png", False),
        ("/silicon.png", False),
        ("/pixelated.jpg", False),
        ("/élogo.png", False),
        ("/%C3%A9logo.png", False),
        ("/a.jpg?logo=1", False),
        ("/a.jpg#logo", False),
        ("?x=/logo.png", False),
        ("/advertisementsandmore.png", False),
        ("/" + "logo" * 100_000, False),
        ("", False),
        ("/", False),
    ],
)
def test_words_count_in_the_path_of_a_url_only_and_whole(path, fails):
    assert failing_images("url_words", batch(image("http://logo.example" + path))) == [fails]


@pytest.mark.parametrize(
    ("width", "height", "fails"),
    [
        (99, 500, True),
        (500, 99, True),
        (100, 100, False),
        (None, 99, True),
        (100, None, False),
        (None, None, False),
        (0, 0, True),
    ],
)
def test_the_smaller_stated_side_counts(width, height, fails):
    row = image(stated_width=width, stated_height=height)
    assert failing_images("min_stated_size", batch(row)) == [fails]


@pytest.mark.parametrize(
    ("text", "language", "fails"),
    [
        ("a dog on grass", "en", False),
        ("a dog outside", "en", True),
        ("a  dog\u00a0on\u3000grass", "en", False),
        ("犬と猫と鳥", "en", True),
        ("犬と猫と鳥と", "ja", True),
        ("犬と猫と鳥と魚", "ja", False),
        ("LEGO Technic", "ja", True),
        ("iPhone 12 Pro ケース", "ja", False),
        ("แมวสองตัว", "th", False),
        ("แมว", "th", True),
        ("", "en", True),
    ],
)
def test_words_are_counted_by_spaces_or_by_characters(text, language, fails):
    assert failing_texts("min_words", batch(image(texts=[(text, language)]))) == [fails]


@pytest.mark.parametrize(
    ("text", "url", "fails"),
    [
        ("http://a.example/dog.jpg", "http://a.example/dog.jpg", True),
        ("HTTP://A.EXAMPLE/DOG.jpg", "http://a.example/dog.jpg", True),
        ("my dog.jpg", "http://a.example/my%20dog.jpg?w=300#top", True),
        ("my%20dog", "http://a.example/b/My dog.JPG", True),
        ("Größe", "http://a.example/GR%C3%96%C3%9FE.png", True),
        ("größe", "http://a.example/größe.png", True),
        ("GRÖßE.PNG", "http://a.example/größe.png", True),
        ("a.dog", "http://a.example/a.dog.jpg", True),
        ("a", "http://a.example/a.dog.jpg", False),
        ("dog", "http://a.example/dog", True),
        ("dog", "http://a.example/dog/", False),
        ("dog.png", "http://a.example/dog.jpg", False),
        ("dogs", "http://a.example/dog.jpg", False),
        ("do", "http://a.example/dog.jpg", False),
        ("a.example", "http://a.example", False),
        (".jpg", "http://a.example/.jpg", True),
        ("", "http://a.example/", False),
        (None, "http://a.example/dog.jpg", False),
        ("dog", None, False),
    ],
)
def test_texts_that_repeat_the_url_or_the_name_of_the_file_are_found(text, url, fails):
    assert failing_texts("equals_url", batch(image(url, [text]))) == [fails]


def test_words_of_urls_are_lower_case_letters_and_listed_once():
    assert all(word.isascii() and word.isalpha() and word.islower() and len(word) <= 16 for word in url_words())
    assert len(url_words()) == len(set(url_words())) >= 40
