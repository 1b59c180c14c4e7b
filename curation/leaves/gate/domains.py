"""The step `domains`: keep at most N images per registered domain, those with the smallest draws.

A draw depends on seed and uid alone, so the choice does not depend on the order of rows. Tasks drop images over the
limit before the images of a domain are grouped, so no task holds all images of a large domain. A domain is compared by
a hash of 64 bits: of a billion domains hardly two share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from curation.exclusion.lists import hosts, registered_domain
from curation.images.combine import differs, uid_hashes
from curation.images.tasks import MATCHED_ROW_GROUP
from curation.leaves.by_uid.by_key import PLACE, Places
from curation.leaves.by_uid.tables import KEY, KEY_NAMES, key_columns
from curation.leaves.gate.checks import Begin, rewrite_one, without
from curation.leaves.gate.plan import GatePlan
from curation.leaves.gate.steps import Step, StepFolder, removed
from curation.run.ledger import group_buckets, senders, sending
from curation.run.request import Context
from runtime.arrow import gather_reduced
from runtime.buckets import BUCKET_BYTES, Block, Packer, by_bucket
from runtime.draws import draws
from runtime.engine.interface import Engine, Relay
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, row_counts
from runtime.tallies import Tallies

PURPOSE = "domain"  # the name of the draw
_DRAWN = pa.schema([pa.field("domain", pa.uint64()), pa.field("draw", pa.float64()), *KEY, *PLACE])


@dataclass(frozen=True)
class Domains(Step):
    """The step: at most a given number of images of each domain stay."""

    most: int

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> Tallies:
        """Write, of each domain, the images with the smallest draws."""
        places = Places.of(row_counts(images))
        buckets, tasks = group_buckets(places.images)
        items = senders([*enumerate(images)], places.images, buckets)
        send = partial(_send, buckets=buckets, most=self.most, seed=context.config.seed)
        relay = Relay(partial(_pass_on, buckets=buckets, most=self.most, places=places), places.relays(tasks))
        stay = partial(_stay, rule=self._title)
        write = partial(rewrite_one, images=list(images), change=stay, folder=folder)
        receive = partial(places.written, schema=pa.schema(PLACE), write=write)
        return context.engine.exchange(items, send, receive, places.tasks, [relay])

    def facts(self, counted: Tallies) -> dict[str, Any]:
        """Return the number of removed images."""
        return {"conditions": [removed(self._title, counted)]}

    @property
    def _title(self) -> str:
        return f"at most {self.most:,} images of a registered domain"


def step(engine: Engine, plan: GatePlan) -> Domains | None:
    """Return the step, or None if the plan has no limit per domain."""
    return Domains(plan.images_per_domain) if plan.images_per_domain else None


def _send(images: Sequence[tuple[int, OwnFile]], _: Tallies, buckets: int, most: int, seed: int) -> Iterator[Block]:
    """Yield _DRAWN rows of the images in files, at most `most` per domain, in blocks by domain."""
    packer = sending(buckets)
    drawn = chain.from_iterable(_drawn(number, file, seed) for number, file in images)
    for rows in _smallest(drawn, most):
        yield from packer.deal(rows, _domains(rows))
    yield from packer.finish()


def _drawn(number: int, file: OwnFile, seed: int) -> Iterator[pa.RecordBatch]:
    row = 0
    for batch in batches(file, MATCHED_ROW_GROUP, ["uid", "url"]):
        domains = uid_hashes(hosts(batch["url"], registered_domain)).view(np.uint64)
        places = [np.full(len(batch), number, np.int32), np.arange(row, row := row + len(batch))]
        drawn = pa.array(draws(seed, PURPOSE, batch["uid"]))
        columns = [pa.array(domains), drawn, *key_columns(batch["uid"]), *map(pa.array, places)]
        yield pa.RecordBatch.from_arrays(columns, schema=_DRAWN)


def _pass_on(
    partition: int, blocks: Iterator[bytes], _: Tallies, buckets: int, most: int, places: Places
) -> Iterator[Block]:
    """Yield the PLACE of each image that stays, in blocks by file."""
    packer = Packer(places.tasks)
    for bucket in by_bucket(blocks, buckets, _DRAWN, _domains):
        for rows in _smallest(bucket, most):
            kept = rows.select([field.name for field in PLACE])
            yield from packer.deal(kept, places.keys(kept))
    yield from packer.finish()


def _smallest(drawn: Iterable[pa.RecordBatch], most: int) -> Iterator[pa.RecordBatch]:
    """Yield, as one batch, the `most` images of each domain with the smallest draws; nothing without images."""
    reduce = partial(_reduced, most=most)
    if held := gather_reduced(drawn, reduce, BUCKET_BYTES):
        yield reduce(held)


def _reduced(held: Sequence[pa.RecordBatch], most: int) -> pa.RecordBatch:
    rows = pa.concat_batches(held)
    keys = [rows[name].to_numpy() for name in (*reversed(KEY_NAMES), "draw", "domain")]
    order = np.lexsort(keys)
    is_new = differs(keys[-1][order])
    rank = np.arange(len(order)) - np.flatnonzero(is_new)[np.cumsum(is_new) - 1]
    return rows.take(pa.array(order[rank < most]))


def _domains(rows: pa.RecordBatch) -> np.ndarray:
    return rows["domain"].to_numpy()


def _stay(
    batch: pa.RecordBatch, rows: pa.RecordBatch | None, begin: Begin, tallies: Tallies, rule: str
) -> pa.RecordBatch:
    """Return the images of a MATCHED batch about which `rows` has a row; tally the others."""
    goes = np.ones(batch.num_rows, bool)
    if rows is not None:
        goes[rows["row"].to_numpy() - begin.row] = False
    return without(batch, goes, rule, begin.removed, tallies)
