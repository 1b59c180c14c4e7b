"""The step `meaning`: remove the images that a table says are semantic copies of others that are left.

The *leader* of a copy is the image that stays for it. A copy is another picture than its leader, so its texts go with
it. If the leader was removed before, its copies stay. The rows of the table, which `--same-meaning` names, are joined
first to leaders by key, and then to copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.leaves.by_uid.by_key import PLACE, ROWS, Places, buckets_of, deal
from curation.leaves.by_uid.clusters import named, table_in
from curation.leaves.by_uid.tables import KEY, KEY_NAMES, ImageTable, key_columns, opened, spelled
from curation.leaves.gate.checks import ByKey, without_rows, written
from curation.leaves.gate.options import GateOptions
from curation.leaves.gate.steps import Step, StepFolder, removed
from curation.run.ledger import sending
from curation.run.request import Context
from curation.schemas import COSINE
from runtime.buckets import Block, Packer
from runtime.engine import Relay
from runtime.errors import InputError
from runtime.storage.listing import Version
from runtime.storage.own_files import OwnFile
from runtime.tallies import Tallies

# In _TO_LEADER, a row of the table has the KEY of the leader, and in the columns _COPY the KEY of the copy. In _TO_COPY
# it has the KEY of the copy, and `leads` says whether the leader is left. In the row of an image, `leads` says whether
# the image has copies.
_COPY = [pa.field(f"copy{name}", pa.int64()) for name in KEY_NAMES]
_TO_LEADER = pa.schema([*ROWS, *_COPY])
_TO_COPY = pa.schema([*ROWS, pa.field("leads", pa.bool_())])
_PLACES = pa.schema(PLACE)

EXPECTED = "a folder that clip-cluster wrote with --same-meaning, or Parquet files with the columns uid and copy_of"


@dataclass(frozen=True)
class Meaning(Step):
    """The step: of the images of one meaning, one stays, as a table of semantic copies says."""

    table: ImageTable
    cosine: str | None  # the cosine that the first file states

    def asks(self) -> dict[str, list[str]]:
        """Return the name of the table."""
        return {"no copy in": [self.table.name]}

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> Tallies:
        """Write the images that are no copies, and the copies whose leader is not among `images`."""
        met = ByKey([*images], self.read, _TO_LEADER)
        places, tasks = met.places, met.cut[1]
        relays = [
            Relay(partial(_to_copies, met=met), tasks),
            Relay(partial(_to_files, buckets=met.buckets, places=places), places.relays(tasks)),
        ]
        receive = written(met.images, met.places, _PLACES, partial(without_rows, rule=self._title), folder)
        return context.engine.exchange(met.items(self.table.files), met.send, receive, places.tasks, relays)

    def require(self, counted: Tallies, config: CurationConfig) -> None:
        """Refuse a table that has none of the images, and a table in which a leader is itself a copy."""
        name = self.table.name
        if counted["rows"] and not counted["found"]:
            raise InputError(
                f"{name} has none of the matched images: its uids are not those of this run; cluster the pool of this "
                "run (clip-cluster --texts pool --same-meaning)"
            )
        if counted["chained"]:
            example = min(counted.beginning("chained_uid."))
            raise InputError(
                f"{name} names copies of copies ({counted['chained']:,}, such as {example}); give the table of one "
                "clustering"
            )

    def facts(self, counted: Tallies) -> dict[str, Any]:
        """Return, for run.json, the number of copies in the table, and the number of removed images."""
        table = {"name": self.table.name, "found": counted["found"]}
        return {"tables": [table], "conditions": [removed(self._title, counted)]}

    def read(self, file: tuple[str, Version]) -> Iterator[dict[str, pa.Array]]:
        """Yield KEY of the leaders in a file, and _COPY of their copies, batch by batch.

        Rows without a leader, or with the image itself as leader, are left out.
        """
        for batch in self.table.read(file, ["copy_of"]):
            try:
                leaders = batch["copy_of"].cast(pa.string())
            except pa.ArrowException:
                raise InputError(f"{file[0]}: column copy_of is {batch['copy_of'].type}; it holds uids") from None
            own, theirs = batch.filter(is_known := pc.is_valid(leaders)).columns[: len(KEY)], leaders.filter(is_known)
            keys = key_columns(theirs)
            differs = pc.or_(*map(pc.not_equal, own, keys))
            names = [*KEY_NAMES, *(field.name for field in _COPY)]
            yield {name: each.filter(differs) for name, each in zip(names, [*keys, *own], strict=True)}

    @property
    def _title(self) -> str:
        return "one image of a meaning" + (f", by a cosine of {self.cosine}" if self.cosine else "")


def find(options: GateOptions) -> Meaning | None:
    """Return the step, or None without a table of semantic copies.

    InputError if there are no such files, or if they have no column uid or copy_of.
    """
    if not options.same_meaning:
        return None
    table = ImageTable.find([table_in(str(each), "copies") for each in options.same_meaning], EXPECTED, "copy_of")
    if not table.is_uid:
        raise InputError(f"{named(options.same_meaning)} has no column uid; expected {EXPECTED}")
    with opened(*table.files[0]) as file:
        stated = (file.schema.metadata or {}).get(COSINE)
    return Meaning(table, stated and stated.decode(errors="replace"))


def _to_copies(partition: int, blocks: Iterator[bytes], _: Tallies, met: ByKey) -> Iterator[Block]:
    """Yield images, and rows of the table by the KEY of their copies, both with `leads`."""
    packer = sending(met.buckets)
    for rows, groups in met.grouped(blocks):
        is_image = rows["file"].is_valid().to_numpy(zero_copy_only=False)
        own = is_image[groups.order]
        has_image, has_rows = (groups.reduced(np.logical_or, each)[groups.numbers] for each in (own, ~own))
        of_images, of_table = (rows.filter(pa.array(each)) for each in (is_image, ~is_image))
        known = {field.name: of_images[field.name] for field in ROWS} | {"leads": pa.array(has_rows[is_image])}
        yield from deal(packer, known, _TO_COPY, of_images.num_rows)
        known = {name: of_table[field.name] for name, field in zip(KEY_NAMES, _COPY, strict=True)}
        yield from deal(packer, known | {"leads": pa.array(has_image[~is_image])}, _TO_COPY, of_table.num_rows)
    yield from packer.finish()


def _to_files(
    partition: int, blocks: Iterator[bytes], tallies: Tallies, buckets: int, places: Places
) -> Iterator[Block]:
    """Yield the PLACE of each copy whose leader is left; tally copies in the table, and copies that are leaders."""
    packer = Packer(places.tasks)
    for rows, groups in buckets_of(blocks, buckets, _TO_COPY):
        is_image = rows["file"].is_valid().to_numpy(zero_copy_only=False)
        leads = rows["leads"].to_numpy(zero_copy_only=False)
        is_row, is_led = (groups.reduced(np.logical_or, each[groups.order]) for each in (~is_image, ~is_image & leads))
        is_row, is_led = is_row[groups.numbers], is_led[groups.numbers]
        tallies.add("found", int((is_image & is_row).sum()))
        goes = is_image & is_led
        chained = np.flatnonzero(goes & leads)
        if len(chained):
            tallies.add("chained", len(chained))
            tallies.add(f"chained_uid.{spelled(rows, chained[0])}")
        found = rows.filter(pa.array(goes)).select(_PLACES.names)
        yield from packer.deal(found, places.keys(found))
    yield from packer.finish()
