"""The clusters of a run's images come from tables by uid, sorted into one file."""

import pickle
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import clusters as module
from curation.plugins.annotations.clusters import Clusters
from curation.run.results import Results
from runtime.errors import InputError
from runtime.storage.checksums import checksum_of
from runtime.storage.json_files import write_json
from tests.naive.experts import naive_clusters
from tests.support.cluster_tables import cluster_rows, write_folder, write_table
from tests.support.online_run import image, images, write_run

OTHERS = [f"{number:032x}" for number in range(40)] + ["x", "é" * 20]  # of images that the run has not


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path / "run", images(300))
    return Results.open(tmp_path / "run")


def uids_of(run, part="matched"):
    return pq.read_table(run.path / part, columns=["uid"])["uid"].to_pylist()


@pytest.mark.parametrize("part_rows", [1, 500, 1 << 20])
def test_each_image_finds_its_own_clusters_whatever_the_order(run, tmp_path, monkeypatch, part_rows):
    monkeypatch.setattr(module, "PART_ROWS", part_rows)
    uids = uids_of(run)
    rows = cluster_rows(uids + OTHERS)
    found = module.build([write_folder(tmp_path / "clusters", rows)], run, tmp_path / "store")
    asked = Random(1).sample(uids, len(uids)) + ["missing", "e" * 32]
    for part in (asked, asked[7:19], []):
        expected = naive_clusters(rows, part)
        assert found.clusters.of(pa.array(part, pa.string())).to_pylist() == expected
        assert found.clusters.coarse(pa.array(part, pa.string())).tolist() == [
            -1 if row["coarse"] is None else row["coarse"] for row in expected
        ]
    assert found.clusters.of(pa.array(["", *asked]).slice(1, 9)).to_pylist() == naive_clusters(rows, asked[:9])
    of_run = [row for row in rows if row["uid"] in {*uids}]
    assert (len(found.clusters), found.images, found.without) == (len(of_run), 300, 300 - len(of_run))
    assert found.clusters.of(pa.array(OTHERS)).to_pylist() == naive_clusters([], OTHERS)  # none of the run's


def test_the_kept_images_of_each_cluster_are_counted(run, tmp_path):
    rows = cluster_rows(uids_of(run))
    found = module.build([write_table(tmp_path / "t.parquet", rows)], run, tmp_path / "store").clusters
    kept = {*uids_of(run, "curated")}
    of_kept = [row["coarse"] for row in rows if row["uid"] in kept]
    assert found.kept == {cluster: of_kept.count(cluster) for cluster in {*of_kept}}


def test_another_process_maps_the_same_file(run, tmp_path):
    uids = uids_of(run)
    found = module.build([write_table(tmp_path / "t.parquet", cluster_rows(uids))], run, tmp_path / "store").clusters
    other = pickle.loads(pickle.dumps(found))
    assert other.digest == found.digest
    assert other.of(pa.array(uids)).equals(found.of(pa.array(uids)))


@pytest.mark.parametrize("part_rows", [1, 9, 1 << 20])
def test_keys_of_any_sign_with_equal_halves_and_zeros_at_the_end_are_told_apart(tmp_path, monkeypatch, part_rows):
    monkeypatch.setattr(module, "PART_ROWS", part_rows)
    uids = [f"{first}{'0' * 14}{second:016x}" for first in ("00", "7f", "80", "ff") for second in (0, 1, 256, 2**63)]
    write_run(tmp_path / "run", [image(number, [[0]]) | {"uid": uid} for number, uid in enumerate(uids)])
    rows = [row for row in cluster_rows(uids, without=0) if row["uid"][-1] != "1"]
    path = write_table(tmp_path / "t.parquet", rows)
    found = module.build([path], Results.open(tmp_path / "run"), tmp_path / "store").clusters
    assert found.of(pa.array(uids)).to_pylist() == naive_clusters(rows, uids)
    assert len(found) == 12


def test_a_table_may_have_coarse_clusters_alone_urls_and_other_types(run, tmp_path):
    uids = uids_of(run)
    rows = [row | {"fine": None, "distance": None} for row in cluster_rows(uids)]
    urls = dict(zip(uids, pq.read_table(run.path / "matched")["url"].to_pylist(), strict=True))
    for named in ({"uid": [row["uid"] for row in rows]}, {"url": [urls[row["uid"]] for row in rows]}):
        for kind in (pa.int64(), pa.uint8(), pa.float64()):
            coarse = pa.array([row["coarse"] for row in rows], kind)
            pq.write_table(pa.table(named | {"coarse": coarse}), tmp_path / "t.parquet")
            found = module.build([str(tmp_path / "t.parquet")], run, tmp_path / "store").clusters
            assert found.of(pa.array(uids)).to_pylist() == naive_clusters(rows, uids)


def test_a_row_that_is_repeated_counts_once(run, tmp_path):
    rows = cluster_rows(uids_of(run))
    found = module.build([write_table(tmp_path / "t.parquet", rows * 2)], run, tmp_path / "store")
    assert (len(found.clusters), found.without) == (len(rows), 300 - len(rows))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"uid": ["e" * 32]}, "none of the rows of .* belongs to an image of"),
        ({"text": ["x"]}, "has the columns uid, text; expected a folder of clip-cluster, or Parquet files"),
        ({"coarse": [None]}, "a row has null as coarse"),
        ({"coarse": [-1]}, "a row has -1 as coarse"),
        ({"coarse": [2**31]}, "the column coarse has a value that is not of the type int32"),
        ({"coarse": [0.5]}, "the column coarse has a value that is not of the type int32"),
        ({"coarse": ["a"]}, "the column coarse has a value that is not of the type int32"),
        ({"coarse": [1], "fine": [None]}, "a row has null as fine"),
        ({"coarse": [1], "fine": [-3]}, "a row has -3 as fine"),
        ({"coarse": [1, 2]}, "put the image UID into two clusters, 1 and 2"),
        ({"coarse": [1, 1], "fine": [4, 3]}, r"into two clusters, 1 and 1 \(fine 4 and 3\)"),
        ({"coarse": [1], "distance": ["far"]}, "the column distance has a value that is not of the type float"),
    ],
)
def test_tables_that_are_of_no_use_are_refused(run, tmp_path, change, fault):
    rows = len(next(iter(change.values())))
    uid = uids_of(run)[0]
    columns = {"uid": [uid] * rows} | ({"coarse": [0]} if "uid" in change else {}) | change
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=fault.replace("UID", uid)):
        module.build([str(tmp_path / "t.parquet")], run, tmp_path / "store")
    assert not list(tmp_path.glob("*store*"))


def test_what_is_no_file_of_clusters_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"x does not exist; pass a file of clusters, or build them again with cur"):
        Clusters.open(tmp_path / "x")
    with pa.ipc.new_file(tmp_path / "empty.arrow", pa.schema([])):
        pass
    without_rows = (tmp_path / "empty.arrow").read_bytes()
    for rows, fault in ((b"x", r"x is damaged \(.*\)"), (without_rows, "x does not hold clusters of version 1")):
        (tmp_path / "x").write_bytes(rows)
        write_json(tmp_path / "x.json", {"crc32": checksum_of(tmp_path / "x")})
        with pytest.raises(InputError, match=rf"{fault}; build them again with curation.clusters.build"):
            Clusters.open(tmp_path / "x")


def test_distances_that_are_missing_are_null(run, tmp_path):
    uids = uids_of(run)[:3]
    columns = {"uid": uids, "coarse": [0, 1, 2], "distance": pa.array([0.5, None, np.nan], pa.float64())}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = module.build([tmp_path / "t.parquet"], run, tmp_path / "store").clusters
    assert found.of(pa.array(uids))["distance"].to_pylist() == [0.5, None, None]
