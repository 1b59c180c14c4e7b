"""Phrases and words are found as the rules over texts say, case by case."""

import pytest

from curation.plugins.gate.kernels.phrases import MAX_PHRASE_WORDS
from curation.plugins.gate.policies.text_rules import PARTS, WHOLES, folded
from curation.plugins.gate.policies.word_tables import rows_in
from metadata.languages import LANGUAGES
from tests.support.rules import failing
from tests.support.stated_images import batch, image

pytestmark = pytest.mark.kernels


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
        ("Click image for larger version Name: a b c d e f g h.jpg Views: 51 Size: 2 KB ID: 4", ["logo_text"]),
        ("Click image for larger version of the old town hall", []),
        ("No new posts", ["generic_text"]),
        ("No new posts in this city", []),
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
    assert [name for name in ("generic_text", "logo_text") if failing(name, rows) == [True]] == rules


def test_the_table_of_phrases_has_each_once_and_known_kinds():
    rows = rows_in("template_phrases.csv")
    keys = [(row["language"], row["kind"], *folded(row["phrase"])) for row in rows]
    assert len({*keys}) == len(keys)
    assert {row["kind"] for row in rows} == {*WHOLES, *PARTS}
    assert {row["language"] for row in rows} <= {each.code for each in LANGUAGES}
    assert max(map(len, keys)) <= 2 + MAX_PHRASE_WORDS
    assert min(map(len, keys)) > 2


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
    assert failing("min_words", batch(image(texts=[(text, language)]))) == [fails]
