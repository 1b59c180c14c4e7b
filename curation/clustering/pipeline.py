"""Cluster the images of a finished run: embed texts, train on a sample, assign each image, and write a page.

The output folder keeps the embeddings for the next run. `clusters.json` is written last: a folder with it is complete.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from curation.by_uid.by_key import Places
from curation.clustering import joining, vectors
from curation.clustering.config import ClusterConfig
from curation.clustering.copies import Comparison, write_copies
from curation.clustering.embedding import SPAN, Embedding, embed, embeddings_folder, files_of, missing_spans
from curation.clustering.encoder import DEFAULT, described, find_encoder
from curation.clustering.joining import Nearest
from curation.clustering.summary import (
    CENTRES,
    COARSE_CENTRES,
    FACTS,
    PAGE,
    Counted,
    facts_of,
    write_centres,
    write_page,
)
from curation.clustering.training import Clusters
from curation.clustering.vectors import Embeddings
from curation.run.finished import curated_files
from curation.run.results import Results
from runtime.engine.choice import Given, engine_of
from runtime.engine.interface import Engine
from runtime.errors import AGAIN, InputError
from runtime.progress import Progress
from runtime.redaction import hidden
from runtime.storage.arrays import save_array
from runtime.storage.locks import WORK
from runtime.storage.output_folders import claimed, require_apart
from runtime.storage.own_files import OwnFile, checksums_in, content_digest, own_files
from runtime.storage.parquet import read_table, rows_of
from runtime.storage.paths import names, remove
from runtime.storage.whole import Parts, finished, write_json
from runtime.tallies import Tallies

CLUSTERS, COPIES, EMBEDDINGS = "clusters", "copies", "embeddings"  # folders
OWN = {CLUSTERS, COPIES, EMBEDDINGS, FACTS, PAGE, CENTRES, COARSE_CENTRES, WORK}


@dataclass(frozen=True)
class Request:
    """The run whose images are clustered, where their embeddings come from, and into which folder."""

    run: str
    output: str
    config: ClusterConfig = field(default_factory=ClusterConfig)
    embeddings: Sequence[str] = ()  # tables; none: the texts are embedded
    column: str = "embedding"  # of these tables
    encoder: str = DEFAULT
    overwrite: bool = False

    def require_free(self, folder: Path) -> None:
        """Refuse a folder that holds something else, or clusters without `overwrite`."""
        found = finished(names(folder))
        if FACTS in found and not self.overwrite:
            raise InputError(f"output {folder} holds clusters; give another folder, or --overwrite")
        if not found <= OWN:
            raise InputError(f"output {folder} holds files that are no clusters; give an empty or new folder")


def cluster(engine: Given, request: Request, progress: Progress | None = None) -> dict[str, Any]:
    """Write the clusters of a run's images into a folder, and return the content of its clusters.json.

    The same call goes on after a run that broke off: texts that are embedded stay so. InputError for what cannot be
    used.
    """
    progress = progress or Progress()
    source = Results.open(request.run)
    given: Embeddings | Path = (
        Embeddings.find(request.embeddings, request.column) if request.embeddings else find_encoder(request.encoder)
    )
    require_apart(request.output, [source.path, *request.embeddings])
    with claimed(request.output, request.require_free) as parts:
        workers = engine_of(engine)
        workers.start(progress)
        workers.require_shared(parts.folder)
        with tempfile.TemporaryDirectory(prefix="clip-curation-") as local:
            steps = Steps(workers, request, source, parts, Path(local), progress)
            made_from = steps.made_from(given)
            embeddings = given if isinstance(given, Embeddings) else steps.embed(given, made_from)
            sample = steps.sample(embeddings)
            clusters = steps.train(sample)
            counted = steps.assign(embeddings, clusters, len(sample))
            return steps.finish(clusters, counted, made_from)


@dataclass(frozen=True)
class Steps:
    """The steps of a clustering, as the driver takes them."""

    engine: Engine
    request: Request
    run: Results
    parts: Parts
    local: Path  # artefacts for workers
    progress: Progress

    def made_from(self, given: Embeddings | Path) -> dict[str, Any]:
        """Return what clusters.json says of the run and of the embeddings, or of the encoder."""
        run = {"run": content_digest(self.run.path / "run.json")}
        if isinstance(given, Path):
            return run | {"tables": [], "encoder": described(self.request.encoder, given)}
        return run | {"tables": [hidden(path) for path, _ in given.table.files], "encoder": None}

    def embed(self, encoder: Path, made_from: dict[str, Any]) -> Embeddings:
        """Embed the texts that are not yet embedded."""
        texts, digest = self.request.config.texts, made_from["encoder"]["digest"]
        stamp = {"run": made_from["run"], "texts": texts, "encoder": digest, "images_per_file": SPAN}
        folder = embeddings_folder(self.parts.folder / EMBEDDINGS, stamp, self.request.overwrite)
        files = files_of(self.run, texts)
        missing, spans = missing_spans(files, [rows_of(file) for file in files], folder)
        if missing:
            with self.progress.stage(f"embed the texts of {len(missing)} of {spans} parts", unit="parts"):
                how = Embedding(self.engine.ship(encoder), texts, self._run_seed, folder)
                self.engine.run(missing, partial(embed, how=how))
        return Embeddings.find([str(folder)], "embedding")

    def sample(self, embeddings: Embeddings) -> np.ndarray:
        """Return the vectors of drawn images of the manifest."""
        config, files = self.request.config, curated_files(self.run)
        share = config.share(self.run.facts["rows"]["kept"], embeddings.dimension)
        with self.progress.stage(f"read the embeddings to train on, of {share:.0%} of the manifest"):
            keys = vectors.drawn_keys(self.engine, files, share, config.seed, self.parts.begin("drawn"))
            shipped = self.engine.ship(save_array(self.local / "keys.npy", keys))
            folder = self.parts.begin("sample")
            write = partial(vectors.write_vectors, embeddings=embeddings, keys=shipped, folder=folder)
            tallies = self.engine.run(list(enumerate(embeddings.table.files)), write)
            found = vectors.read_vectors(_own(folder, tallies), keys.shape[1], embeddings.dimension)
        if not len(found):
            raise InputError(
                f"none of the embeddings in {embeddings.table.name} is of an image of the manifest of {self.run.path}"
            )
        config.require_enough(len(found))
        return found

    def train(self, sample: np.ndarray) -> Clusters:
        """Train fine and coarse clusters on vectors."""
        config = self.request.config
        title = f"train {config.fine:,} fine and {config.coarse:,} coarse clusters on {len(sample):,} images"
        with self.progress.stage(title, unit="turns"):
            return Clusters.of(sample, config.fine, config.coarse, config.seed)

    def assign(self, embeddings: Embeddings, clusters: Clusters, trained_on: int) -> Counted:
        """Write the cluster of each image that has an embedding."""
        files = files_of(self.run, self.request.config.texts)
        folder, texts = self.parts.begin("assigned"), self.parts.begin("nearest")
        is_asked = self.request.config.same_meaning is not None
        with self.progress.stage("assign embeddings to clusters"):
            shipped = self.engine.ship(clusters.save(self.local / "clusters"))
            write = partial(joining.write_assigned, embeddings=embeddings, clusters=shipped, folder=folder)
            assigned = self.engine.run(list(enumerate(embeddings.table.files)), write)
        with self.progress.stage("join clusters with images"):
            to, chosen = self.parts.begin(CLUSTERS), self.parts.begin("chosen") if is_asked else None
            rows = _own(folder, assigned)
            how = joining.Output(to, texts, clusters.coarse_of, self.request.config.texts, self._run_seed, chosen)
            written = joining.write_clusters(self.engine, files, rows, how)
        sums = checksums_in(written)
        of_texts, of_chosen = (
            {name: sums.pop(name) for name in [*sums] if name.startswith(kind)}
            for kind in (joining.NEAREST_OF, joining.CHOSEN_OF)
        )
        nearest, images, copies = Nearest(), [*map(rows_of, files)], Tallies()
        for file in own_files(texts, of_texts, AGAIN):
            nearest.add(read_table(file))
        if chosen:
            copies = self.copies(embeddings, rows, own_files(chosen, of_chosen, AGAIN), images)
        return Counted(sum(images), trained_on, assigned, written, nearest, copies, sums)

    def copies(
        self, embeddings: Embeddings, assigned: Sequence[OwnFile], chosen: Sequence[OwnFile], images: Sequence[int]
    ) -> Tallies:
        """Write the images of each fine cluster that are copies of others, for files of so many images."""
        config, rows = self.request.config, Places.of([*map(rows_of, assigned)])
        cosine = config.same_meaning or 1.0
        with self.progress.stage(f"find copies, with a cosine of {cosine} or more"):
            how = Comparison(embeddings, rows, Places.of(images), config.fine, cosine, config.seed)
            return write_copies(self.engine, chosen, how, self.parts.begin(COPIES))

    def finish(self, clusters: Clusters, counted: Counted, made_from: dict[str, Any]) -> dict[str, Any]:
        """Write all but the embeddings under their names, clusters.json last; return its content."""
        folder = self.parts.folder
        sums = {f"{CLUSTERS}/{name}": each for name, each in counted.checksums.items()}
        sums |= {f"{COPIES}/{name}": each for name, each in checksums_in(counted.copies).items()}
        facts = facts_of(self.request.config, made_from, clusters, counted)
        remove(folder / FACTS)
        self.parts.finish(CLUSTERS)
        if "copies" in facts:
            self.parts.finish(COPIES)
        else:
            remove(folder / COPIES)
        sums |= write_centres(folder, clusters, facts)
        sums |= {PAGE: write_page(folder / PAGE, facts)}
        write_json(folder / FACTS, facts | {"checksums": sums})
        return facts

    @property
    def _run_seed(self) -> int:
        return self.run.facts["parameters"]["seed"]


def _own(folder: Path, tallies: Tallies) -> list[OwnFile]:
    return own_files(folder, checksums_in(tallies), AGAIN)
