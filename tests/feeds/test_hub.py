"""What clip-export uploads to the Hub is read by the library `datasets`, as a stream."""

import pyarrow.parquet as pq
import pytest

from curation.leaves.export import clip_export as command
from metadata import Entries
from tests.hub.conftest import hub, running_hub  # noqa: F401  # fixtures
from tests.support.written_run import write_run

pytestmark = [pytest.mark.feeds, pytest.mark.filterwarnings("default")]
IMAGES = [[("a photo of a dog", "en", [0, 1])], [("ein Hund", "de", [2])], [("a dog", "en", [0])]] * 20


def test_an_upload_is_read_as_a_stream_and_described(hub, tmp_path):  # noqa: F811
    datasets = pytest.importorskip("datasets")
    run = write_run(tmp_path / "run", Entries.build({"en": ["dog", "photo"], "de": ["Hund"]}), IMAGES, 20)
    command.main([str(run), "--format", "huggingface", "--output", str(tmp_path / "out"), "--upload", "o/made"])
    rows = [*datasets.load_dataset("o/made", split="train", streaming=True)]
    kept = pq.read_table(run / "curated").to_pylist()
    assert sorted(row["uid"] for row in rows) == sorted(row["uid"] for row in kept)
    assert {"url", "text", "language"} <= {*rows[0]}
