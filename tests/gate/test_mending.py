"""Tags are taken out of texts and credits cut, where an entry is left; a credit alone is no text."""

import pyarrow as pa
import pytest

from curation.plugins.gate.filters import ImageBatch
from curation.plugins.gate.options import GateOptions
from curation.plugins.gate.policies.mending import mended, without_credits, without_tags
from curation.schemas import MATCHED
from runtime.tallies import TaskResult
from tests.support.finished_run import candidate, image
from tests.support.gates import MATCHES, gated
from tests.support.rules import failing
from tests.support.stated_images import batch
from tests.support.stated_images import image as stated


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("Foto: dpa", True),
        ("FOTO: Kim Lee / Getty Images", True),
        ("(Picture: Getty/Metro.co.uk)", True),
        ("photo by Kim", True),
        ("© Kim Lee", True),
        ("Bild: fizkes - stock.adobe.com", True),
        ("imago images 0845114767", True),
        ("Фото: Reuters", True),
        ("(credit: CBS 2)", True),
        ("credit where it is due", False),
        ("图片来源：", True),
        ("图片来源：新华社", True),
        ("Источник фото: Иван Петров", True),
        ("(Sumber: Instagram @kim)", True),
        ("crédit photo: Kim Lee", True),
        ("Source: the river that rises in the hills behind it", False),
        ("Source", False),
        ("Foto: ein Hund", False),
        ("Ein Hund | dpa", False),
        ("Reuters building in London", False),
        ("a photo by the sea", False),
        ("© 2020 by all of the people of the whole town", False),
        ("", False),
        (None, False),
    ],
)
def test_a_credit_alone_is_found(text, fails):
    assert failing("credit", batch(stated(texts=[text]))) == [fails]


@pytest.mark.parametrize(
    ("caption", "credit"),
    [
        ("A red dog", ". Foto: Kim Lee/dpa"),
        ("A red dog.", " (Photo by KIM LEE / AFP)"),
        ("Kim Jong-un", ". Foto: KCNA/Reuters"),
        ("Ein Hund", " | picture alliance/dpa | Kim Lee"),
        ("Ein Hund.", " © NDR Foto: Kim Lee"),
        ("A dog in hospital.", " — Reuters file pic"),
        ("A dog", " - Foto: House of Dogs"),
        ("Foto: dpa", ""),
        ("Dog | dpa", ""),
        ("A dog (left) and a cat", ""),
        ("Photo: a dog on the grass of the park", ""),
        ("Self-image: by the sea", ""),
    ],
)
def test_the_credit_at_the_end_of_a_caption_is_cut(caption, credit):
    assert without_credits(pa.array([caption + credit, None])).to_pylist() == [caption, None]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a <b>d</b>og<br/>on <I class='x'>grass</I>", "a dog on grass"),
        ("<p>a</p><p>dog</p><!-- <br> -->", "a dog"),
        ("a dog <img src=", "a dog"),
        ("1 < 2 and <x>", "1 < 2 and <x>"),
        ("<p></p>", ""),
        ("größe <br> <br>  犬", "größe 犬"),
    ],
)
def test_tags_are_taken_out_and_the_text_stays(text, plain):
    texts = pa.array([text, "", None, "a  b", text, "<br"])
    wanted = [plain, "", None, "a  b", plain, ""]
    assert without_tags(texts).to_pylist() == wanted
    assert without_tags(texts.slice(1, 4)).to_pylist() == wanted[1:5]


def texts_of(*texts: str) -> dict:
    return image(0) | {"candidates": [candidate(text, "en") for text in texts]}


def test_a_mended_text_has_its_own_entries_and_is_in_no_image_twice():
    rows = [
        image(9),
        texts_of("a cat<br>", "a dog", "a <b>dog</b>", "<p>a photo", "a<br> photo", "<br>", "x<br>y", "dog <br "),
        image(8),
    ]
    texts = ["a cat", "a dog", "a <b>dog</b>", "a photo", "a<br> photo", "<br>", "x<br>y", "dog"]
    tallies = TaskResult()

    def mend(images: pa.RecordBatch) -> pa.RecordBatch:
        return mended(ImageBatch.of(images), tallies, MATCHES, "html").images

    found = mend(pa.RecordBatch.from_pylist(rows, MATCHED).slice(1, 2))
    expected = [candidate(text, "en") for text in texts]
    assert found.to_pylist() == [rows[1] | {"candidates": expected}, rows[2]]
    assert tallies["mended", "html"] == 3
    assert mend(found.slice(0, 0)).num_rows == 0


def test_the_gate_mends_texts_before_it_checks_them(engine, tmp_path):
    images = [texts_of("a <b>dog</b>", "<br>", "a cat (Photo: Getty)", "dog.jpg<br>"), image(1)]
    options = GateOptions(policy=["html", "cut_credits", "file_name", "max_images_per_text:100"])
    rows, counted = gated(engine, tmp_path / "gates", images, options)
    left = [row["text"] for row in next(row for row in rows if row["uid"] == images[0]["uid"])["candidates"]]
    assert left == ["a dog", "a cat"]
    facts = {each["text"]: each for each in counted.facts()["gate"]["texts"]}
    assert {name: each.get("mended") for name, each in facts.items()} == {
        "html": 2,
        "cut_credits": 1,
        "file_name": None,
        "max_images_per_text:100": None,
    }
    assert {name: each["removed"] for name, each in facts.items()} == {
        "html": 1,
        "cut_credits": 0,
        "file_name": 1,
        "max_images_per_text:100": 0,
    }
