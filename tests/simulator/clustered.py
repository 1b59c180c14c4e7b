"""The kind of clip-cluster that the simulator runs, over a small finished run.

The join of clusters with images, which is Spark's, is done at once in the driver. The encoder takes vectors from
digests of texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from hashlib import md5
from pathlib import Path
from unittest.mock import patch

import numpy as np

from curation.plugins.clustering import embeddings
from curation.plugins.clustering.clip_cluster import ClusterRequest, cluster
from curation.plugins.clustering.training import ClusterConfig
from metadata.entries import Entries
from runtime.folders.verify import verify
from runtime.storage.json_files import read_json
from tests.simulator.engine import Session
from tests.simulator.kind import Command, Kind, contents
from tests.support.written_run import write_run

RUN, ENCODER = "run", "encoder"
_IMAGES = [[(f"a dog {number}", "en", [0, 1])] for number in range(40)]


class Clustering(Kind):
    """Clusters of all images of a run."""

    name = "clusters"
    most = 1
    finished = "clusters.json"
    refuses_finished = True

    def prepare(self, folder: Path) -> None:
        (folder / ENCODER).mkdir()
        (folder / ENCODER / "model").write_text("a model")
        write_run(folder / RUN, Entries.build({"en": ["a", "dog"]}), _IMAGES, t=40)

    def settings(self, command: Command) -> AbstractContextManager:
        return _without_frames()

    def call(self, session: Session, folder: Path, command: Command, output: Path) -> None:
        config, encoder = ClusterConfig(fine=4, coarse=2, texts="pool", same_meaning=0.9), str(folder / ENCODER)
        request = ClusterRequest(str(folder / RUN), str(output), config, encoder=encoder, overwrite=command.overwrite)
        cluster(session, request)

    def results(self, output: Path) -> dict[str, bytes]:
        facts = read_json(output / self.finished) or {}
        facts.pop("checksums", None)  # of which verify tells
        own = ("centres.parquet", "coarse_centres.parquet", "clusters.html")
        return contents(output, ("clusters", "copies"), own) | {self.finished: json.dumps(facts).encode()}

    def require_whole(self, output: Path) -> None:
        verify(output)


CLUSTERING = (Clustering(),)


class _Encoder:
    """An encoder without a model."""

    dimension = 4

    def __init__(self, folder: Path):
        self._salt = (folder / "model").read_bytes()

    def encode(self, texts: list[str]) -> np.ndarray:
        digests = [md5(self._salt + text.encode()).digest()[: self.dimension] for text in texts]
        return np.array([[*digest] for digest in digests], np.float32) - 127.5


@contextmanager
def _without_frames() -> Iterator[None]:
    with ExitStack() as stack:
        for name, stand_in in (
            ("Encoder", _Encoder),
            ("SPAN", 12),
            ("find_encoder", Path),
            ("encoder_facts", lambda *_: {"name": "none", "digest": "0", "versions": {}}),
        ):
            stack.enter_context(patch.object(embeddings, name, stand_in))
        yield
