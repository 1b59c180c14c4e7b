"""Count the texts that contain each entry: one exact integer per entry id, over all languages.

Thresholds and rates are computed from the counts in `thresholds`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow.parquet import ParquetFile

from curation.schemas import COUNTS, ENTRY_IDS
from metadata.entries import Entries
from runtime.arrow.buffers import parts
from runtime.errors import InputError, require_integer, typed
from runtime.storage.own_files import OwnFile, intact, refusing
from runtime.storage.parquet import open_parquet, write_tables
from runtime.storage.paths import as_path
from runtime.storage.whole import read_json

VERSION = b"1"
SEEN = pa.schema([pa.field("id", pa.int32()), pa.field("count", pa.int64())])


@typed
@dataclass(frozen=True, eq=False)
class EntryCounts:
    """The number of texts that contain each entry, with the digest of the entries to which its ids belong."""

    values: np.ndarray  # int64, one per id
    digest: str

    @classmethod
    def zeros(cls, size: int, digest: str) -> "EntryCounts":
        """Return the counts of no texts."""
        require_integer("size", size, 0)
        return cls(np.zeros(size, np.int64), digest)

    def count(self, entries: pa.Array | pa.ChunkedArray | Sequence) -> "EntryCounts":
        """Add one to each entry for each text that contains it, in place; `entries` are Arrow lists of distinct ids."""
        chunks = [entry_ids(chunk, len(self.values))[0] for chunk in entry_chunks(entries)]
        for ids in chunks:
            np.add.at(self.values, ids, 1)
        return self

    def seen(self) -> pa.RecordBatch:
        """Return `id` and `count` of the entries that were seen; a worker sends these, few beside all entries."""
        ids = np.flatnonzero(self.values).astype(np.int32)
        return pa.RecordBatch.from_arrays([pa.array(ids), pa.array(self.values[ids])], schema=SEEN)

    def add_seen(self, batch: pa.RecordBatch | pa.Table) -> "EntryCounts":
        """Add the counts of a batch or table of `seen`, in place."""
        ids, counts = batch.column("id").to_numpy(), batch.column("count").to_numpy()
        require_among(ids, len(self.values))
        np.add.at(self.values, ids, counts)
        return self

    def __add__(self, other: "EntryCounts") -> "EntryCounts":
        self._require_digest(other.digest, "the other counts")
        return EntryCounts(self.values + other.values, self.digest)

    def __len__(self) -> int:
        return len(self.values)

    def by_language(self, languages: Mapping[str, slice]) -> dict[str, np.ndarray]:
        """Return the counts of each language, given its slice of ids."""
        return {language: self.values[ids] for language, ids in languages.items()}

    def save(self, path: str | Path, entries: Entries, rates: np.ndarray | None = None) -> str:
        """Write one Parquet row per entry, with its rate where rates are given; return the checksum of the file."""
        self._require_digest(entries.digest, "the entries")
        schema = COUNTS.with_metadata({b"version": VERSION, b"digest": self.digest.encode()})
        return write_tables(as_path(path), self._tables(entries, rates, schema), schema)

    @classmethod
    def open(cls, path: str | Path, digest: str | None = None) -> "EntryCounts":
        """Read the counts at `path`; refuse a damaged file, or counts of entries with another digest than `digest`."""
        own = counts_file(as_path(path))
        with refusing(own):
            try:
                with intact(own) as local, open_parquet(local) as file:
                    counts = cls._read(file, path)
            except FileNotFoundError as error:
                raise InputError(f"no counts at {path}; give the counts.parquet of a finished run") from error
        if digest is not None:
            counts._require_digest(digest, "the entries")
        return counts

    @classmethod
    def _read(cls, file: ParquetFile, path: str | Path) -> "EntryCounts":
        stated = file.schema_arrow.metadata or {}
        if not file.schema_arrow.equals(COUNTS) or b"digest" not in stated:
            raise InputError(f"{path} holds no counts of entries; give the counts.parquet of a finished run")
        if stated.get(b"version") != VERSION:
            raise InputError(
                f"{path} is of version {stated.get(b'version')!r}, this program reads {VERSION!r}; count again"
            )
        read = file.iter_batches() if file.num_row_groups else ()  # all columns, so that all checksums are compared
        batches = [(batch.column("id").to_numpy(False), batch.column("count").to_numpy(False)) for batch in read]
        ids = np.concatenate([np.empty(0, np.int32), *(ids for ids, _ in batches)])
        values = np.concatenate([np.empty(0, np.int64), *(values for _, values in batches)])
        whole = len(ids) == file.metadata.num_rows and np.array_equal(ids, np.arange(len(ids)))
        if not whole or values.dtype != np.int64 or (values < 0).any():  # nulls would have made floats of them
            raise InputError(f"{path} does not hold one count for each entry; count again")
        return cls(values, stated[b"digest"].decode())

    def _tables(self, entries: Entries, rates: np.ndarray | None, schema: pa.Schema) -> Iterator[pa.Table]:
        """Yield the rows of one language after the other."""
        for language, ids in entries.languages.items():
            values = self.values[ids]
            columns = [
                pa.array(np.arange(ids.start, ids.stop, dtype=np.int32)),
                pa.repeat(language, len(values)),
                entries.strings[ids].cast(pa.string()),
                pa.array(values),
                pa.nulls(len(values), pa.float32()) if rates is None else pa.array(rates[ids], pa.float32()),
            ]
            yield pa.Table.from_arrays(columns, schema=schema)

    def _require_digest(self, digest: str, owner: str) -> None:
        if digest != self.digest:
            raise InputError(
                f"these counts belong to metadata {self.digest}, {owner} to metadata {digest}; "
                "use the metadata that the texts were matched with, or match again"
            )


def counts_file(path: Path) -> OwnFile:
    """Return a file of counts with the checksum that the run.json beside it states."""
    facts = read_json(path.with_name("run.json")) or {}
    return OwnFile(path, facts.get("checksums", {}).get(path.name), "run the same command of curate again")


def entry_ids(entries: pa.Array, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of all lists as one int32 array, and the offsets of each list; refuse ids outside 0 … size - 1."""
    ids, offsets = parts(entries)
    if ids.null_count:
        raise InputError(f"{ids.null_count} entry ids are null; every id must be a number below {size}")
    ids = ids.to_numpy()
    require_among(ids, size)
    return ids, offsets


def hold_any(entries: pa.Array, wanted: np.ndarray) -> np.ndarray:
    """Return whether each list holds an id that is wanted, given a bool for each id."""
    ids, offsets = entry_ids(entries, len(wanted))
    before = np.concatenate([[0], np.cumsum(wanted[ids])])
    return before[offsets[1:]] > before[offsets[:-1]]


def entry_chunks(entries: pa.Array | pa.ChunkedArray | Iterable) -> list[pa.Array]:
    """Return `entries`, given as anything that is lists of ids, as Arrow arrays of (large) lists of int32."""
    if not isinstance(entries, pa.Array | pa.ChunkedArray):
        entries = _arrow(entries)
    if entries.type not in (ENTRY_IDS, pa.large_list(pa.int32())):
        entries = _cast(entries)
    return entries.chunks if isinstance(entries, pa.ChunkedArray) else [entries]


def _arrow(entries: Iterable) -> pa.Array:
    try:
        return pa.array(entries, ENTRY_IDS)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise InputError(f"entries are no lists of int32 ids: {error}") from error


def _cast(entries: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    try:
        return entries.cast(pa.large_list(pa.int32()))
    except pa.ArrowException as error:
        raise InputError(f"entries are {entries.type}; give lists of int32 ids ({error})") from error


def require_among(ids: np.ndarray, size: int) -> None:
    """Refuse ids outside 0 … size - 1."""
    for id in (ids.min(), ids.max()) if len(ids) else ():
        if not 0 <= id < size:
            raise InputError(f"entry id {id} is not among the {size} entries; these ids belong to other metadata")
