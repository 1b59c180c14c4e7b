"""After a download, the images that exist are those of which a try succeeded."""

import json
from hashlib import md5

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.export.card import About, card
from curation.export.forms import export
from curation.images.downloads import Downloads, existing, find_results, require_success, write_existing
from curation.runs.results import Results
from curation.schemas import MATCHED
from metadata import InputError
from runtime.storage.own_files import checksum_of, checksums_in, own_files
from runtime.tallies import Tallies
from tests.naive.export import naive_existing, naive_statuses
from tests.support.downloaded import collected, matched, results
from tests.support.finished_run import image, write_parts


def existing_of(batch: pa.RecordBatch, downloads: Downloads) -> tuple[pa.RecordBatch, dict[str, int]]:
    tallies = Tallies()
    kept = existing(batch, np.load(downloads.path), downloads.statuses, tallies)
    return kept, tallies.beginning("status.")


def test_matched_images_exist_where_a_try_succeeded(run, tmp_path):
    words = ("failed_to_download", "success", "failed_to_resize")
    rows = [{"uid": row["uid"], "status": words[n % 3]} for n, row in enumerate(run.images[:48])]
    again = [{"uid": row["uid"], "status": words[n % 2]} for n, row in enumerate(run.images[:10])]
    downloads = collected(tmp_path / "images", rows, again)
    batch, there = matched(run.images), naive_existing(run.images, rows + again)
    kept, statuses = existing_of(batch, downloads)
    named = list(naive_statuses(run.images, rows + again).values())
    assert kept.to_pylist() == there
    assert statuses["success"] == len(there) == named.count("success") > 16
    assert statuses["not_tried"] == 12
    assert sum(statuses.values()) == 60
    halves = [existing_of(part, downloads)[0].to_pylist() for part in (batch.slice(0, 7), batch.slice(7))]
    assert halves[0] + halves[1] == there
    empty, none = existing_of(batch.slice(0, 0), downloads)
    assert (empty.schema, none) == (MATCHED, {})


def test_without_a_uid_the_md5_of_the_url_tells_the_image(tmp_path):
    images = [image(0, "http://é/0") | {"uid": "5d1d4fbd0dc0a8a0f5c8f8f3b8a6b2bd"}, image(1, "http://é/1")]
    images[1]["uid"] = md5("http://é/1".encode()).hexdigest()
    rows = [{"url": row["url"], "status": "success"} for row in images]
    downloads = collected(tmp_path / "images", rows, columns=["url", "status"])
    assert existing_of(matched(images), downloads)[0].to_pylist() == [images[1]]


def test_a_download_in_which_nothing_succeeded_leaves_no_image_and_is_refused(run, tmp_path):
    statuses = (None, "failed_to_download")
    rows = [{"uid": row["uid"], "status": status} for row in run.images for status in statuses]
    kept, by_status = existing_of(matched(run.images), collected(tmp_path / "images", rows))
    assert (kept.num_rows, by_status) == (0, {"no_status": 60})  # of several failures the first that was met
    with pytest.raises(InputError, match=r"no matched image was downloaded \(60 no_status\); give the results"):
        require_success(by_status)


@pytest.mark.parametrize("rows", [[], [{"uid": "laion/7", "status": "success"}]])
def test_images_in_no_result_were_not_tried(run, tmp_path, rows):
    kept, by_status = existing_of(matched(run.images), collected(tmp_path / "images", rows))
    assert (kept.num_rows, by_status) == (0, {"not_tried": 60})


def test_existing_images_are_written_file_by_file(run, tmp_path):
    rows = [{"uid": row["uid"], "status": "success"} for row in run.images[20:30]]
    downloads = collected(tmp_path / "images", rows)
    tried, (first, second) = np.load(downloads.path, mmap_mode="r"), own_files(run.path / "matched", None, "")
    for file, images, found in ((first, run.images[20:30], {"success": 10, "not_tried": 20}), (second, [], None)):
        path = tmp_path / file.path.name
        tallies = write_existing(file, tried, downloads.statuses, path, row_group_rows=4)
        assert checksums_in(tallies) == {path.name: checksum_of(path)}
        assert tallies.beginning("status.") == dict(sorted((found or {"not_tried": 30}).items(), key=lambda x: -x[1]))
        assert pq.read_table(path).to_pylist() == images
        assert pq.read_schema(path).equals(MATCHED)


def test_what_is_made_of_matched_images_is_made_of_those_that_exist(run, tmp_path):
    """After a run over existing images the loader's texts are theirs: counts and probabilities are, too."""
    facts = json.loads((run.path / "run.json").read_text("utf-8"))
    there = run.images[5:25]
    write_parts(run.path / "existing", matched(there), files=2)
    facts["rows"] |= {"existing": len(there)}
    (run.path / "run.json").write_text(json.dumps(facts), "utf-8")
    export(run.path, tmp_path / "out", "metaclip", About())
    shards = [json.loads(path.read_text("utf-8")) for path in sorted((tmp_path / "out" / "texts").iterdir())]
    assert [uid for shard in shards for uid in shard] == [row["uid"] for row in there]
    assert sum(batch.num_rows for batch in Results.open(run.path).matched()) == len(there)
    assert f"with a matching text: 60; of these downloaded: {len(there)}; kept" in card(facts, About(), "Pairs")


def test_many_words_for_a_status_are_refused(tmp_path):
    rows = [{"uid": f"{n:032x}", "status": f"word {n}"} for n in range(300)]
    with pytest.raises(InputError, match="more than 256 different words for a status"):
        collected(tmp_path / "images", rows)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no results of img2dataset"):
        find_results([tmp_path])


@pytest.mark.parametrize("columns", [["uid", "url"], ["status"]])
def test_tables_that_are_no_results_are_refused(tmp_path, columns):
    with pytest.raises(InputError, match="results of img2dataset have status and uid or url"):
        collected(tmp_path / "images", [{}], columns=columns)


def test_an_unfinished_shard_is_refused(tmp_path):
    folder = results(tmp_path / "images", [{"uid": "a", "status": "success"}])
    (folder / "00001.parquet").write_bytes((folder / "00000.parquet").read_bytes()[:-30])
    with pytest.raises(InputError, match=r"00001.parquet cannot be read .* its shard is unfinished"):
        Downloads.collect(find_results([folder]), tmp_path / "tried.npy")
