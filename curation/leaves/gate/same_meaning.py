"""The step `meaning`: keep one of the images that have the same meaning.

`--same-meaning` names a table of semantic copies, each with its *leader*, the image that stays for it. A copy is
another picture than its leader, so its texts go with it. If the leader was removed before, its copies stay. The rows of
the table are joined first to leaders by key, and then to copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.image_ids import KEY, KEY_NAMES, key_columns, spelled
from curation.joins.image_tables import ImageTable, opened
from curation.joins.uid_join import ROWS, ImageKeys, grouped, spread_keys
from curation.leaves.annotations.clusters import named, table_in
from curation.leaves.gate.options import GateOptions
from curation.leaves.gate.step import RemovalByRows, Rewriting, Step, StepFolder
from curation.schemas import COSINE
from runtime.cogroup import Grouping, Rows, Side, cogroup
from runtime.errors import InputError
from runtime.partitioning import group_buckets
from runtime.placed_rows import PLACE, Places
from runtime.storage.listing import Version
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import row_counts
from runtime.tallies import Tallies, TaskResult

if TYPE_CHECKING:
    from curation.run.request import Context

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
        """Return, for users, what the step asks of images: the name of the table of copies."""
        return {"no copy in": [self.table.name]}

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> TaskResult:
        """Write the images that are no copies, and the copies whose leader is not among `images`."""
        places = Places.of(row_counts(images))
        buckets, tasks = group_buckets(2 * places.rows)
        sides = [Side(images, ImageKeys(), places.rows), Side(self.table.files, self.read, places.rows)]
        to_leaders = Grouping(_TO_LEADER, spread_keys, _to_copies, buckets, tasks)
        to_copies = Grouping(_TO_COPY, spread_keys, _to_files, buckets, places.tasks_before(tasks))
        rewriting = Rewriting([*images], RemovalByRows(self.title), folder)
        return cogroup(context.engine, sides, to_leaders, to_copies, places.stage(_PLACES, rewriting.write))

    def require(self, counted: TaskResult, config: CurationConfig) -> None:
        """Raise InputError if the table has none of the images, or if a leader in it is itself a copy."""
        name = self.table.name
        if counted["rows"] and not counted["found"]:
            raise InputError(
                f"{name} has none of the matched images: its uids are not those of this run; cluster the pool of this "
                "run (clip-cluster --texts pool --same-meaning)"
            )
        if counted["chained"]:
            example = min(counted.noted("chained"))
            raise InputError(
                f"{name} names copies of copies ({counted['chained']:,}, such as {example}); give the table of one "
                "clustering"
            )

    def facts(self, counted: TaskResult) -> dict[str, Any]:
        """Return, for run.json, the number of images that are copies in the table, and the number of removed images."""
        table = {"name": self.table.name, "found": counted["found"]}
        return {"tables": [table]} | super().facts(counted)

    def read(self, _: int, file: tuple[str, Version], tallies: Tallies) -> Rows:
        """Yield the rows of a file of the table: KEY of the leader and, as the columns _COPY, KEY of the copy.

        The rows are tallied. Rows without a leader, or with the image itself as leader, are left out.
        """
        for batch in self.table.read(file, ["copy_of"]):
            try:
                leaders = batch["copy_of"].cast(pa.string())
            except pa.ArrowException:
                raise InputError(f"{file[0]}: column copy_of is {batch['copy_of'].type}; it holds uids") from None
            copies, uids = batch.filter(is_known := pc.is_valid(leaders)).columns[: len(KEY)], leaders.filter(is_known)
            keys = key_columns(uids)
            differs = pc.or_(*map(pc.not_equal, copies, keys))
            names = [*KEY_NAMES, *(field.name for field in _COPY)]
            rows = pa.RecordBatch.from_arrays([*keys, *copies], names).filter(differs)
            tallies.add("rows", rows.num_rows)
            yield rows

    @property
    def title(self) -> str:  # type: ignore[override]
        return "one image of a meaning" + (f", by a cosine of {self.cosine}" if self.cosine else "")


def find_meaning(options: GateOptions) -> Meaning | None:
    """Return the step, or None without a table of semantic copies.

    InputError if there are no such files, or if they have no column uid or copy_of.
    """
    if not options.same_meaning:
        return None
    table = ImageTable.find([table_in(str(path), "copies") for path in options.same_meaning], EXPECTED, "copy_of")
    if not table.is_uid:
        raise InputError(f"{named(options.same_meaning)} has no column uid; expected {EXPECTED}")
    with opened(*table.files[0]) as file:
        stated = (file.schema.metadata or {}).get(COSINE)
    return Meaning(table, stated and stated.decode(errors="replace"))


def _to_copies(task: int, buckets: Iterator[Rows], tallies: Tallies) -> Rows:
    """Yield images, and rows of the table by KEY of the copy, as rows of _TO_COPY.

    `leads` says of an image whether it has copies, and of a row of the table whether its leader is among the images.
    """
    for rows, groups in grouped(buckets):
        is_image = rows["file"].is_valid().to_numpy(zero_copy_only=False)
        images = is_image[groups.order]
        has_image, has_rows = (groups.reduced(np.logical_or, flags)[groups.numbers] for flags in (images, ~images))
        of_images, of_table = (rows.filter(pa.array(mask)) for mask in (is_image, ~is_image))
        columns = [*(of_images[field.name] for field in ROWS), pa.array(has_rows[is_image])]
        yield pa.RecordBatch.from_arrays(columns, schema=_TO_COPY)
        places = [pa.nulls(of_table.num_rows, field.type) for field in PLACE]
        columns = [*(of_table[field.name] for field in _COPY), *places, pa.array(has_image[~is_image])]
        yield pa.RecordBatch.from_arrays(columns, schema=_TO_COPY)


def _to_files(task: int, buckets: Iterator[Rows], result: TaskResult) -> Rows:
    """Yield the PLACE of each copy whose leader is among the images.

    Tally copies in the table, and copies that are leaders.
    """
    for rows, groups in grouped(buckets):
        is_image = rows["file"].is_valid().to_numpy(zero_copy_only=False)
        leads = rows["leads"].to_numpy(zero_copy_only=False)
        is_row, is_led = (groups.reduced(np.logical_or, mask[groups.order]) for mask in (~is_image, ~is_image & leads))
        is_row, is_led = is_row[groups.numbers], is_led[groups.numbers]
        result.add("found", int((is_image & is_row).sum()))
        goes = is_image & is_led
        chained = np.flatnonzero(goes & leads)
        if len(chained):
            result.add("chained", len(chained))
            result.note("chained", spelled(rows, chained[0]))
        yield rows.filter(pa.array(goes)).select(_PLACES.names)
