"""A run uses the language that pages state where that is asked for, wherever the pages of an image are read."""

import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, curate
from metadata import Entries
from tests.support.crawl_records import warc
from tests.support.sample_runs import facts

pytestmark = pytest.mark.spark
ENTRIES = Entries.build({code: ["123"] for code in ("de", "en", "fr", "other")})
PAGES = {"fr": "fr", "de": "de-AT", "none": ""}


def test_an_image_s_doubtful_text_gets_the_smallest_language_that_its_pages_state(spark, tmp_path):
    for name, tag in PAGES.items():
        html = f"<html lang='{tag}'><img src=/a.jpg alt='xq 123'><img src=/{name}.jpg alt='a photo of my dog 123'>"
        (tmp_path / f"{name}.warc.gz").write_bytes(warc(html))
    told, found = {}, {}
    for use in ("use", "ignore"):
        config = CurationConfig(english_threshold=5, page_language=use)
        inputs = [str(tmp_path / f"{name}.warc.gz") for name in PAGES]
        curate(spark, config, inputs=inputs, metadata=ENTRIES, output=tmp_path / use)
        told[use] = facts(tmp_path / use)
        texts = [text for row in pq.read_table(tmp_path / use / "matched").to_pylist() for text in row["candidates"]]
        found[use] = {text["text"]: (text["language"], text["lid_score"]) for text in texts}
    (language, score), sure = found["use"]["xq 123"], found["use"]["a photo of my dog 123"]
    assert (language, found["ignore"]["xq 123"][1]) == ("de", score)
    assert score < 0.5 < sure[1]
    assert sure == found["ignore"]["a photo of my dog 123"]
    assert found["ignore"]["xq 123"][0] != "de"
    assert (told["use"]["page_language"], told["ignore"].get("page_language")) == (1, None)
    assert told["use"]["made_from"]["page_language"] == "use"
