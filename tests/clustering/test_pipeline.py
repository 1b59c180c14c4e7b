"""A finished run and embeddings become a table of clusters, the same however the embeddings are cut into files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.clustering import embeddings
from curation.plugins.clustering.clip_cluster import ClusterRequest, cluster, main
from curation.plugins.clustering.training import ClusterConfig
from curation.run.results import Results
from curation.schemas import CLUSTERS
from runtime.engine.local import Local
from runtime.errors import InputError
from runtime.folders.verify import verify
from tests.naive.clusters import naive_centre, naive_square, naive_unit
from tests.support.downloaded import all_bytes
from tests.support.embeddings import embeddings_of, uids_of, write_embeddings
from tests.support.finished_run import FinishedRun, finished_run, image
from tests.support.own_tables import PlainEncoder
from tests.support.refusals import refusal

CONFIG = ClusterConfig(fine=6, coarse=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> FinishedRun:
    return finished_run(tmp_path_factory.mktemp("run") / "r ü", [image(number) for number in range(240)], files=3)


def rows_of(folder) -> dict[str, dict]:
    table = pq.read_table(Path(folder) / "clusters")
    assert table.schema.equals(CLUSTERS)
    return {row["uid"]: row for row in table.to_pylist()}


def require_right(folder: Path, vectors: dict[str, np.ndarray]) -> None:
    """Compare the table with what the centres say, vector by vector."""
    fine, coarse = (pq.read_table(folder / f"{name}.parquet").to_pylist() for name in ("centres", "coarse_centres"))
    facts = json.loads((folder / "clusters.json").read_text())
    centres, prices = [row["centre"] for row in fine], [row["price"] for row in fine]
    rows = rows_of(folder)
    for uid, row in rows.items():
        vector = naive_unit(vectors[uid])
        number = naive_centre(vector, centres, prices)
        assert (row["fine"], row["coarse"]) == (number, fine[number]["coarse"])
        assert row["distance"] ** 2 == pytest.approx(naive_square(vector, centres[number]), abs=1e-5)
    for kind, stored in (("fine", fine), ("coarse", coarse)):
        sizes = [sum(row[kind] == number for row in rows.values()) for number in range(len(stored))]
        assert facts[f"{kind}_sizes"] == [row["images"] for row in stored] == sizes
    assert facts["inertia"] == pytest.approx(sum(row["distance"] ** 2 for row in rows.values()), rel=1e-6)


@pytest.mark.slow
def test_clusters_are_those_of_the_centres_however_embeddings_are_cut(run, engine, tmp_path):
    vectors = embeddings_of(uids_of(run))
    one = write_embeddings(tmp_path / "one", vectors, 1, pa.list_(pa.float32(), 12))
    backwards = dict(reversed(vectors.items()))
    many = write_embeddings(tmp_path / "many", backwards, 5, pa.large_list(pa.float64()))
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    cluster(engine, ClusterRequest(str(run.path), a, CONFIG, [one]))
    cluster(engine, ClusterRequest(str(run.path), b, CONFIG, [many]))
    for name in ("clusters/00000.parquet", "clusters/00001.parquet", "centres.parquet", "coarse_centres.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert [*rows_of(tmp_path / "a")] == [row["uid"] for row in run.kept]
    require_right(tmp_path / "a", vectors)

    other = replace(CONFIG, texts="pool")
    assert "holds clusters made differently (config texts curated, not pool)" in refusal_of(
        ClusterRequest(str(run.path), a, other, [one])
    )
    before = all_bytes(tmp_path / "a")
    assert cluster(None, ClusterRequest(str(run.path), a, CONFIG, [one]))["images"] == len(run.kept)
    assert all_bytes(tmp_path / "a") == before
    cluster(engine, ClusterRequest(str(run.path), a, other, [one], overwrite=True))
    pool = rows_of(tmp_path / "a")
    assert len(pool) == 240
    assert rows_of(tmp_path / "b").items() <= pool.items()
    require_right(tmp_path / "a", vectors)

    facts = json.loads((tmp_path / "a" / "clusters.json").read_text())
    assert facts["made_from"]["run"] == Results.open(run.path).digest
    assert facts["embeddings"] == {"dimension": 12, "rows": 242, "unusable": 1, "repeated": 1, "of_other_images": 1}
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(
        ["centres.parquet", "clusters", "clusters.html", "clusters.json", "coarse_centres.parquet"]
    )
    assert verify(tmp_path / "a").endswith("all 7 files are as they were written")
    damaged = tmp_path / "a" / "clusters" / "00002.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-9] + b"x" * 9)
    with pytest.raises(InputError, match=r"clusters/00002\.parquet is damaged; delete the files that are damaged"):
        verify(tmp_path / "a")


def refusal_of(request: ClusterRequest) -> str:
    with pytest.raises(InputError) as refused:
        cluster(lambda: pytest.fail("Spark is not needed"), request)
    return str(refused.value)


def test_what_cannot_be_used_is_refused_before_spark_starts(run, tmp_path, capsys, monkeypatch):
    embeddings = write_embeddings(tmp_path / "one", embeddings_of(uids_of(run)), 1, pa.list_(pa.float32()))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    assert "holds files that clip-cluster did not write (notes.txt)" in refusal_of(
        ClusterRequest(str(run.path), str(tmp_path / "other"), CONFIG, [embeddings])
    )
    out = str(tmp_path / "out")
    assert "pass the output folder of a finished run" in refusal_of(
        ClusterRequest(str(tmp_path), out, CONFIG, [embeddings])
    )
    assert "is in the input" in refusal_of(
        ClusterRequest(str(run.path), str(run.path / "clusters"), CONFIG, [embeddings])
    )
    assert "embedding_column" in refusal_of(
        ClusterRequest(str(run.path), out, CONFIG, [embeddings], embedding_column="clip")
    )
    monkeypatch.setattr("runtime.packages.find_spec", lambda name: None)
    message = refusal(capsys, main, run.path, "--output", out)
    assert message.startswith(
        "clip-cluster: sentence_transformers is not installed: pip install 'clip-curation[clusters]'"
    )
    assert "did you mean --embeddings" in refusal(capsys, main, run.path, "--output", out, "--embedding", embeddings)


def test_texts_are_embedded_once_and_again_where_a_file_is_damaged(run, tmp_path, monkeypatch):
    embedded = []

    class Counted(PlainEncoder):
        def encode(self, texts: list[str]) -> np.ndarray:
            embedded.append(len(texts))
            return super().encode(texts)

    monkeypatch.setattr(embeddings, "SPAN", 50)
    monkeypatch.setattr(embeddings, "Encoder", lambda path: Counted())
    monkeypatch.setattr(embeddings, "find_encoder", lambda name: run.path)
    monkeypatch.setattr(embeddings, "encoder_facts", lambda name, folder: {"name": name, "digest": name})
    request = ClusterRequest(str(run.path), str(tmp_path), replace(CONFIG, fine=4, texts="pool"))

    def cluster_again(**changed) -> int:
        embedded.clear()
        cluster(Local(1), replace(request, overwrite=True, **changed))
        return sum(embedded)

    assert cluster_again() == 240
    files = {path.name: path.read_bytes() for path in (tmp_path / "embeddings").iterdir()}
    assert {"_folder.json", "00000-00000.parquet"} < {*files}
    assert cluster_again(config=replace(request.config, fine=3)) == 0
    damaged = tmp_path / "embeddings" / "00001-00001.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-9] + b"x" * 9)
    assert cluster_again() == pq.ParquetFile(run.path / "matched" / "00001.parquet").metadata.num_rows - 50
    assert {path.name: path.read_bytes() for path in (tmp_path / "embeddings").iterdir()} == files
    other = replace(request, encoder="other")
    with pytest.raises(InputError, match=r"holds clusters made differently \(encoder name all-MiniLM-L6-v2, not other"):
        cluster(Local(1), other)
    assert cluster_again(encoder="other") == 240
