"""Captions, clusters and scores from a user's tables, in the form in which they are joined to images.

`known` also counts the images that have captions or clusters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.leaves.by_uid.captions import NO_SCORE, caption_rows, find_captions
from curation.leaves.by_uid.clusters import cluster_rows, find_clusters, named, require_one_cluster
from curation.leaves.by_uid.join import Join, Table, first, first_by, images_in, keys
from curation.leaves.by_uid.tables import KEY, ImageTable, Paths
from curation.run.results import Results, curated_files, pool_files
from runtime.engine import Engine
from runtime.errors import InputError
from runtime.storage.listing import Version
from runtime.storage.own_files import OwnFile
from runtime.tallies import Tallies

CAPTION = (
    pa.field("caption", pa.string()),
    pa.field("caption_score", pa.float64()),
    pa.field("caption_source", pa.string()),
)
CLUSTER = (pa.field("coarse", pa.int32()), pa.field("fine", pa.int32()))
ROW_BYTES = 16  # least bytes of a row in a table: those of a uid
OF_SOURCE = "caption_"  # prefix of a field's name, followed by a source: the source's caption
_PLACE = pa.field("caption_place", pa.int64())  # row number in the table: of equally good captions the first is taken
_ORDER = (CAPTION[1], _PLACE)  # fields by which the best caption of an image is chosen
_CAPTIONED = "captioned"  # tally of the images that have a caption
KEPT = "kept."  # prefix of a tally's name, followed by a coarse cluster's number
_KEPT = pa.field("is_kept", pa.bool_())
_File = tuple[str, Version]

EXPECTED = "tables of scores: Parquet files with the columns uid (or url) and columns of numbers"
_SCORE = "score "  # prefix of a joined field, followed by the column's name: no other joined field has it


@dataclass(frozen=True)
class Known:
    """Tables of captions and clusters for a run, with the number of images that have them."""

    captions: Sequence[Table] = ()  # one table, or one per source
    clusters: Table | None = None
    images: int = 0  # images that the run counted or, after a removal, images of the manifest
    without_caption: int = 0
    without_cluster: int = 0
    kept: dict[int, int] = field(default_factory=dict)  # coarse cluster → number of kept images, if any

    @property
    def tables(self) -> list[Table]:
        """All given tables."""
        return [*self.captions, *([self.clusters] if self.clusters else [])]


def known(
    engine: Engine, run: Results, of_captions: Paths = (), of_clusters: Paths = (), sources: Sequence[str] = ()
) -> Known:
    """Find the captions and clusters of a run's images; InputError if a table has no image of the run.

    If `sources` are given, the captions of each source become a table of their own.
    """
    wanted: Sequence[str | None] = sources or [None]
    of_source = [caption_table(find_captions(of_captions, each), each) for each in wanted] if of_captions else []
    clusters = cluster_table(of_clusters) if of_clusters else None
    if not (of_source or clusters):
        return Known()
    pool, found = images_in(pool_files(run)), Known(of_source, clusters)
    kept = [Table(curated_files(run), run.facts["rows"]["kept"], _kept, first, [_KEPT])] if clusters else []
    texts = [table.fields[0].name for table in of_source]
    tallies = Join(pool, [*kept, *found.tables]).count(engine, partial(_counted, captions=texts))
    captioned, clustered = int(tallies[_CAPTIONED]), int(tallies[CLUSTER[0].name])
    for text, source in zip(texts, wanted, strict=False):
        if not tallies[text]:
            which = f"captions of the source {source}" if source else "captions"
            raise InputError(f"none of the {which} in {named(of_captions)} is of an image of {run.path}")
    if clusters and not clustered:
        raise InputError(f"none of the rows of {named(of_clusters)} is of an image of {run.path}")
    by_cluster = {int(cluster): int(images) for cluster, images in tallies.beginning(KEPT).items()}
    return Known(of_source, clusters, pool.rows, pool.rows - captioned, pool.rows - clustered, by_cluster)


def field_of(source: str) -> str:
    """Return the name of the field with the captions of a source; a slash becomes `--`, as in the cache of the Hub.

    >>> field_of("org/model-7b")
    'caption_org--model-7b'
    """
    return OF_SOURCE + source.replace("/", "--")


def caption_table(table: ImageTable, source: str | None = None) -> Table:
    """Return a table of captions; each image gets the caption with the highest score, or else the first one.

    With a source, only its captions are used, and neither score nor source is joined.
    """
    fields, order = [*CAPTION], [_PLACE]
    if source is not None:
        text = field_of(source)
        fields, order = [pa.field(text, pa.string())], [each.with_name(f"{text} {each.name}") for each in _ORDER]
    read = partial(_captions, table=table, fields=[*fields, *order], source=source)
    best = partial(_best, names=[each.name for each in (order if source else _ORDER)])
    return Table([*enumerate(table.files)], table.bytes // ROW_BYTES, read, best, fields, order)


def cluster_table(paths: Paths) -> Table:
    """Return a table of clusters; the join raises InputError for an image in two clusters."""
    table = find_clusters(paths)
    once = partial(_one_cluster, names=named(paths))
    return Table(table.files, table.bytes // ROW_BYTES, partial(_clusters, table=table), once, CLUSTER)


def _captions(
    numbered: tuple[int, _File], table: ImageTable, fields: Sequence[pa.Field], source: str | None
) -> Iterator[pa.RecordBatch]:
    number, file = numbered
    row, schema = number << 40, pa.schema([*KEY, *fields])
    for batch in caption_rows(table, file, source):
        score = pc.if_else(pc.equal(batch["score"], NO_SCORE), None, batch["score"])
        sources = [] if source else [pc.if_else(pc.equal(batch["source"], ""), None, batch["source"])]
        place = np.arange(row, row := row + len(batch))
        columns = [*batch.columns[: len(KEY)], batch["caption"], score, *sources, pa.array(place)]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _best(rows: pa.RecordBatch, images: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the index of the row with the best caption of each image; `names` are the columns of score and place."""
    score, place = (rows[name] for name in names)
    order = np.lexsort((place.to_numpy(), -pc.fill_null(score, NO_SCORE).to_numpy(), images))
    return order[first(rows, images[order])]


def _clusters(file: _File, table: ImageTable) -> Iterator[pa.RecordBatch]:
    for batch in cluster_rows(table, file):
        fine = pc.if_else(pc.less(batch["fine"], 0), None, batch["fine"])
        columns = [*batch.columns[: len(KEY)], batch["coarse"], fine]
        yield pa.RecordBatch.from_arrays(columns, schema=pa.schema([*KEY, *CLUSTER]))


def _one_cluster(rows: pa.RecordBatch, images: np.ndarray, names: str) -> np.ndarray:
    rows = rows.set_column(rows.schema.names.index("fine"), "fine", pc.fill_null(rows["fine"], -1))
    order = np.lexsort((rows["fine"].to_numpy(), rows["coarse"].to_numpy(), images))
    ordered = images[order]
    is_repeated = np.zeros(len(order), bool)
    is_repeated[1:] = ordered[1:] == ordered[:-1]
    require_one_cluster(rows.take(pa.array(order)), is_repeated, names)
    return order[first(rows, ordered)]


def _kept(file: OwnFile) -> Iterator[pa.RecordBatch]:
    for batch in keys(file):
        yield batch.append_column(_KEPT, pa.repeat(True, len(batch)))


def _counted(rows: pa.RecordBatch, captions: Sequence[str]) -> Tallies:
    """Tally the images with any caption, with each kind of caption, with a cluster, and the kept ones per cluster."""
    tallies = Tallies()
    for name in {*captions, CLUSTER[0].name} & {*rows.schema.names}:
        tallies.add(name, rows.num_rows - rows[name].null_count)
    if captions:
        known = np.any([rows[name].is_valid().to_numpy(zero_copy_only=False) for name in captions], axis=0)
        tallies.add(_CAPTIONED, int(known.sum()))
    if _KEPT.name in rows.schema.names:
        clusters = rows["coarse"].filter(pc.fill_null(rows[_KEPT.name], False)).drop_null()
        for each in clusters.value_counts():
            tallies.add(f"{KEPT}{each['values']}", each["counts"].as_py())
    return tallies


def score_field(name: str) -> pa.Field:
    """Return the field to which a column of scores is joined; it is null for an image without a row or score."""
    return pa.field(f"{_SCORE}{name}", pa.float64())


def score_tables(paths: Paths, names: Sequence[str]) -> list[Table]:
    """Return the tables that have the columns `names`; paths with the same of these columns form one table.

    Of several rows of an image, the first one counts. InputError for a column that no path has, or that paths with
    different columns have.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for path in map(str, paths):
        table = ImageTable.find([path], EXPECTED)
        own = tuple(name for name in names if name in table.columns.names)
        if not own:
            raise InputError(f"{table.name} has none of the columns {', '.join(names)}; leave it out, or weigh others")
        found.setdefault(own, []).append(path)
    given = [name for own in found for name in own]
    for name in names:
        if given.count(name) != 1:
            fault = "several tables with other columns" if name in given else "no table"
            raise InputError(f"column {name} of scores is in {fault}; give it in one table, or in parts of it")
    return [_table(ImageTable.find(own, EXPECTED), columns) for columns, own in found.items()]


def _table(table: ImageTable, names: Sequence[str]) -> Table:
    for name, kind in zip(names, table.row_schema(names).types[len(KEY) :], strict=True):
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise InputError(f"column {name} of {table.name} is {kind}; scores are numbers")
    floats = [pa.field(each.name, pa.float64()) if each.name in names else each for each in table.columns]
    table = replace(table, columns=pa.schema(floats))
    place = pa.field(f"place of {names[0]}", pa.int64())  # in the table
    fields = [score_field(name) for name in names]
    read = partial(_rows, table=table, names=names, schema=pa.schema([*KEY, *fields, place]))
    once = partial(first_by, name=place.name)
    return Table([*enumerate(table.files)], table.bytes // ROW_BYTES, read, once, fields, [place])


def _rows(
    numbered: tuple[int, _File], table: ImageTable, names: Sequence[str], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    number, file = numbered
    row = number << 40
    for batch in table.read(file, names):
        place = pa.array(np.arange(row, row := row + len(batch)))
        yield pa.RecordBatch.from_arrays([*batch.columns, place], schema=schema)
