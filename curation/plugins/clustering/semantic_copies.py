"""Find semantic copies: images of one fine cluster whose embeddings have a cosine of at least a threshold.

This is SemDeDup (arXiv 2303.09540), but with leaders: a *leader* has no earlier leader with at least that cosine; any
other vector is a *copy* of the first leader with at least that cosine (DESIGN.md gives the reasons). Rows travel in
three steps: images to the task that reads the file of their embedding, vectors to the task of their fine cluster, and
copies to the task of their file of images.

A *look* is one such search. A further look searches the images that are not yet copies, by another clustering; there
the leaders that have copies come first, and do not become copies.

Results are the same to the bit for any block size and any matrix library, as in `near_duplicates.vectors`.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.image_ids import key_columns
from curation.plugins.clustering.embeddings import Embeddings, lists_of, units
from curation.plugins.clustering.joining import CHOSEN, ROW_BITS
from curation.plugins.clustering.training import TrainedClusters
from curation.plugins.near_duplicates.vectors import MeaningLeaders, scaled
from curation.schemas import COSINE, SEMANTIC_COPIES
from runtime.arrow import differs, one_array, one_batch
from runtime.buckets import MIN_TASKS_PER_CORE, MOST_BUCKETS, buckets_for
from runtime.cogroup import PLACE, Grouping, Places, Rows, RowStream, Side, cogroup, rows_by_place
from runtime.draws import draws
from runtime.engine import Engine
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, read_table, row_counts, write_rows
from runtime.tallies import Tallies, TaskResult

PURPOSE = "semantic copies"  # the purpose of the draws that order images
TASK_BYTES = 64 << 20  # the bytes of vectors for each task that compares
SENT_BYTES = 1 << 20  # the bytes of vectors that are packed into blocks at a time
COMPARED_BYTES = 32 << 20  # the most bytes of vectors of a cluster that are compared at a time
_READ_ROWS = 1 << 16
_ROW_GROUP = 1 << 16
_IMAGE = [pa.field(f"image_{field.name}", field.type) for field in PLACE]
_LEADS = pa.field("leads", pa.bool_())  # whether an earlier look found copies of an image
# In _SENT, PLACE is the file and the row of the embedding; _IMAGE has the file and the row of the image.
_SENT = pa.schema([*PLACE, CHOSEN.field("uid"), CHOSEN.field("fine"), _LEADS, *_IMAGE])
_FOUND = pa.schema([*PLACE, *SEMANTIC_COPIES])  # A leader that has copies also has a row here, as its own copy.


@dataclass(frozen=True)
class MeaningComparison:
    """The parameters of one search for copies, a look.

    `cosine` is the least cosine of copies, and `seed` decides the order in which images are compared. For a further
    look, `clusters` has its clustering, and `before` has the results of all earlier looks: a file with the schema
    _FOUND for each file of images.
    """

    embeddings: Embeddings
    rows: Places  # how rows travel to the tasks of files of embeddings
    images: Places  # how rows travel to the tasks of files of images
    fine: int  # the number of fine clusters
    cosine: float
    seed: int
    clusters: Shipped | None = None  # None: the column `fine` of CHOSEN has the clusters
    before: Sequence[OwnFile] = ()
    is_last: bool = True

    def found_before(self, number: int) -> pa.Table:
        """Return, as rows of _FOUND, the copies and copied leaders that earlier looks found in image file `number`."""
        return read_table(self.before[number]) if self.before else _FOUND.empty_table()

    @property
    def schema(self) -> pa.Schema:
        """The schema of the rows, one per image, that are sent to the task of the image's fine cluster."""
        fields = [pa.field("draw", pa.float64()), pa.field("vector", self.embeddings.kind)]
        return pa.schema([CHOSEN.field("uid"), *PLACE, CHOSEN.field("fine"), *fields])

    @property
    def bits(self) -> int:
        """The number of bits of a fine cluster's number."""
        return max(1, (self.fine - 1).bit_length())

    def keys(self, rows: pa.RecordBatch) -> np.ndarray:
        """Return a key (uint64) per row that sorts rows by fine cluster and, within a cluster, by the image's draw."""
        free = 64 - self.bits
        draw = (rows["draw"].to_numpy() * 2.0**53).astype(np.uint64)  # A draw has 53 bits.
        draw = draw >> np.uint64(53 - free) if free < 53 else draw << np.uint64(free - 53)
        return rows["fine"].to_numpy().astype(np.uint64) << np.uint64(free) | draw

    def read(self, _: int, file: OwnFile, tallies: Tallies) -> Rows:
        """Yield, as rows of _SENT, the images in a file of CHOSEN that no earlier look found to be copies."""
        for batch in batches(file, _READ_ROWS):
            copies = self.found_before(batch["file"][0].as_py())
            at = pc.index_in(batch["row"], value_set=copies["row"])
            leads = one_array(pc.equal(copies["uid"], copies["copy_of"])).take(at)  # An image without copies gets null.
            batch, leads = (rows.filter(leads.fill_null(True)) for rows in (batch, leads))
            position = batch["position"].to_numpy()
            files = pa.array((position >> ROW_BITS).astype(np.int32))
            rows_of_files = pa.array(position & ((1 << ROW_BITS) - 1))
            columns = [files, rows_of_files, batch["uid"], batch["fine"], leads.is_valid(), batch["file"], batch["row"]]
            yield pa.RecordBatch.from_arrays(columns, schema=_SENT)

    def with_vectors(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> Rows:
        """Yield the images of a task with their draws, fine clusters and embeddings, as rows of `schema`."""
        stream = rows_by_place(buckets)
        size = max(1, SENT_BYTES // (4 * self.embeddings.dimension))
        for number in stream.files():
            begin = 0
            for numbers in self.embeddings.numbers(self.embeddings.table.files[number]):
                rows = stream.take(number, begin, begin + len(numbers))
                for some in (rows.slice(at, size) for at in range(0, rows.num_rows, size)) if rows else ():
                    yield self._with_numbers(some, numbers[some["row"].to_numpy() - begin])
                begin += len(numbers)

    def compared(self, task: int, buckets: Iterator[Rows], tallies: Tallies) -> Rows:
        """Yield, as rows of _FOUND, the copies in a task's clusters, and each leader with copies as its own copy."""
        dimension = self.embeddings.dimension
        parts = chain.from_iterable(_of_clusters(pa.concat_batches([*bucket]), dimension) for bucket in buckets)
        for _, cluster in groupby(parts, lambda rows: rows["fine"][0].as_py()):
            with closing(MeaningLeaders(dimension, self.cosine)) as leaders:
                yield from _copies(cluster, leaders)

    def _with_numbers(self, rows: pa.RecordBatch, numbers: np.ndarray) -> pa.RecordBatch:
        vectors = lists_of(numbers.astype(self.embeddings.kind.value_type.to_pandas_dtype()))
        drawn = draws(self.seed, PURPOSE, rows["uid"])
        leads = rows["leads"].to_numpy(zero_copy_only=False)
        again = self.clusters and self.clusters.opened(TrainedClusters.open).fine.assign(units(numbers))[0]
        fine = rows["fine"] if again is None else pa.array(again)
        columns = [rows["uid"], rows["image_file"], rows["image_row"], fine, pa.array((drawn + ~leads) / 2), vectors]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def write_copies(engine: Engine, chosen: Sequence[OwnFile], how: MeaningComparison, folder: Path) -> TaskResult:
    """Write the copies that this look and all earlier ones find, to one file for each file of images.

    The schema is _FOUND or, in the last look, SEMANTIC_COPIES; the tallies of the last look also have the numbers of
    copies (`copies`) and of leaders with copies (`copied`). `chosen` are files of CHOSEN, which state the embedding
    that counts for each image.
    """
    size = sum(row_counts(chosen)) * how.embeddings.dimension * 4
    wanted = max(size // TASK_BYTES, MIN_TASKS_PER_CORE * engine.cores)
    tasks = min(1 << how.bits, buckets_for(wanted, 1), MOST_BUCKETS)
    reading = how.rows.grouping(_SENT, how.with_vectors)
    comparing = Grouping(how.schema, how.keys, how.compared, 1 << how.bits, tasks)
    writing = how.images.stage(_FOUND, _write_file, how, folder)
    return cogroup(engine, [Side(chosen, how.read)], reading, comparing, writing)


def _of_clusters(rows: pa.RecordBatch, dimension: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of each cluster, sorted by draw, in batches of at most COMPARED_BYTES of vectors."""
    fine = rows["fine"].to_numpy()
    high, low = (key.to_numpy() for key in key_columns(rows["uid"]))
    order = np.lexsort((low, high, rows["draw"].to_numpy(), fine))
    bounds = np.flatnonzero(np.diff(fine[order], prepend=-1, append=-1))
    most = max(1, COMPARED_BYTES // (4 * dimension))
    for begin, end in zip(bounds, bounds[1:], strict=False):
        for some in range(begin, end, most):
            yield rows.take(pa.array(order[some : min(some + most, end)]))


def _copies(cluster: Iterator[pa.RecordBatch], leaders: MeaningLeaders) -> Iterator[pa.RecordBatch]:
    """Yield the copies in a cluster as rows of _FOUND, and each leader, as a copy of itself, once it has a copy.

    The images of the cluster come in batches, sorted by draw.
    """
    images = list[pa.RecordBatch]()  # These are the leaders.
    copied = np.zeros(0, np.int64)  # These leaders have copies.
    for rows in cluster:
        values = rows["vector"].flatten().to_numpy().reshape(rows.num_rows, -1)
        last = leaders.number - 1
        numbers, cosines = leaders.of(scaled(values.astype(np.float32)))
        leads = numbers > np.maximum.accumulate(np.append(last, numbers[:-1]))
        identity = rows.select(_FOUND.names[:3])
        images.append(identity.filter(pa.array(leads)))
        goes = ~leads & (rows["draw"].to_numpy() >= 0.5)  # A leader of an earlier look stays.
        first = np.setdiff1d(numbers[goes], copied)
        copied = np.append(copied, first)
        of_both = one_batch(pa.Table.from_batches(images).take(pa.array(np.append(numbers[goes], first))))
        copies = pa.concat_batches([identity.filter(pa.array(goes)), of_both.slice(goes.sum())])
        cosine = pa.array(np.append(cosines[goes], np.ones(len(first))))
        yield pa.RecordBatch.from_arrays([*copies.columns, of_both["uid"], cosine], schema=_FOUND)


def _write_file(number: int, rows: RowStream, how: MeaningComparison, folder: Path) -> TaskResult:
    """Write the copies that this look and all earlier ones found among the images of the file `number`.

    In the last look, tally `copies` and, as `copied`, the leaders that have copies.
    """
    result = TaskResult()
    images = pa.concat_tables([how.found_before(number), pa.Table.from_batches(rows.rest_of(number), _FOUND)])
    images = images.sort_by("row")
    images = images.filter(pa.array(differs(images["row"].to_numpy())))  # A leader may get copies in several looks.
    schema = _FOUND
    if how.is_last:
        schema = SEMANTIC_COPIES.with_metadata({COSINE: repr(how.cosine)})
        copies = images.filter(pc.not_equal(images["uid"], images["copy_of"]))
        result.add("copies", len(copies))
        result.add("copied", len(images) - len(copies))
        images = copies.select(schema.names)
    path = folder / f"{number:05d}.parquet"
    return result + write_rows(path, schema, _ROW_GROUP, images.cast(schema).to_batches())
