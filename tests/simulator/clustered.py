"""The kind of clip-cluster that the simulator runs, over a small finished run.

The join of clusters with images, which is Spark's, is done at once in the driver. The encoder takes vectors from
digests of texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from hashlib import md5
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa

from curation.by_uid.tables import key_columns
from curation.clustering import embedding, joining, pipeline
from curation.clustering.config import ClusterConfig
from curation.clustering.pipeline import Request, cluster
from curation.run.verify import verify
from metadata.entries import Entries
from runtime import spark
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.storage.whole import read_json
from runtime.tallies import Tallies
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
        config, encoder = ClusterConfig(fine=4, coarse=2, texts="pool"), str(folder / ENCODER)
        request = Request(str(folder / RUN), str(output), config, encoder=encoder, overwrite=command.overwrite)
        cluster(session, request)

    def results(self, output: Path) -> dict[str, bytes]:
        facts = read_json(output / self.finished) or {}
        facts.pop("checksums", None)  # of which verify tells
        own = ("centres.parquet", "coarse_centres.parquet", "clusters.html")
        return contents(output, ("clusters",), own) | {self.finished: json.dumps(facts).encode()}

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
        for module, name, stand_in in (
            (joining, "write_clusters", _write_clusters),
            (embedding, "Encoder", _Encoder),
            (embedding, "SPAN", 12),
            (pipeline, "SPAN", 12),
            (pipeline, "find_encoder", Path),
            (pipeline, "described", lambda *_: {"name": "none", "digest": "0", "versions": {}}),
        ):
            stack.enter_context(patch.object(module, name, stand_in))
        yield


def _write_clusters(
    session: Session, files: Sequence[OwnFile], assigned: Sequence[OwnFile], output: joining.Output
) -> Tallies:
    """Stand in for the join of clusters with images; files are written by tasks, as they are by those of Spark."""
    rows = spark.over(session, list(assigned), batches, joining.ASSIGNED).toArrow().to_pylist()
    key, nearest = itemgetter("_uid_high", "_uid_low"), itemgetter("distance", "fine", "coarse_distance")
    own = {of: sorted(each, key=nearest) for of, each in groupby(sorted(rows, key=key), key)}
    tasks = []
    for number, file in enumerate(files):
        uids = pa.concat_arrays([batch["uid"] for batch in batches(file, columns=["uid"])])
        keys = zip(*(column.to_pylist() for column in key_columns(uids)), strict=True)
        found = [(row, own[each]) for row, each in enumerate(keys) if each in own]
        tasks.append([{"file": number, "row": row, **best[0], "more": len(best) - 1} for row, best in found])
    return spark.run(session, [each for each in tasks if each], partial(_write, files=list(files), output=output))


def _write(rows: list[dict], files: Sequence[OwnFile], output: joining.Output) -> Tallies:
    schema = pa.schema(
        [
            ("file", pa.int32()),
            ("row", pa.int64()),
            *((name, joining.ASSIGNED.field(name).type) for name in ("fine", "distance", "coarse_distance")),
            ("more", pa.int64()),
        ]
    )
    batch = pa.RecordBatch.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema)
    return Tallies(row for written in joining._write([batch], files, output) for row in written.to_pylist())
