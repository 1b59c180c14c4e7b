"""Join the clusters of embeddings to the images of a run by uid, and write one file of clusters per file of images.

The texts nearest to each centre are collected in the same pass.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.image_ids import KEY
from curation.plugins.clustering.embeddings import COLUMNS, TEXT, Embeddings, texts_of
from curation.plugins.clustering.training import TrainedClusters
from curation.plugins.joins.image_tables import File
from curation.plugins.joins.uid_join import Join, Table, first_by, images_in
from curation.schemas import CLUSTERS, MATCHED_ROW_GROUP
from runtime.cogroup import PLACE, RowStream
from runtime.engine import Engine
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import PartWriter, batches, part_writer, row_counts, write_rows, write_tables
from runtime.tallies import Tallies, TaskResult

# A row per embedding, with its fine cluster and its distances to the fine and the coarse centre.
ASSIGNED = pa.schema(
    [
        *KEY,
        pa.field("fine", pa.int32()),
        pa.field("distance", pa.float32()),
        pa.field("coarse_distance", pa.float32()),
        pa.field("position", pa.int64()),  # = number of the file << ROW_BITS | index among its usable embeddings
    ]
)
ROW_BITS = 40  # the number of low bits of a position, which hold the index
FINE, COARSE = "fine", "coarse"
# An image's embeddings are sorted by these columns, and the first embedding is used.
_NEARER = ("distance", "fine", "coarse_distance", "position")
NEAREST_OF = "nearest-"  # the prefix of the file of nearest texts, before the name of the file of clusters
CHOSEN_OF = "chosen-"  # the prefix of the file that states which embedding of each image is used
INERTIA = "inertia"  # Each fact of this name is the number of a file, as text, and its sum of squared distances.
TEXTS_SHOWN = {FINE: 5, COARSE: 12}  # the most texts that are kept for a cluster of each kind
CHARACTERS = 300  # Texts are cut to this number of characters.
NEAREST = pa.schema(
    [
        pa.field("cluster", pa.int32()),  # the number of a fine cluster, or ~number of a coarse cluster
        pa.field("distance", pa.float32()),
        *TEXT,
    ]
)
CHOSEN = pa.schema([TEXT.field("uid"), *PLACE, ASSIGNED.field("fine"), ASSIGNED.field("position")])
_NEAREST_FIRST = [(name, "ascending") for name in ("cluster", "distance", "uid")]
_ROW_GROUP = 1 << 16

Number = TypeVar("Number", int, np.ndarray)


@dataclass(frozen=True)
class JoinedOutput:
    """The folders for files of clusters and of nearest texts, and the parameters of the tasks that write these.

    `coarse_of` has the coarse cluster of each fine cluster. `texts` says which images get a cluster: curated or pool.
    `seed` is the seed of the run. If `chosen` is a folder, files of CHOSEN are written to it.
    """

    clusters: Path
    nearest: Path
    coarse_of: np.ndarray
    texts: str
    seed: int
    chosen: Path | None = None


class Nearest:
    """The texts nearest to each cluster's centre, each text once per cluster, as rows of NEAREST."""

    def __init__(self) -> None:
        self.rows = NEAREST.empty_table()

    def add(self, rows: pa.Table) -> None:
        """Add rows of NEAREST, and keep only the nearest texts of each cluster."""
        held = pa.concat_tables([self.rows, rows]).sort_by(_NEAREST_FIRST)
        texts = held["text"].combine_chunks().dictionary_encode().indices.to_numpy()
        clusters = held["cluster"].to_numpy()
        _, first = np.unique(clusters.astype(np.int64) * (len(held) + 1) + texts, return_index=True)
        distinct = np.sort(first)
        held = held.take(pa.array(distinct))
        clusters = clusters[distinct]
        rank = np.arange(len(held)) - np.searchsorted(clusters, clusters)
        most = np.where(clusters < 0, TEXTS_SHOWN[COARSE], TEXTS_SHOWN[FINE])
        self.rows = held.filter(pa.array(rank < most)).combine_chunks()

    def of(self, kind: str, clusters: int) -> list[list[dict]]:
        """Return a list of texts for each of `clusters` clusters of a kind (fine or coarse), the nearest text first.

        A text is a dictionary with text, language, uid and distance.
        """
        texts: dict[int, list[dict]] = {_own_number(kind, cluster): [] for cluster in range(clusters)}
        for row in self.rows.to_pylist():
            if row["cluster"] in texts:
                texts[row["cluster"]].append({name: row[name] for name in ("text", "language", "uid", "distance")})
        return [*texts.values()]


def nearest_rows(kind: str, clusters: np.ndarray, distances: pa.Array, texts: pa.RecordBatch) -> pa.Table:
    """Return rows of NEAREST for the rows of TEXT in `texts`; a text is cut to CHARACTERS.

    `kind` is fine or coarse: `clusters` has the number of each row's cluster of this kind, `distances` the row's
    distance to its centre.
    """
    cut = pc.utf8_slice_codeunits(texts["text"], 0, CHARACTERS)
    columns = [pa.array(_own_number(kind, clusters)), distances, texts["uid"], cut, texts["language"]]
    return pa.Table.from_arrays(columns, schema=NEAREST)


def _own_number(kind: str, cluster: Number) -> Number:
    """Return a cluster's number in rows of NEAREST: `cluster` for a fine cluster, ~cluster for a coarse cluster."""
    return cluster if kind == FINE else ~cluster


def write_assigned(numbered: tuple[int, File], embeddings: Embeddings, clusters: Shipped, folder: Path) -> TaskResult:
    """Write the cluster of each embedding in a file as rows of ASSIGNED; count `embeddings` and `unusable`.

    `numbered` is the number of the file, and its path and version.
    """
    number, file = numbered
    result = TaskResult()
    opened = clusters.opened(TrainedClusters.open)

    def assigned() -> Iterator[pa.RecordBatch]:
        position = number << ROW_BITS
        for rows in embeddings.read(file):
            result.add("unusable", rows.unusable)
            result.add("embeddings", len(rows.vectors))
            positions = np.arange(position, position + len(rows.vectors))
            position += len(rows.vectors)
            columns = map(pa.array, (*opened.distances(rows.vectors), positions))
            yield pa.RecordBatch.from_arrays([*rows.keys, *columns], schema=ASSIGNED)

    return write_rows(folder / f"{number:05d}.parquet", ASSIGNED, _ROW_GROUP, assigned()) + result


def write_clusters(
    engine: Engine, files: Sequence[OwnFile], assigned: Sequence[OwnFile], output: JoinedOutput
) -> TaskResult:
    """Write a file of CLUSTERS for each file of images that has images with embeddings; return counts and checksums.

    `assigned` are files of ASSIGNED. If an image has several embeddings, the one nearest to its centre is used.
    """
    fields = [ASSIGNED.field(name) for name in _NEARER]
    embeddings = Table(assigned, sum(row_counts(assigned)), batches, _nearest, fields)
    return Join(images_in(files), [embeddings]).write(engine, _write_file, list(files), output)


def _nearest(rows: pa.RecordBatch, images: np.ndarray) -> np.ndarray:
    return first_by(rows, images, _NEARER)


def _write_file(number: int, stream: RowStream, files: Sequence[OwnFile], output: JoinedOutput) -> TaskResult:
    """Write clusters, nearest texts and, if asked for, chosen embeddings of the images in the file `number`.

    Nothing is written if no image has an embedding. Return counts and checksums.
    """
    if not stream.has(number):
        return TaskResult()
    result = TaskResult()
    nearest = Nearest()
    path = output.clusters / f"{number:05d}.parquet"
    inertia = 0.0
    choosing: AbstractContextManager[PartWriter | None] = nullcontext()
    if output.chosen:
        choosing = part_writer(output.chosen / f"{CHOSEN_OF}{path.name}", CHOSEN, _ROW_GROUP)
    with part_writer(path, CLUSTERS, _ROW_GROUP) as writer, choosing as chosen:
        for joined, texts in _joined(number, files[number], stream, output):
            fine = joined["fine"].to_numpy()
            coarse = output.coarse_of[fine]
            columns = [texts["uid"], joined["fine"], pa.array(coarse), joined["distance"]]
            writer.write(pa.RecordBatch.from_arrays(columns, schema=CLUSTERS))
            if chosen:
                columns = [texts["uid"], *(joined[name] for name in CHOSEN.names[1:])]
                chosen.write(pa.RecordBatch.from_arrays(columns, schema=CHOSEN))
            nearest.add(nearest_rows(FINE, fine, joined["distance"], texts))
            nearest.add(nearest_rows(COARSE, coarse, joined["coarse_distance"], texts))
            inertia += float(np.square(joined["distance"].to_numpy().astype(np.float64)).sum())
            _count(joined, coarse, texts, result)
    result.note(INERTIA, [str(number), inertia])
    result.files[path.name] = writer.checksum
    if chosen and output.chosen:
        result.files[f"{CHOSEN_OF}{path.name}"] = chosen.checksum
    path = output.nearest / f"{NEAREST_OF}{path.name}"
    result.files[path.name] = write_tables(path, [nearest.rows], NEAREST)
    return result


def _joined(
    number: int, file: OwnFile, stream: RowStream, output: JoinedOutput
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Yield two batches at a time, with a row for each image that has an embedding: rows of the join, and of TEXT."""
    end = 0
    for batch in batches(file, MATCHED_ROW_GROUP, COLUMNS[output.texts]):
        begin, end = end, end + batch.num_rows
        joined = stream.take(number, begin, end)
        if joined is not None:
            yield joined, texts_of(batch.take(pc.subtract(joined["row"], begin)), output.seed)


def _count(joined: pa.RecordBatch, coarse: np.ndarray, texts: pa.RecordBatch, tallies: Tallies) -> None:
    """Tally the images in `joined`: all, by fine cluster, and by coarse cluster and language."""
    tallies.add("images", joined.num_rows)
    for number, images in enumerate(np.bincount(joined["fine"].to_numpy())):
        if images:
            tallies.add(FINE, int(images), item=number)
    table = pa.table({COARSE: coarse, "language": texts["language"]}).group_by([COARSE, "language"])
    for row in table.aggregate([([], "count_all")]).to_pylist():
        tallies.add(COARSE, row["count_all"], item=row[COARSE], language=row["language"])
