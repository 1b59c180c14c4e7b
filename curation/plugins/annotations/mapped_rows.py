"""Arrow files with one row per image, sorted by the uid as two integers (the key), which processes map into memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runtime.arrow import exact_numbers
from runtime.errors import InputError
from runtime.folders.ownership import owned
from runtime.storage.arrays import mapped_batch, open_arrow
from runtime.storage.checksums import checksum_of
from runtime.storage.json_files import read_json, write_json
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import MOST_PARTS, batches, in_parts
from runtime.storage.paths import make_folder
from runtime.storage.whole import WORK, remove_partial_of, whole

CHECKSUM = "crc32"  # This key in the JSON file next to the rows has the checksum of the file of rows.
HALVES = ("high", "low")  # the columns of the key, as in `exact_numbers`
Opened = TypeVar("Opened", bound="MappedRows")


def sorted_schema(version: bytes, *values: pa.Field) -> pa.Schema:
    """Return a schema with the two columns of the key, the columns `values`, and the version as metadata."""
    return pa.schema([*(pa.field(half, pa.int64()) for half in HALVES), *values], {b"version": version})


@dataclass(frozen=True, eq=False)
class MappedRows:
    """One row per image for many images, mapped into memory from a file and sorted by the key of the uid.

    No value is null. An unknown value is NaN, an empty string, or a number below 0.
    """

    schema: ClassVar[pa.Schema]
    what: ClassVar[str]  # the name of the rows in messages, and of the public module that builds them

    rows: pa.RecordBatch
    digest: str
    path: str

    def __reduce__(self) -> tuple:
        return type(self).open, (self.path,)  # Another process maps the file again.

    @classmethod
    def open(cls: type[Opened], path: str | PathLike[str]) -> Opened:
        """Map a file's rows into memory; InputError if it is missing, damaged, or of another schema or version."""
        file = Path(path)
        remedy = f"build them again with curation.{cls.what}.build"
        if not file.exists():
            raise InputError(f"{file} does not exist; pass a file of {cls.what}, or {remedy}")
        facts = read_json(facts_path(file)) or {}
        if not isinstance(facts.get(CHECKSUM), str):
            why = f"{facts_path(file).name} beside it is {'damaged' if facts_path(file).exists() else 'missing'}"
            raise InputError(f"the {cls.what} in {file} cannot be checked: {why}; copy both files, or {remedy}")
        reader = open_arrow(OwnFile(file, facts[CHECKSUM], remedy))
        version = cls.schema.metadata[b"version"]
        meta = reader.schema.metadata or {}
        if reader.num_record_batches != 1 or not reader.schema.equals(cls.schema) or meta.get(b"version") != version:
            raise InputError(f"{file} does not hold {cls.what} of version {version.decode()}; {remedy}")
        return cls(reader.get_batch(0), facts[CHECKSUM], str(path))

    def __len__(self) -> int:
        return self.rows.num_rows

    def find(self, uids: pa.Array) -> np.ndarray:
        """Return the index of the row of each image; -1 for an image without a row."""
        return rows_at(self.rows, exact_numbers(uids))

    def of(self, uids: pa.Array, names: Sequence[str] = ()) -> pa.RecordBatch:
        """Return the columns `names` (default: all values) for each image; null if the value is unknown."""
        indices = self.find(uids)
        rows = pa.array(indices, mask=indices < 0)
        names = names or self.schema.names[len(HALVES) :]
        return pa.RecordBatch.from_arrays([_known(self.rows[name].take(rows)) for name in names], names=[*names])


def save_rows(path: str | PathLike[str], rows: pa.RecordBatch) -> None:
    """Write rows as one record batch, so that a column maps as one array; write the checksum to a JSON file."""
    options = pa.ipc.IpcWriteOptions(allow_64bit=True)  # There may be more rows than an int32 can count.
    with whole(path) as partial:
        with pa.ipc.new_file(str(partial), rows.schema, options=options) as file:
            file.write_batch(rows)
        checksum = checksum_of(partial)
    write_json(facts_path(Path(path)), {"rows": rows.num_rows, CHECKSUM: checksum})


def save_rows_of(
    path: str | PathLike[str], rows: pa.RecordBatch, images: Sequence[OwnFile], what: str
) -> tuple[int, int]:
    """Write rows about images to `path`; return the number of `images`, and how many of these have no row.

    `images` are files of a run. InputError, before anything is written, if no row is about one of its images; `what`
    names the rows in the message.
    """
    number = without = 0
    for file in images:
        for batch in batches(file, columns=["uid"]):
            number += batch.num_rows
            without += int((rows_at(rows, exact_numbers(batch["uid"])) < 0).sum())
    if without == number:
        raise InputError(
            f"none of the {rows.num_rows:,} {what} belongs to an image of {images[0].path.parents[1]}; pass tables "
            "with uids or URLs of this run"
        )
    save_rows(path, rows)
    return number, without


def facts_path(path: Path) -> Path:
    """Return the path of the JSON file with the checksum of the rows at `path`."""
    return path.with_name(f"{path.name}.json")


@contextmanager
def work_beside(path: str | PathLike[str]) -> Iterator[str]:
    """Yield a temporary folder beside a file, for sorting the file's rows; a second process waits until the first ends.

    Files that killed processes left in the folder, and half-written files for `path`, are removed before.
    """
    path = Path(path)
    folder = path.with_name(f".{path.name}{WORK}")
    try:
        with owned(folder, wait=True) as owner:
            for file in (path, facts_path(path)):
                remove_partial_of(file)
            yield str(make_folder(owner.unfinished))
    finally:
        with suppress(OSError):  # Another process has the folder.
            folder.rmdir()


def sorted_rows(
    rows: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    parts: int,
    once: Callable[[pa.Table], pa.RecordBatch],
    work: str,
    to: pa.Schema,
) -> pa.RecordBatch:
    """Return rows, which are of `schema`, sorted by key, in the schema `to`, mapped from files in `work`.

    The rows are divided into `parts` parts, at most MOST_PARTS, each of which `once` sorts, one after the other.
    """
    parted = in_parts(rows, schema, min(MOST_PARTS, max(1, parts)), Path(work, "parts"))
    return mapped_batch(map(once, parted), to, Path(work))


def rows_at(rows: pa.RecordBatch, keys: np.ndarray) -> np.ndarray:
    """Return the index of the row with each key, or -1 without one; `rows` must be sorted by HALVES.

    `keys` are int64[key, 2], as `exact_numbers` returns them.
    """
    high, low = (rows[half].to_numpy() for half in HALVES)
    at = np.searchsorted(high, keys[:, 0])
    indices = np.full(len(at), -1)
    sought = np.arange(len(at))
    while len(sought):  # The loop repeats only if first halves of keys are equal.
        sought = sought[at[sought] < len(high)]
        sought = sought[high[at[sought]] == keys[sought, 0]]
        is_same = low[at[sought]] == keys[sought, 1]
        indices[sought[is_same]] = at[sought[is_same]]
        sought = sought[~is_same]
        at[sought] += 1
    return indices


def rows_by_key(rows: pa.Table, *first: np.ndarray) -> tuple[pa.RecordBatch, np.ndarray]:
    """Return rows sorted by key, and a mask, bool[row]: whether the row has the same key as the row before.

    Rows with the same key are sorted by the arrays `first`; without these, they keep their order.
    """
    high, low = (rows[half].to_numpy() for half in HALVES)
    order = np.lexsort((*first, low, high))
    high, low = high[order], low[order]
    is_repeated = np.zeros(len(order), bool)
    is_repeated[1:] = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    columns = [column.combine_chunks() for column in rows.take(pa.array(order)).columns]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema), is_repeated


def _known(values: pa.Array) -> pa.Array:
    """Return values as in a user's table: unknown values (NaN, "", below 0) as null, and large strings as strings."""
    if pa.types.is_floating(values.type):
        is_known = pc.invert(pc.is_nan(values))
    elif pa.types.is_large_string(values.type):
        is_known = pc.not_equal(values, "")
        values = values.cast(pa.string())
    else:
        is_known = pc.greater_equal(values, 0)
    return pc.if_else(is_known, values, pa.scalar(None, values.type))
