"""Read lists of uids or URLs of the only images that may stay, as a table of images without other columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from curation.by_uid.tables import IDENTITIES, KEY, Paths, key_columns
from curation.exclusion.lists import HASHES, read_list
from curation.images.uids import uids
from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.storage.listing import expand, looking_up
from runtime.storage.paths import reachable


@dataclass(frozen=True, eq=False)
class UidList:
    """Files that name images, one a line, or in a column uid or url; they are read in tasks."""

    name: str  # as it was given
    files: tuple[str, ...]
    identity: str = "uid"
    columns: pa.Schema = pa.schema([])

    @classmethod
    def find(cls, paths: Paths) -> UidList:
        """Return the lists in files, folders, globs or URLs; InputError for none, or one that begins wrong."""
        given = [*map(str, paths)]
        found = cls(", ".join(map(hidden, given)), tuple(file for path in given for file in _files(path)))
        for file in found.files:
            next((batch for batch in found.read(file) if batch.num_rows), None)
        return found

    def read(self, file: str, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the KEY of each image that a file names."""
        for kind, values in read_list(file, "the list"):
            if len(values) and kind not in IDENTITIES:
                shown = "" if kind in HASHES else f", {values[0].as_py()!r}"
                raise InputError(f"{hidden(file)} names a {kind}{shown}; --only takes uids and URLs")
            keys = key_columns(uids(values) if kind == "url" else values)
            yield pa.RecordBatch.from_arrays(keys, schema=self.row_schema())

    def row_schema(self, columns: Sequence[str] = ()) -> pa.Schema:
        """Return the schema of what `read` yields."""
        return pa.schema(KEY)


def _files(path: str) -> list[str]:
    with looking_up(path), reachable(path):
        found = expand(path)
    if found is None or not found.paths:
        raise InputError(f"{path} does not exist; expected a list of the uids or URLs of images that may stay")
    if all(version.size == 0 for _, version in found.files):
        raise InputError(f"{path} is empty; give the uids or URLs of images that may stay, or leave out --only")
    return sorted(found.paths)
