"""Join facts from tables to images, and send the verdicts to the tasks that rewrite the files of the images.

Of several rows of an image the one that meets the most conditions counts: of several tries, one that succeeded.
`joined_tables` evaluates conditions over columns with Spark's SQL, row by row; before that, tables are joined if one
condition names columns of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.leaves.by_uid.by_key import Groups, Places, buckets_of, deal, send_images
from curation.leaves.by_uid.tables import KEY_NAMES
from curation.leaves.gate.checks import VERDICTS, Checks, rewrite_one
from curation.leaves.gate.plan import NOT_TRIED, ROW, SUCCESS
from curation.leaves.gate.steps import StepFolder
from curation.leaves.gate.table_rows import Asked, Part, Rows, facts_schema
from curation.run.ledger import group_buckets, senders, sending
from runtime.buckets import Block, Packer
from runtime.engine.interface import Engine, Relay
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import row_counts
from runtime.tallies import Tallies

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WHY = "--keep is evaluated by Spark"
_LIMITS = np.iinfo(np.int64)
ROWS_OF_IMAGE = 2  # estimated rows per image: its own, and one of a table


@dataclass(frozen=True)
class VerdictJoin:
    """The layout of the join of images and rows of tables: buckets, tasks, places of images, and parts of tables.

    `has_status` says whether the first table is the result of a download.
    """

    buckets: int
    tasks: int
    places: Places
    parts: Sequence[Part]
    tables: int
    has_status: bool

    @classmethod
    def of(cls, images: Sequence[OwnFile], asked: Asked, parts: Sequence[Part]) -> VerdictJoin:
        """Return the layout for the images in these files and the tables of `asked`."""
        places = Places.of(row_counts(images))
        buckets, tasks = group_buckets(ROWS_OF_IMAGE * places.images)
        return cls(buckets, tasks, places, parts, len(asked.tables), asked.plan.results is not None)

    @property
    def schema(self) -> pa.Schema:
        """The schema of all rows of the join."""
        return facts_schema(self.tables)


def rewritten(
    engine: Engine,
    join: VerdictJoin,
    rows: Sequence[Rows],
    images: Sequence[OwnFile],
    checks: Checks,
    folder: StepFolder,
    blocks: DataFrame | None = None,
) -> Tallies:
    """Rewrite all files with the images that pass the checks; return the tallies.

    `rows` yield facts from tables; `blocks` has facts that Spark evaluated.
    """
    send, relay = partial(_send, join=join), Relay(partial(_pass_on, join=join), join.places.relays(join.tasks))
    write = partial(rewrite_one, images=list(images), change=checks, folder=folder)
    receive = partial(join.places.written, schema=VERDICTS, write=write)
    items: list[Any] = senders([*enumerate(images)], join.places.images, join.buckets)
    items += senders([(-1, each) for each in rows], join.places.images, join.buckets)
    if blocks is None:
        return engine.exchange(items, send, receive, join.places.tasks, [relay])
    sql = engine.sql(WHY)
    return sql.exchange(items, send, receive, join.places.tasks, [relay], blocks)


def _send(items: Sequence[tuple[int, Any]], _: Tallies, join: VerdictJoin) -> Iterator[Block]:
    """Yield KEY and PLACE of images, and rows of tables, in blocks by key; items of tables have the number -1."""
    packer = sending(join.buckets)
    for number, each in items:
        if number >= 0:
            yield from send_images(number, each, join.schema, packer)
            continue
        for known in each():
            yield from deal(packer, known, join.schema, len(known[KEY_NAMES[0]]))
    yield from packer.finish()


def _pass_on(partition: int, blocks: Iterator[bytes], _: Tallies, join: VerdictJoin) -> Iterator[Block]:
    """Yield VERDICTS of images, in blocks by file."""
    packer = Packer(join.places.tasks)
    for rows, groups in buckets_of(blocks, join.buckets, join.schema):
        verdicts = judged(rows, groups, join)
        yield from packer.deal(verdicts, join.places.keys(verdicts))
    yield from packer.finish()


def judged(rows: pa.RecordBatch, groups: Groups, join: VerdictJoin) -> pa.RecordBatch:
    """Return the VERDICTS of the images among rows that are grouped by image."""
    numbers = {name: rows[name].fill_null(0).to_numpy()[groups.order] for name in ("met", "found", "sets")}
    met = np.zeros(len(groups.starts), np.int64)
    for part in join.parts:
        met |= _best(numbers["met"], numbers["found"] & part.tables != 0, part, groups)
    file = rows["file"].fill_null(-1).to_numpy()[groups.order]
    images = np.flatnonzero(file >= 0)
    group = groups.group[images]
    columns = {
        "file": file[images],
        "row": rows["row"].fill_null(-1).to_numpy()[groups.order[images]],
        "met": met[group],
        "found": groups.reduced(np.bitwise_or, numbers["found"])[group],
        "sets": groups.reduced(np.bitwise_or, numbers["sets"])[group],
        "status": _smallest(rows["status"], groups, join.has_status).take(pa.array(group)),
        "differing": _differing(rows, groups, join.tables)[group],
    }
    return pa.RecordBatch.from_arrays([pa.array(columns[field.name]) for field in VERDICTS], schema=VERDICTS)


def _best(met: np.ndarray, is_own: np.ndarray, part: Part, groups: Groups) -> np.ndarray:
    """Return the bits of the conditions of a part that the best row of each group meets.

    The best row meets the most conditions; of equal rows, the one with the greatest bits. `is_own` says which rows are
    of the part; a group without such rows meets `part.unmet`.
    """
    numbers = np.where(is_own, _ones(met), -1)
    most = groups.reduced(np.maximum, numbers)
    best = groups.reduced(np.maximum, np.where(numbers == most[groups.group], met, 0))
    return np.where(most < 0, part.unmet, best)


def _ones(numbers: np.ndarray) -> np.ndarray:
    """Return the number of bits that are set in each int64."""
    return np.unpackbits(numbers.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1, dtype=np.int64)


def _smallest(statuses: pa.Array, groups: Groups, has_status: bool) -> pa.Array:
    """Return the smallest status of each group; SUCCESS for an empty one, NOT_TRIED for a group without any.

    Without a download all are null.
    """
    if not has_status:
        return pa.nulls(len(groups.starts), pa.string())
    codes = statuses.dictionary_encode()
    order = pc.sort_indices(codes.dictionary).to_numpy()
    ranks = np.empty(len(order) + 1, np.int64)
    ranks[order], ranks[-1] = np.arange(len(order)), len(order)
    own = ranks[codes.indices.fill_null(len(order)).to_numpy()][groups.order]
    named = [SUCCESS if each == "" else each for each in codes.dictionary.take(pa.array(order)).to_pylist()]
    return pa.array([*named, NOT_TRIED]).take(pa.array(groups.reduced(np.minimum, own)))


def _differing(rows: pa.RecordBatch, groups: Groups, tables: int) -> np.ndarray:
    """Return the bits, int64[group], of the tables whose rows in a group differ."""
    out = np.zeros(len(groups.starts), np.int64)
    for number in range(tables):
        hashes = rows[f"{ROW}{number}"]
        if hashes.null_count < len(hashes):
            least, most = (hashes.fill_null(end).to_numpy()[groups.order] for end in (_LIMITS.max, _LIMITS.min))
            differs = groups.reduced(np.minimum, least) < groups.reduced(np.maximum, most)
            out |= np.where(differs, 1 << number, 0)
    return out
