"""The two jobs as functions of a program: no prints, results returned, refusals raised."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, curate
from metadata import Entries, InputError, MetadataConfig, Sources, build_metadata


def forbidden():
    pytest.fail("Spark was started")


def test_curate_refuses_before_it_asks_for_a_session(tmp_path):
    with pytest.raises(InputError, match="none.parquet does not exist"):
        curate(
            [str(tmp_path / "none.parquet")],
            tmp_path / "out",
            metadata=Entries.build({"en": ["dog"]}),
            engine=forbidden,
        )
    assert not (tmp_path / "out").exists()


def test_a_build_that_counts_nothing_needs_no_session_and_returns_its_entries(tmp_path, capsys):
    sources = Sources.find(lists={"en": ["dog", "cat"]})
    built = build_metadata(forbidden, MetadataConfig(), sources, tmp_path / "metadata")
    assert built.digest == Entries.open(tmp_path / "metadata").digest
    assert len(built) == 2
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_curate_returns_the_results_and_prints_nothing(tmp_path, capfd):
    urls = [f"https://example.org/{number}.jpg" for number in range(40)]
    pq.write_table(pa.table({"url": urls, "text": ["a dog", "a photo of a cat"] * 20}), tmp_path / "pairs.parquet")
    capfd.readouterr()
    results = curate(
        [str(tmp_path / "pairs.parquet")],
        tmp_path / "out",
        metadata=Entries.build({"en": ["dog", "cat", "photo"]}),
        config=CurationConfig(english_threshold=5),
    )
    assert capfd.readouterr().out == ""
    assert results.facts["rows"]["images"] == 40
    assert pq.read_table(tmp_path / "out" / "curated").num_rows == results.facts["rows"]["kept"] > 0
