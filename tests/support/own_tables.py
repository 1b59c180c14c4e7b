"""Tables of images that our own commands write, with what they record of them, and what is read of them again."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from curation.plugins.clustering import embeddings as embedding
from curation.plugins.clustering.embeddings import Embeddings
from curation.plugins.gate.evaluation import EvaluationSets
from curation.plugins.hashing import clip_hash as hashing
from curation.plugins.joins.image_tables import ImageTable
from curation.plugins.scoring.clip_score import ScoreRequest, score_images
from curation.plugins.tars.samples import find
from curation.run.finished_run import matched_files
from curation.run.results import Results
from runtime.folders.folder import Wanted, WorkItem, making
from runtime.shipping import Shipped
from tests.support.pictures import downloaded_tar
from tests.support.plain_scorer import PlainScorer


def write_hashes(tars: Path, folder: Path) -> None:
    """Write the hashes of the pictures in tars, as clip-hash does, without Spark."""
    sources = find([str(tars)])
    with making(None, folder, Wanted(hashing.HASHES, {"pdq": False}, grows=True)) as hashed:
        part = hashed.part([WorkItem([source], source) for source in sources])
        for task in hashing.tasks(item.content for item in part.missing):
            part.task(partial(hashing._hash, pdq=False))(WorkItem(task, task))
        part.commit()


def write_scores(tars: Path, folder: Path) -> None:
    """Write the scores of the images in tars, as clip-score does."""
    score_images(ScoreRequest([str(tars)], folder), PlainScorer())


def write_tars(folder: Path) -> Path:
    """Write two tars of twenty pictures each."""
    for number in range(2):
        downloaded_tar(folder / f"{number:05}.tar", range(20 * number, 20 * number + 20))
    return folder


class PlainEncoder:
    """An encoder without a model."""

    dimension = 3

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.array([[1, len(text), ord(text[0]) % 7] for text in texts], np.float32)


def write_embeddings(run: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the embeddings of a run's texts, as clip-cluster does, without Spark and without a model."""
    monkeypatch.setattr(embedding, "Encoder", lambda path: PlainEncoder())
    monkeypatch.setattr(embedding, "SPAN", 50)
    how = embedding.Embedding(Shipped(run), "pool", 0)
    with making(None, folder, Wanted(embedding.EMBEDDINGS, {"texts": "pool"}, grows=True)) as embedded:
        part = embedded.part(embedding.spans_of(matched_files(Results.open(run))))
        for item in part.missing:
            part.task(partial(embedding.embed, how=how))(item)
        part.commit()


def rows_of(folder: Path) -> object:
    """Return the rows of a table with the keys of their images, as gates and training read them."""
    table = ImageTable.find([str(folder)])
    batches = [batch for file in table.files for batch in table.read(file, table.columns.names)]
    return [row for batch in batches for row in batch.to_pylist()]


def evaluation_of(folder: Path) -> object:
    """Return what --decontaminate knows of a table."""
    sets = EvaluationSets.read([str(folder)], 4)
    kinds = sets.kinds
    return [each.tolist() for each in (kinds["url"].keys, kinds["sha256"].keys, kinds["phash"].words)]


def vectors_of(folder: Path) -> object:
    """Return what clip-cluster reads of embeddings."""
    found = Embeddings.find([str(folder)], "embedding")
    rows = [rows for file in found.table.files for rows in found.read(file)]
    return [(*(key.to_pylist() for key in each.keys), each.vectors.tolist(), each.unusable) for each in rows]
