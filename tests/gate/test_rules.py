"""The rules of policies remove the images and texts that their naive twins do."""

import random
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest

from curation.gate.image_rules import url_words
from curation.gate.personal_data import KINDS
from curation.gate.phrases import PARTS, WHOLES, folded
from curation.gate.policies import Policy
from curation.gate.rule import IMAGES, TEXTS
from curation.gate.word_tables import listed
from curation.kernels.phrases import MOST_WORDS
from metadata.languages import LANGUAGES
from runtime.arrow.buffers import parts
from tests.naive.policies import naive_fails_image, naive_fails_text
from tests.support.stated_images import batch, image

RECOMMENDED = Policy.parse(["recommended", "min_words:4", "min_stated_size:100", "max_texts_per_image:1"]).rules
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
PHRASES = [row["phrase"] for row in listed("template_phrases.csv")][::50] + [
    "no image",
    "logo",
    "avatar of",
    "でシェア",
]


def random_images(chance: random.Random, number: int) -> list[dict]:
    def made() -> str:
        return "".join(chance.choices(PIECES, k=chance.randrange(6)))

    rows = []
    for _ in range(number):
        url = (
            chance.choice(
                ["http://a.example/", "HTTPS://logo.example/b/", "http://icon.example", "http://a.wikipedia.org/"]
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
        sizes = [chance.choice([None, 0, 1, 99, 100, 2000]) for _ in range(2)]
        page = chance.choice(
            [None, url, "http://www.with-example.com", "https://a.b:80/c", "http://a@No-Image.example"]
        )
        row = image(
            chance.choice([url] * 20 + [None]),
            chance.sample([(text, chance.choice(["en", "ja", "th", "other"])) for text in texts], chance.randrange(4)),
            signals=chance.choice([None, *range(128)]),
            stated_width=sizes[0],
            stated_height=sizes[1],
            page_url=page,
        )
        row["candidates"] = [text | {"page_url": chance.choice([None, None, page])} for text in row["candidates"]]
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
        ("/XMLIcon.png", True),
        ("/icon24x24.png", True),
        ("/static/icons/a.png", True),
        ("/social-icons/a.png", True),
        ("/third-party-logos/a.png", True),
        ("/a%2Flogo.png", True),
        ("/a/%6Cogo.png", True),
        ("/_sprite_2x.png", True),
        ("/AVATARS/1", True),
        ("/logo", True),
        ("/logo.42faf13.png", True),
        ("/lazyload-empty.gif", True),
        ("/transparent-16x9.png", True),
        ("/no-image.png", True),
        ("/coming_soon.png", True),
        ("/facebook-dark.png", True),
        ("/catalogo.png", False),
        ("/logoed.png", False),
        ("/silicon.png", False),
        ("/pixelated.jpg", False),
        ("/google-pixel-7.jpg", False),
        ("/display_pic_with_logo/1.jpg", False),
        ("/d_placeholder_image/1.jpg", False),
        ("/a-hallway-with-the-logo-of-a-firm.jpg", False),
        ("/a-photograph-of-the-sign-with-the-new-logo.jpg", False),
        ("/loading-dock.jpg", False),
        ("/no-cat-image.jpg", False),
        ("/élogo.png", False),
        ("/%C3%A9logo.png", False),
        ("/a.jpg?logo=1", False),
        ("/a.jpg#logo", False),
        ("/a.logo", False),
        ("?x=/logo.png", False),
        ("/advertisementsandmore.png", False),
        ("/" + "logo" * 100_000, False),
        ("", False),
        ("/", False),
    ],
)
def test_words_count_where_a_file_or_folder_has_its_name_from_them(path, fails):
    assert failing_images("url_words", batch(image("http://logo.example" + path))) == [fails]


@pytest.mark.parametrize(
    ("url", "fails"),
    [
        ("http://a.example/b.svg", True),
        ("http://a.example/b.SVGZ?x#y", True),
        ("http://wikimedia.org.example/b.svg", True),
        ("http://a.example/wikimedia.org/b.svg", True),
        ("http://upload.wikimedia.org/b.svg", False),
        ("HTTPS://UPLOAD.WIKIMEDIA.ORG:443/b.svg", False),
        ("http://a.example/b.svg.png", False),
        ("http://a.example/b.svgs", False),
        ("http://a.example/b?x=.svg", False),
        ("http://a.example/b.sv", False),
        ("http://a.example/b.svg/c", False),
    ],
)
def test_drawings_stay_only_from_media_archives(url, fails):
    assert failing_images("svg", batch(image(url))) == [fails]


def test_texts_of_an_image_are_counted_by_language_and_those_of_archives_are_not():
    texts = [("a", "en"), ("b", "en"), ("c", "de"), ("d", "fr")]
    rows = [
        image(texts=texts[1:]),
        image(texts=texts),
        image("http://upload.wikimedia.org/a.png", texts),
        image(texts=[]),
    ]
    assert failing_images("max_texts_per_image", batch(*rows)) == [False, True, False, False]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("No image available.", ["generic_text"]),
        ("[Image 12]", ["generic_text"]),
        ("KEIN BILD", ["generic_text"]),
        ("pas d’image", ["generic_text"]),
        ("画像", ["generic_text"]),
        ("이미지 없음", ["generic_text"]),
        ("no image of a dog", []),
        ("a photo", []),
        ("BBC News logo", ["logo_text"]),
        ("Logo: BBC", ["logo_text"]),
        ("Лого на Криейтив", ["logo_text"]),
        ("企業ロゴ", ["logo_text"]),
        ("kim42 avatar", ["logo_text"]),
        ("Avatar of Kim", ["logo_text"]),
        ("Avatar: The Way of Water", []),
        ("share on Facebook", ["logo_text"]),
        ("Facebookでシェア", ["logo_text"]),
        ("the logo is on the inside of every cup", []),
        ("a photograph of the sign with the logo", []),
        ("logos of many firms on a wall in a street", []),
        ("", []),
        ("!?", []),
    ],
)
def test_phrases_of_templates_are_found_whole_or_at_an_edge(text, rules):
    rows = batch(image(texts=[text]))
    assert [name for name in ("generic_text", "logo_text") if failing_texts(name, rows) == [True]] == rules


def test_the_table_of_phrases_has_each_once_and_known_kinds():
    rows = listed("template_phrases.csv")
    keys = [(row["language"], row["kind"], *folded(row["phrase"])) for row in rows]
    assert len({*keys}) == len(keys)
    assert {row["kind"] for row in rows} == {*WHOLES, *PARTS}
    assert {row["language"] for row in rows} <= {each.code for each in LANGUAGES}
    assert max(map(len, keys)) <= 2 + MOST_WORDS
    assert min(map(len, keys)) > 2


@pytest.mark.parametrize(
    ("text", "page", "fails"),
    [
        ("Cookie & Kate", "https://www.cookie-and-kate.com/a", False),
        ("Cookie and Kate", "https://www.cookie-and-kate.com/a", True),
        ("COOKIE AND KATE!", "https://cookieandkate.co.uk:80", True),
        ("cookie and kate.com", "https://cookieandkate.com", True),
        ("BBC", "https://news.bbc.co.uk", True),
        ("Cookie", "https://cookieandkate.com", False),
        ("Kate", "https://cookieandkate.com", False),
        ("co", "https://a.co.uk", False),
        ("Cookié and Kate", "https://cookieandkate.com", False),
        ("A.example", None, False),
        ("an example", "", False),
        ("", "https://a.example", False),
    ],
)
def test_the_name_of_the_site_alone_is_no_text(text, page, fails):
    assert failing_texts("site_name", batch(image("http://b.example/", [text], page_url=page))) == [fails]


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
        ("犬と猫と鳥", "ja", True),
        ("犬と猫と鳥と", "ja", False),
        ("개와 고양이", "ko", True),
        ("개와 고양이와", "ko", False),
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
    assert all(word.isascii() and word.isalpha() and word.islower() for word in url_words())
    assert len(listed("url_words.csv")) == len(url_words()) >= 200
