"""What clip-export uploads to the Hub is read by the library `datasets`, as a stream, and by `mlcroissant`."""

import huggingface_hub
import pyarrow.parquet as pq
import pytest

from curation.plugins.export import clip_export as command
from metadata import Entries
from tests.support.written_run import write_run

pytestmark = [pytest.mark.feeds, pytest.mark.filterwarnings("default")]
IMAGES = [[("a photo of a dog", "en", [0, 1])], [("ein Hund", "de", [2])], [("a dog", "en", [0])]] * 20


@pytest.fixture
def kept(hub, tmp_path):
    """The rows of a run that has been exported and uploaded, for all to see."""
    run = write_run(tmp_path / "run", Entries.build({"en": ["dog", "photo"], "de": ["Hund"]}), IMAGES, 20)
    (tmp_path / "about.json").write_text('{"license": "cc-by-4.0"}')
    to_hub = ["--upload", "o/made", "--public", "--answers", str(tmp_path / "about.json")]
    command.main([str(run), "--format", "huggingface", "--output", str(tmp_path / "out"), *to_hub])
    return pq.read_table(run / "curated").to_pylist()


def test_an_upload_is_read_as_a_stream(hub, kept, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_ENDPOINT", hub.url)  # it may have been imported before, to stay offline
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
    rows = [*datasets.load_dataset("o/made", split="train", streaming=True)]
    assert sorted(row["uid"] for row in rows) == sorted(row["uid"] for row in kept)
    assert {"url", "text", "language"} <= {*rows[0]}
    entries = datasets.load_dataset("o/made", "entries", split="train", streaming=True)
    assert {row["entry"] for row in entries} == {"dog", "photo", "Hund"}


def test_mlcroissant_finds_the_description_on_the_hub_and_reads_what_was_downloaded(hub, kept, tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant")
    described = f"{hub.url}/datasets/o/made/resolve/main/croissant.json"
    metadata = mlcroissant.Dataset(jsonld=described).metadata
    assert (set(metadata.ctx.issues.errors), metadata.license) == (set(), ["cc-by-4.0"])
    assert [records.id for records in metadata.record_sets] == ["pairs", "entries"]
    folder = huggingface_hub.snapshot_download("o/made", repo_type="dataset", local_dir=tmp_path / "downloaded")
    records = mlcroissant.Dataset(jsonld=f"{folder}/croissant.json").records("pairs")
    assert [record["pairs/uid"].decode() for record in records] == [row["uid"] for row in kept]
