"""Join what tables say of images to the images, and bring the verdicts to the tasks that rewrite the images' files.

Of several rows of an image the one that meets the most conditions counts: of several tries, one that succeeded.
Conditions over columns of tables are evaluated with Spark's SQL, row by row; tables that one condition names are joined
before, the others are not.
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
ROWS_OF_IMAGE = 2  # about so many are joined for an image


@dataclass(frozen=True)
class VerdictJoin:
    """How images meet rows of tables: in how many buckets and tasks, the tables in parts, whether any has downloads."""

    buckets: int
    tasks: int
    places: Places
    parts: Sequence[Part]
    tables: int
    has_status: bool

    @classmethod
    def of(cls, images: Sequence[OwnFile], asked: Asked, parts: Sequence[Part]) -> VerdictJoin:
        """Return how the images of files meet the tables."""
        places = Places.of(row_counts(images))
        buckets, tasks = group_buckets(ROWS_OF_IMAGE * places.images)
        return cls(buckets, tasks, places, parts, len(asked.tables), asked.plan.results is not None)

    @property
    def schema(self) -> pa.Schema:
        """The columns of what is joined."""
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
    """Rewrite all files with the images that pass the checks, given `rows` of tables, and more of them in `blocks`."""
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
    """Yield the places of the images of files, and rows of tables, where the number is negative."""
    packer = sending(join.buckets)
    for number, each in items:
        if number >= 0:
            yield from send_images(number, each, join.schema, packer)
            continue
        for known in each():
            yield from deal(packer, known, join.schema, len(known[KEY_NAMES[0]]))
    yield from packer.finish()


def _pass_on(partition: int, blocks: Iterator[bytes], _: Tallies, join: VerdictJoin) -> Iterator[Block]:
    """Yield the verdicts of images by file."""
    packer = Packer(join.places.tasks)
    for rows, groups in buckets_of(blocks, join.buckets, join.schema):
        verdicts = judged(rows, groups, join)
        yield from packer.deal(verdicts, join.places.keys(verdicts))
    yield from packer.finish()


def judged(rows: pa.RecordBatch, groups: Groups, join: VerdictJoin) -> pa.RecordBatch:
    """Return VERDICTS of the images among rows that are grouped by image."""
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
    """Return the conditions of a part that the best row of each group meets: the most, and of as many the last ones."""
    numbers = np.where(is_own, _ones(met), -1)
    most = groups.reduced(np.maximum, numbers)
    best = groups.reduced(np.maximum, np.where(numbers == most[groups.group], met, 0))
    return np.where(most < 0, part.unmet, best)


def _ones(numbers: np.ndarray) -> np.ndarray:
    """Return how many bits of each number are set."""
    return np.unpackbits(numbers.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1, dtype=np.int64)


def _smallest(statuses: pa.Array, groups: Groups, has_status: bool) -> pa.Array:
    """Return the smallest status of each group: an empty one stands for success, none for an image without tries."""
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
    """Return, as bits, the tables in which rows of a group differ."""
    out = np.zeros(len(groups.starts), np.int64)
    for number in range(tables):
        hashes = rows[f"{ROW}{number}"]
        if hashes.null_count < len(hashes):
            least, most = (hashes.fill_null(end).to_numpy()[groups.order] for end in (_LIMITS.max, _LIMITS.min))
            differs = groups.reduced(np.minimum, least) < groups.reduced(np.maximum, most)
            out |= np.where(differs, 1 << number, 0)
    return out
