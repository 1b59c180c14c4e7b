"""Count the texts that contain each entry: one exact integer per id, over all languages.

Thresholds and rates from counts are in `thresholds`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.entry_ids import entry_chunks, entry_ids
from curation.kernels import counting as kernels
from curation.schemas import COUNTS
from metadata.entries import Entries
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile, intact
from runtime.storage.parquet import ParquetFile, open_parquet, write_tables
from runtime.storage.paths import as_path
from runtime.storage.whole import read_json

VERSION = b"1"
SEEN = pa.schema([pa.field("id", pa.int32()), pa.field("count", pa.int64())])


class _Unfit(Exception):
    """What is wrong with a file that is no counts of entries."""


@dataclass(frozen=True, eq=False)
class EntryCounts:
    """The number of texts that contain each entry, with the digest of the entries that its ids belong to."""

    values: np.ndarray  # int64, one per id
    digest: str

    @classmethod
    def zeros(cls, size: int, digest: str) -> "EntryCounts":
        """Return the counts of no texts."""
        return cls(np.zeros(size, np.int64), digest)

    def count(self, entries: pa.Array | pa.ChunkedArray | Sequence) -> "EntryCounts":
        """Add one to each entry for each text that contains it, in place; `entries` are Arrow lists of distinct ids."""
        chunks = [entry_ids(chunk, len(self.values))[0] for chunk in entry_chunks(entries)]
        for ids in chunks:
            kernels.count(ids, self.values)
        return self

    def seen(self) -> pa.RecordBatch:
        """Return `id` and `count` of the entries that were seen; a worker sends these, few beside all entries."""
        ids = np.flatnonzero(self.values).astype(np.int32)
        return pa.RecordBatch.from_arrays([pa.array(ids), pa.array(self.values[ids])], schema=SEEN)

    def add_seen(self, batch: pa.RecordBatch | pa.Table) -> "EntryCounts":
        """Add the counts of a batch or table of `seen`, in place."""
        ids, counts = batch.column("id").to_numpy(), batch.column("count").to_numpy()
        if len(ids) and (ids.min() < 0 or ids.max() >= len(self.values)):
            raise InputError(f"counts of entry ids {ids.min()} … {ids.max()}, but there are {len(self.values)} entries")
        kernels.add(ids, counts, self.values)
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
        """Read the counts at `path`; refuse a damaged file, or one of other entries than those of `digest`."""
        own = counts_file(as_path(path))
        try:
            with intact(own) as local, open_parquet(local) as file:
                counts = cls._read(file)
        except FileNotFoundError as error:
            raise InputError(f"no counts at {path}; give the counts.parquet of a finished run") from error
        except _Unfit as error:
            raise InputError(f"{path} {error}") from error
        except InputError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise own.damaged(error) from error
        if digest is not None:
            counts._require_digest(digest, "the entries")
        return counts

    @classmethod
    def _read(cls, file: ParquetFile) -> "EntryCounts":
        stated = file.schema_arrow.metadata or {}
        if not file.schema_arrow.equals(COUNTS) or b"digest" not in stated:
            raise _Unfit("holds no counts of entries; give the counts.parquet of a finished run")
        if stated.get(b"version") != VERSION:
            raise _Unfit(f"is of version {stated.get(b'version')!r}, this program reads {VERSION!r}; count again")
        read = file.iter_batches() if file.num_row_groups else ()  # all columns, so that all checksums are compared
        batches = [(batch.column("id").to_numpy(False), batch.column("count").to_numpy(False)) for batch in read]
        ids = np.concatenate([np.empty(0, np.int32), *(ids for ids, _ in batches)])
        values = np.concatenate([np.empty(0, np.int64), *(values for _, values in batches)])
        whole = len(ids) == file.metadata.num_rows and np.array_equal(ids, np.arange(len(ids)))
        if not whole or values.dtype != np.int64 or (values < 0).any():  # nulls would have made floats of them
            raise _Unfit("does not hold one count for each entry; count again")
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
