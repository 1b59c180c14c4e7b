"""The rules of policies remove the images and texts that their naive twins do."""

import random
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest

from curation.plugins.gate.filters import IMAGE, TEXT
from curation.plugins.gate.policies.image_rules import url_words
from curation.plugins.gate.policies.policies import RULES
from curation.plugins.gate.policies.word_tables import rows_in
from curation.schemas import IMAGE_PLACES
from tests.naive.policies import naive_fails_image, naive_fails_text
from tests.support.rules import POLICY, failing
from tests.support.stated_images import batch, image

pytestmark = pytest.mark.kernels


def expected(rows: list[dict]) -> dict[str, list[bool]]:
    """Return what the naive twins say, by the name of the rule: of each image, or of each text."""
    result = {}
    for name, number in POLICY.numbers.items():
        if RULES[name].scope == IMAGE:
            result[name] = [naive_fails_image(name, number, row) for row in rows]
        else:
            result[name] = [
                naive_fails_text(name, number, text, row) for row in rows for text in row["candidates"] or []
            ]
    return result


def found(rows: pa.RecordBatch) -> dict[str, list[bool]]:
    return {name: failing(name, rows) for name in POLICY.numbers}


PIECES = [
    *"/._-?#%:aZé犬\xa0 ",
    *"/.- /.- ",
    *list(url_words())[::9],
    "with",
    "of ",
    "no",
    "image",
    " logo",
    "logo ",
    "avatar ",
    "のロゴ",
    "Аватар",
    "아이콘",
    "icône ",
    "example",
    "a.b",
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
    ".svg",
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
PHRASES = [row["phrase"] for row in rows_in("template_phrases.csv")][::50] + [
    "no image",
    "logo",
    "avatar of",
    "でシェア",
    "click image for larger version name",
]


PLACES = [*IMAGE_PLACES.values()]


def random_images(chance: random.Random, number: int) -> list[dict]:
    def made() -> str:
        return "".join(chance.choices(PIECES, k=chance.randrange(6)))

    rows = []
    for _ in range(number):
        url = (
            chance.choice(
                [
                    "http://a.example/",
                    "HTTPS://logo.example/b/",
                    "http://icon.example",
                    "http://a.wikipedia.org/",
                    "HTTP://A.DoubleClick.net",
                ]
            )
            + made()
        )
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
            chance.choice(PHRASES),
            f"{chance.choice(['Kim', 'the house of Kim', '京都', ''])} {chance.choice(PHRASES)}{made()}",
        ]
        sizes = [chance.choice([None, 0, 1, 3, 4, 99, 100, 2000]) for _ in range(2)]
        page = chance.choice(
            [None, url, "http://www.with-example.com", "https://a.b:80/c", "http://a@No-Image.example"]
        )
        row = image(
            chance.choice([url] * 20 + [None]),
            chance.sample([(text, chance.choice(["en", "ja", "th", "other"])) for text in texts], chance.randrange(4)),
            signals=chance.choice(
                [None, *[512] * 5, *range(5, 128), *(sum(chance.sample(PLACES, 3)) for _ in range(128))]
            ),
            shown=chance.choice([None, *range(6)]),
            stated_width=sizes[0],
            stated_height=sizes[1],
            page_url=page,
        )
        row["candidates"] = [text | {"page_url": chance.choice([None, None, page])} for text in row["candidates"]]
        rows.append(row | ({"candidates": None} if chance.random() < 0.02 else {}))
    return rows


@pytest.mark.slow
def test_rules_agree_with_their_naive_twins_on_nasty_images():
    rows = random_images(random.Random(1), 1500)
    twin, fast = expected(rows), found(batch(*rows))
    for name in twin:
        assert twin[name] == fast[name], name
        assert 0 < np.mean(twin[name]) < 1, name


def test_rules_say_the_same_of_slices_and_of_nothing():
    rows = random_images(random.Random(2), 100)
    part = batch(*rows).slice(17, 41)
    assert found(part) == expected(rows[17:58])
    assert all(values == [] for values in found(batch()).values())
    nothing = found(batch(image(texts=[])))
    assert all(nothing[name] == [] for name in POLICY.numbers if RULES[name].scope == TEXT)
