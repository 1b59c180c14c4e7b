"""Read the table of semantic copies that `--same-meaning` names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.clusters import named, table_in
from curation.by_uid.tables import KEY, ImageTable, Paths, key_columns, opened
from curation.schemas import COSINE
from runtime.errors import InputError
from runtime.storage.versions import Version

EXPECTED = "a folder that clip-cluster wrote with --same-meaning, or Parquet files with the columns uid and copy_of"


@dataclass(frozen=True)
class SameMeaning:
    """A table of images that are semantic copies of others."""

    table: ImageTable
    cosine: str | None  # that its first file states

    @classmethod
    def find(cls, paths: Paths) -> SameMeaning:
        """Return the table in folders of clip-cluster, files, folders, globs or URLs; InputError for one without."""
        table = ImageTable.find([table_in(str(each), "copies") for each in paths], EXPECTED, "copy_of")
        if not table.is_uid:
            raise InputError(f"{named(paths)} has no column uid; expected {EXPECTED}")
        with opened(*table.files[0]) as file:
            stated = (file.schema.metadata or {}).get(COSINE)
        return cls(table, stated and stated.decode(errors="replace"))

    def read(self, file: tuple[str, Version]) -> Iterator[tuple[list[pa.Array], list[pa.Array]]]:
        """Yield the KEY columns of the copies in a file, and those of the other images that stay for them."""
        for batch in self.table.read(file, ["copy_of"]):
            try:
                leaders = batch["copy_of"].cast(pa.string())
            except pa.ArrowException:
                raise InputError(f"{file[0]}: column copy_of is {batch['copy_of'].type}; it holds uids") from None
            own, theirs = batch.filter(is_known := pc.is_valid(leaders)).columns[: len(KEY)], leaders.filter(is_known)
            keys = key_columns(theirs)
            differs = pc.or_(*map(pc.not_equal, own, keys))
            yield [each.filter(differs) for each in own], [each.filter(differs) for each in keys]

    def __str__(self) -> str:
        return "one image of a meaning" + (f", by a cosine of {self.cosine}" if self.cosine else "")
