"""Semantic copies of a run are those of the naive twin, in the same bytes however the embeddings are cut and sent."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.clustering import semantic_copies as module
from curation.plugins.clustering.clip_cluster import ClusterRequest, cluster, cluster_lines, main
from curation.plugins.clustering.training import Centres, ClusterConfig, TrainedClusters
from curation.plugins.near_duplicates.vectors import MeaningLeaders
from curation.schemas import SEMANTIC_COPIES
from runtime.draws import draws
from runtime.errors import InputError
from runtime.folders.verify import verify
from runtime.wording import counted
from tests.naive.clusters import naive_centre, naive_unit
from tests.naive.semantic_copies import naive_copies, naive_cosine
from tests.support.embeddings import embeddings_of, uids_of
from tests.support.finished_run import FinishedRun, finished_run, image

pytestmark = pytest.mark.kernels

CONFIG = ClusterConfig(fine=5, coarse=2, texts="pool", same_meaning=0.95, seed=3)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> FinishedRun:
    return finished_run(tmp_path_factory.mktemp("run") / "r ü", [image(number) for number in range(240)], files=3)


def table_of(folder: Path, vectors: dict[str, np.ndarray], files: int, kind: pa.DataType) -> str:
    """Write a table in which some images have no embedding, some two, and some what is none."""
    folder.mkdir()
    names = [*vectors]
    odd = [[float("nan")] * 12, [0.0] * 12, None, [float("inf")] * 12]
    rows = [(uid, vectors[uid].tolist()) for uid in names]
    rows += [(uid, odd[number % 4]) for number, uid in enumerate(names[:8])]
    rows += [(uid, (-vectors[uid]).tolist()) for uid in names[8:16]] + [("f" * 32, [1.0] * 12)]
    rows = rows if files == 1 else rows[::-1]
    for number in range(files):
        uids, lists = zip(*rows[number::files], strict=True)
        table = pa.table({"uid": pa.array(uids), "embedding": pa.array(lists, kind)})
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=17)
    return str(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "copies").iterdir())}


def rows_of(folder: Path) -> list[dict]:
    table = pq.read_table(folder / "copies")
    assert table.schema.equals(SEMANTIC_COPIES)
    return table.to_pylist()


def require_right(folder: Path, vectors: dict[str, np.ndarray], cosine: float, *more: dict[str, int]) -> int:
    """Compare copies with the naive twin, given the clusters, and those of `more` looks; return how many there are."""
    clusters = {row["uid"]: row["fine"] for row in pq.read_table(folder / "clusters").to_pylist()}
    own = {uid: vectors[uid].tolist() for uid in clusters}
    expected = naive_copies(own, [clusters, *more], lambda uid: draws(CONFIG.seed, module.PURPOSE, [uid])[0], cosine)
    rows = rows_of(folder)
    assert {row["uid"]: row["copy_of"] for row in rows} == expected
    assert len(rows) == len(expected)
    for row in rows:
        assert row["cosine"] == pytest.approx(min(1.0, naive_cosine(own[row["uid"]], own[row["copy_of"]])), rel=1e-14)
    facts = json.loads((folder / "clusters.json").read_text())
    assert facts["copies"] == {"cosine": cosine, "images": len(rows), "of": len({*expected.values()})}
    assert f"copies of {counted(facts['copies']['of'], 'image')}, by a cosine of {cosine} or more" in cluster_lines(
        facts
    )
    return len(rows)


@pytest.mark.slow
def test_copies_are_those_of_the_naive_twin_in_the_same_bytes_however_embeddings_are_cut(
    run, engine, tmp_path, monkeypatch
):
    uids = uids_of(run)
    halves = {uid: vector.astype(np.float16) for uid, vector in embeddings_of(uids[:-9]).items()}
    wide = {uid: vector.astype(np.float64) * 2.0**500 for uid, vector in halves.items()}
    one = table_of(tmp_path / "one", halves, 1, pa.list_(pa.float16()))
    many = table_of(tmp_path / "many", wide, 5, pa.large_list(pa.float64()))
    a, b = tmp_path / "a", tmp_path / "b"
    cluster(engine, ClusterRequest(str(run.path), str(a), CONFIG, [one]))
    with monkeypatch.context() as patched:
        patched.setattr(module, "MIN_TASKS_PER_CORE", 1)  # fewer tasks that compare
        patched.setattr(module, "SENT_BYTES", 100)
        patched.setattr(module, "COMPARED_BYTES", 12 * 4 * 7)
        cluster(engine, ClusterRequest(str(run.path), str(b), CONFIG, [many]))
    assert contents(a) == contents(b)
    assert require_right(a, halves, 0.95) > 20
    assert [*contents(a)] == ["00000.parquet", "00001.parquet", "00002.parquet"]
    assert pq.read_schema(a / "copies" / "00000.parquet").metadata[module.COSINE] == b"0.95"
    copies = [row["uid"] for row in rows_of(a)]
    assert copies == [row["uid"] for row in run.images if row["uid"] in copies]
    assert verify(a).endswith("all 10 files are as they were written")

    alone = replace(CONFIG, fine=1, coarse=1, same_meaning=1.0)  # one cluster, then none is asked for
    cluster(engine, ClusterRequest(str(run.path), str(a), alone, [one], overwrite=True))
    assert require_right(a, halves, 1.0) > 5
    cluster(engine, ClusterRequest(str(run.path), str(a), replace(alone, same_meaning=None), [one], overwrite=True))
    assert not (a / "copies").exists()
    assert "copies" not in json.loads((a / "clusters.json").read_text())


@pytest.mark.slow
def test_more_looks_find_copies_that_a_clustering_parts(run, engine, tmp_path, monkeypatch):
    vectors = {uid: vector.astype(np.float16) for uid, vector in embeddings_of(uids_of(run)[:-9], groups=1).items()}
    wide = {uid: vector.astype(np.float64) * 2.0**500 for uid, vector in vectors.items()}
    one = table_of(tmp_path / "one", vectors, 1, pa.list_(pa.float16()))
    many = table_of(tmp_path / "many", wide, 5, pa.large_list(pa.float64()))
    made, of = list[TrainedClusters](), TrainedClusters.of
    monkeypatch.setattr(TrainedClusters, "of", lambda *given: made.append(of(*given)) or made[-1])
    config, found = replace(CONFIG, fine=12, same_meaning=0.95), []
    for looks in (None, 1, 2, 3):
        made.clear()
        folder = tmp_path / f"{looks}"
        cluster(engine, ClusterRequest(str(run.path), str(folder), replace(config, looks=looks), [one]))
        more = [{uid: number_of(vectors[uid], each.fine) for uid in vectors} for each in made[1:]]
        found.append(require_right(folder, vectors, 0.95, *more))
    assert found[0] == found[1] < found[2] < found[3]
    assert contents(tmp_path / "None") == contents(tmp_path / "1")
    cluster(engine, ClusterRequest(str(run.path), str(tmp_path / "b"), replace(config, looks=3), [many]))
    assert contents(tmp_path / "3") == contents(tmp_path / "b")
    assert verify(tmp_path / "3").endswith("all 10 files are as they were written")


def test_an_image_that_has_copies_from_an_earlier_look_stays():
    # Draws below 0.5 are those of images that have copies already.
    file, row = module.PLACE
    columns = {
        file.name: pa.array([0, 0, 0], file.type),
        row.name: pa.array([0, 1, 2], row.type),
        "uid": ["a", "b", "c"],
        "draw": [0.1, 0.2, 0.7],
        "vector": pa.FixedSizeListArray.from_arrays(pa.array([1.0, 0.0] * 3), 2),
    }
    rows = pa.table(columns).to_batches()
    with closing(MeaningLeaders(2, 0.9)) as leaders:
        (found,) = module._copies(iter(rows), leaders)
    assert dict(zip(found["uid"].to_pylist(), found["copy_of"].to_pylist(), strict=True)) == {"a": "a", "c": "a"}


def number_of(vector: np.ndarray, centres: Centres) -> int:
    return naive_centre(naive_unit(vector), centres.vectors.tolist(), centres.prices.tolist())


def test_looks_without_a_search_for_copies_are_refused():
    with pytest.raises(InputError, match="looks is used only in a search for copies; ask for one by same_meaning"):
        ClusterConfig(looks=2)


@pytest.mark.parametrize("cosine", [0, -0.5, 1.01, float("nan")])
def test_what_is_no_cosine_is_refused(cosine):
    with pytest.raises(InputError, match=r"same_meaning is .*; it is a cosine, above 0 and at most 1, as 0\.95"):
        ClusterConfig(same_meaning=cosine)


def test_the_command_names_the_flag_of_what_is_no_cosine(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--output", "clusters", "--same-meaning", "95"])
    assert "--same-meaning is 95; it is a cosine, above 0 and at most 1, as 0.95" in capsys.readouterr().err
