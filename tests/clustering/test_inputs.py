"""Embeddings are read from any column of lists; the text of an image is the one that sampling draws."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.balancing.sampling import sample_batch
from curation.plugins.clustering.embeddings import Embeddings, ranked, ranks_of, read_vectors, texts_of
from curation.plugins.clustering.training import ClusterConfig
from curation.plugins.near_duplicates.vectors import usable_numbers
from curation.schemas import MATCHED
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile
from tests.support.finished_run import image


def written(path, rows, kind, **more):
    try:
        column = pa.array(rows, kind)
        pq.write_table(
            pa.table({"uid": [f"u{number}" for number in range(len(rows))], **more, "embedding": column}), path
        )
        pq.read_table(path)  # which pyarrow 25 cannot, where a list of fixed size is null
    except (pa.ArrowTypeError, pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        pytest.skip(f"pyarrow {pa.__version__} cannot write and read {kind} ({error})")
    return Embeddings.find([str(path)], "embedding")


KINDS = [
    pa.list_(pa.float32()),
    pa.large_list(pa.float64()),
    pa.list_(pa.float16(), 2),
    pa.list_(pa.float32(), 2),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_lists_of_any_kind_become_vectors_of_length_1_and_what_is_none_is_counted(kind, tmp_path):
    nan, inf = float("nan"), float("inf")
    rows = [[3, 4], None, [nan, 1], [0, 0], [0, -2], [inf, 1], [1, None]]
    found = written(tmp_path / "a.parquet", rows, kind)
    (batch,) = found.read(found.table.files[0])
    assert found.dimension == 2
    assert batch.vectors == pytest.approx(np.array([[0.6, 0.8], [0, -1]]), abs=1e-7)
    assert (len(batch.keys[0]), batch.unusable) == (2, 5)


def test_a_slice_gives_the_vectors_of_its_rows():
    column = pa.array([[9.0, 9.0], [3.0, 4.0], None, [0.0, 2.0], [9.0, 9.0]], pa.list_(pa.float32(), 2))
    vectors, rows = usable_numbers(column.slice(1, 3), 2, "a")
    assert rows.tolist() == [0, 2]
    assert vectors.tolist() == [[3, 4], [0, 2]]
    assert usable_numbers(column.slice(2, 1), 2, "a")[0].shape == (0, 2)


def test_embeddings_of_different_length_are_refused(tmp_path):
    found = written(tmp_path / "a.parquet", [[1.0, 2.0], [1.0, 2.0, 3.0]], pa.list_(pa.float32()))
    with pytest.raises(InputError, match=r"a\.parquet: an embedding has 3 numbers, and the first one has 2"):
        list(found.read(found.table.files[0]))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            pa.array(["1,2"]),
            "column embedding of .* has the type string; expected embeddings as lists of floating-point numbers",
        ),
        (pa.array([[1, 2]]), "has the type list<.*int64>; expected embeddings as lists"),
        (pa.array([None], pa.list_(pa.float32())), "has no embedding: column embedding is null in every row"),
    ],
)
def test_a_column_that_holds_no_embeddings_is_refused(column, message, tmp_path):
    with pytest.raises(InputError, match=message):
        written(tmp_path / "a.parquet", column, column.type)
    with pytest.raises(InputError, match=r"has the columns uid, embedding; expected .*embedding_column"):
        Embeddings.find([str(tmp_path)], "vector")


def test_the_text_of_an_image_of_the_pool_is_that_of_the_manifest():
    batch = pa.RecordBatch.from_pylist([image(number) for number in range(200)], MATCHED)
    curated = sample_batch(batch, np.ones(7), seed=5).select(["uid", "text", "language"])
    pool = {row["uid"]: row for row in texts_of(batch.slice(10), seed=5).to_pylist()}
    assert len(curated) > 100
    assert [row for row in curated.to_pylist() if row["uid"] not in pool or pool[row["uid"]] != row] == (
        [row for row in curated.to_pylist() if row["uid"] in set(batch["uid"].slice(0, 10).to_pylist())]
    )


@pytest.mark.parametrize("differing", ["high", "low"])
def test_ranks_of_drawn_keys_are_found_also_where_one_half_of_all_keys_is_the_same(differing):
    random = np.random.default_rng(0)
    half, same, draw = random.permutation(400)[:300] - 100, np.full(300, 7), random.random(300)
    halves = (half, same) if differing == "high" else (same, half)
    drawn = ranked(*(each[:200] for each in halves), draw[:200])
    expected = [*np.argsort(np.argsort(draw[:200])).tolist(), *[-1] * 100]
    assert ranks_of(drawn, *halves).tolist() == expected
    assert ranks_of(drawn, halves[0], halves[1] + 1000).max() == -1
    assert ranks_of(drawn[:, :0], *halves).max() == -1


def test_training_leaves_out_images_that_a_table_lacks_or_has_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("curation.plugins.clustering.embeddings._ROW_GROUP", 2)
    for number, ranks in enumerate(([6, 1, 3], [3, 0, 5])):
        vectors = pa.array([[each, -each] for each in ranks], pa.list_(pa.float32(), 2))
        pq.write_table(pa.table({"rank": pa.array(ranks), "vector": vectors}), tmp_path / f"{number}.parquet")
    files = [OwnFile(tmp_path / f"{number}.parquet", None, "") for number in range(2)]
    assert read_vectors(files, 8, dimension=2).tolist() == [[each, -each] for each in (0, 1, 5, 6)]


def test_small_manifests_are_trained_on_whole_and_large_ones_on_what_memory_holds():
    config = ClusterConfig(fine=64)
    assert config.share(50_000, dimension=384) == 1
    assert config.share(5_242_880, dimension=384) == 0.1
    assert config.share(10**8, dimension=384) * 10**8 == pytest.approx((2 << 30) / 1536)
    with pytest.raises(InputError, match=r"500 embeddings are too few to train 64 fine clusters; ask for at most 62"):
        config.require_enough(500)
    with pytest.raises(InputError, match="4 coarse clusters cannot be made of 3 fine ones"):
        ClusterConfig(fine=3)
