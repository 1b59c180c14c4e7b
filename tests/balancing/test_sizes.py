"""What other English thresholds would keep: a curve in the report, and flags where hardly anything was removed."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, Results, curate
from curation.balancing import size_estimates as module
from curation.report.page import summary
from metadata import Entries
from tests.support.in_turn import in_turn

WORDS = [f"word{number}" for number in range(40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pairs whose words are the rarer the higher their number, and a run that balances nothing."""
    folder, random = tmp_path_factory.mktemp("sizes"), np.random.default_rng(1)
    texts = [" ".join({WORDS[min(39, n)] for n in random.geometric(0.2, 3)}) + " is here" for _ in range(2_000)]
    urls = [f"https://example.org/{number}.jpg" for number in range(len(texts))]
    pq.write_table(pa.table({"url": urls, "text": texts, "language": ["en"] * len(texts)}), folder / "pairs.parquet")
    run(folder, "out")
    return folder


def run(folder, name, **config) -> Results:
    entries = Entries.build({"en": WORDS})
    return curate(
        folder / "pairs.parquet", folder / name, metadata=entries, config=CurationConfig(**config), engine=in_turn()
    )


def test_the_curve_is_what_results_expect_at_its_thresholds(folder):
    found = Results.open(folder / "out")
    curve = found.facts["sizes"]["curve"]
    expected = found.expected([found.thresholds(each["t"]) for each in curve])["en"]
    assert [each["images"] for each in curve] == expected.round().tolist()
    assert [each["tail_share"] for each in curve] == [found.thresholds(each["t"]).tail_share for each in curve]
    assert (curve[0]["t"], curve[-1]["images"]) == (1, found.facts["rows"]["matched"])
    assert found.facts["sizes"]["judged"] == found.facts["rows"]["matched"]


def test_a_run_that_removed_hardly_anything_names_flags_that_balance(folder):
    facts = Results.open(folder / "out").facts
    choices = facts["sizes"]["choices"]
    assert [each["images"] / facts["rows"]["matched"] for each in choices] == pytest.approx([0.75, 0.5, 0.25], abs=0.02)
    page = (folder / "out" / "report.html").read_text("utf-8")
    for each in choices:
        flag = f"--english-threshold {each['t']}"
        assert f"{flag} {each['images']:,} images" in " ".join(summary(facts).split())
        assert f"<code>{flag}</code>" in page
    assert "Images kept, and tail share, over the English threshold; t is 20,000" in page
    again = run(folder, "again", english_threshold=choices[1]["t"])
    kept, deviation = again.facts["expected"]["kept"], again.facts["expected"]["standard_deviation"]
    assert kept == pytest.approx(choices[1]["images"], abs=1)
    assert abs(again.facts["rows"]["kept"] - kept) < 4 * deviation
    assert again.facts["sizes"]["choices"] == []
    assert "--english-threshold" not in summary(again.facts)


def test_of_many_images_a_sample_is_judged_and_the_page_says_so(folder, monkeypatch):
    monkeypatch.setattr(module, "SAMPLED_IMAGES", 500)
    sizes = run(folder, "sampled").facts["sizes"]
    assert sizes["judged"] == 500
    whole = Results.open(folder / "out").facts["sizes"]["curve"]
    errors = [abs(one["images"] - other["images"]) for one, other in zip(sizes["curve"], whole, strict=True)]
    assert 0 < max(errors) < 0.05 * 2_000
    assert "estimated from 500 of 2,000 images" in (folder / "sampled" / "report.html").read_text("utf-8")


@pytest.mark.parametrize("config", [{"balance": False}, {"metadata_of": "en"}])
def test_without_a_threshold_to_choose_nothing_is_said(folder, config):
    sizes = run(folder, "-".join(config), **config).facts.get("sizes")
    assert (sizes is None) == ("balance" in config)
