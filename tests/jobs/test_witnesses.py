"""A run asks witnesses where that is asked for, wherever the pages and hosts of an image are read."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, curate
from curation.run.request import Options
from metadata import Entries
from tests.support.crawl_records import warc
from tests.support.sample_runs import facts

ENTRIES = Entries.build({code: ["123"] for code in ("de", "en", "fr", "other")})
PAGES = {"fr": "fr", "de": "de-AT", "none": ""}


def test_an_image_s_doubtful_text_gets_the_smallest_language_that_its_pages_state(engine, tmp_path):
    for name, tag in PAGES.items():
        html = f"<html lang='{tag}'><img src=/a.jpg alt='xq 123'><img src=/{name}.jpg alt='a photo of my dog 123'>"
        (tmp_path / f"{name}.warc.gz").write_bytes(warc(html))
    told, found = {}, {}
    for use in ("use", "ignore"):
        config = CurationConfig(english_threshold=5, witnesses=["page"] * (use == "use"))
        inputs = [str(tmp_path / f"{name}.warc.gz") for name in PAGES]
        curate(inputs, tmp_path / use, metadata=ENTRIES, config=config, engine=engine)
        told[use] = facts(tmp_path / use)
        texts = [text for row in pq.read_table(tmp_path / use / "matched").to_pylist() for text in row["candidates"]]
        found[use] = {text["text"]: (text["language"], text["lid_score"]) for text in texts}
    (language, score), sure = found["use"]["xq 123"], found["use"]["a photo of my dog 123"]
    assert (language, found["ignore"]["xq 123"][1]) == ("de", score)
    assert score < 0.5 < sure[1]
    assert sure == found["ignore"]["a photo of my dog 123"]
    assert found["ignore"]["xq 123"][0] != "de"
    assert (told["use"]["witnesses"], told["ignore"].get("witnesses")) == ({"page": 1}, None)
    assert told["use"]["made_from"]["witnesses"] == ["page"]


SURE = {
    "de": "ein altes Haus steht am See|der Hund schläft auf dem Sofa|die Kinder spielen im Garten|"
    "wir fahren mit dem Zug nach Hause|das Wetter ist heute schön",
    "fr": "une vieille maison au bord du lac|le chien dort sur le canapé|les enfants jouent dans le jardin|"
    "nous rentrons à la maison en train|il fait beau aujourd'hui dans la ville",
}


@pytest.mark.parametrize("unique", [False, True])
def test_a_doubtful_text_gets_the_language_of_those_around_it_however_inputs_are_cut_into_tasks(
    engine, tmp_path, unique
):
    for code, texts in SURE.items():
        rows = [(f"http://{code}.example/{text}", f"{text} 123") for text in texts.split("|")]
        rows.append(("http://both.example/a" if not unique else f"http://{code}.example/a", "xq 123"))
        pages = [f"http://www.{code}.example/"] * len(rows)
        columns = [*zip(*rows, strict=True), pages]
        pq.write_table(pa.table(columns, names=["url", "text", "page_url"]), tmp_path / f"{code}.parquet")
    config, found = CurationConfig(english_threshold=5, witnesses=["pool"]), []
    for order in (["de", "fr"], ["fr", "de"]):
        for code in order:  # one after the other, so that the second run matches the second input alone
            inputs = [str(tmp_path / f"{each}.parquet") for each in order[: order.index(code) + 1]]
            options = Options(unique_images=unique, overwrite=True)
            run = curate(inputs, tmp_path / order[0], metadata=ENTRIES, config=config, options=options, engine=engine)
        images = pq.read_table(tmp_path / order[0] / "matched").to_pylist()
        texts = [text for image in images for text in image["candidates"]]
        found.append(sorted(text["language"] for text in texts if text["text"] == "xq 123"))
        assert run.facts["witnesses"] == {"pool": len(found[-1])}
    assert found == [["de", "fr"] if unique else ["de"]] * 2
