"""Find the images that lists name: those whose hashes are listed as illegal, and the only images that may stay.

Tasks look up the hashes (SHA-256, MD5 or PDQ) in the tables of images of a run, and return the keys of images with a
listed hash. The run excludes these images before anything is matched. A list of uids or URLs of the only images that
may stay is read as a table of images without other columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.exclusion.lists import HASHES, read_list
from curation.images.combine import uids
from curation.leaves.by_uid.tables import IDENTITIES, KEY, KEY_NAMES, ImageTable, Paths, key_columns
from curation.leaves.gate.evaluation import HashesOfSets, KeysOfSets, joined, parted
from curation.leaves.near_copies.index import hash_words
from runtime.engine.interface import Engine
from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.shipping import Shipped
from runtime.storage.arrays import open_arrays, save_arrays
from runtime.storage.listing import Version, expand, looking_up
from runtime.storage.paths import reachable
from runtime.tallies import Tallies

NEAR = "pdq"  # the kind whose hashes may differ in some bits
_VERSION, _HEADER = 1, "listed_hashes.json"
_HIT, _HASHES = "hit.", "hashes."  # names of tallies begin with these; the key of an image, or a kind, follows


@dataclass(frozen=True, eq=False)
class ListedHashes:
    """The listed hashes of each kind; hashes of NEAR may differ in `distance` bits."""

    kinds: Mapping[str, KeysOfSets | HashesOfSets]
    distance: int

    @classmethod
    def of(cls, hashes: Mapping[str, np.ndarray], distance: int) -> ListedHashes:
        """Return the listed hashes; `hashes` has those of each kind, uint64[hash, words]."""
        return cls({kind: _of_kind(kind, [words], distance) for kind, words in hashes.items()}, distance)

    def has(self, kind: str, column: pa.Array) -> tuple[np.ndarray, int]:
        """Return a mask, bool[row], of the hashes in a column that are listed, and the number that are not null."""
        words, is_given = hash_words(column, kind, HASHES[kind])
        rows, listed = np.flatnonzero(is_given), self.kinds[kind]
        found = (
            listed.find(words[rows], self.distance)
            if isinstance(listed, HashesOfSets)
            else listed.find(_key(words[rows]))
        )
        out = np.zeros(len(column), bool)
        out[rows] = found != 0
        return out, len(rows)

    def save(self, directory: str | PathLike[str]) -> str:
        """Write the hashes to a folder, for workers to open; return the path of the folder."""
        save_arrays(Path(directory), _HEADER, {"version": _VERSION, "distance": self.distance}, joined(self.kinds))
        return str(directory)

    @classmethod
    def open(cls, directory: str | PathLike[str]) -> ListedHashes:
        """Map saved hashes into memory, which all processes of a machine share."""
        header, arrays = open_arrays(Path(directory), _HEADER, _VERSION)
        own = parted(arrays)
        kinds = {kind: (HashesOfSets if kind == NEAR else KeysOfSets).open(own[kind]) for kind in own}
        return cls(kinds, header["distance"])


@dataclass(frozen=True, eq=False)
class HashTables:
    """The tables of images that have a column of hashes, by kind of hash."""

    of_kind: Mapping[str, Sequence[ImageTable]]

    @classmethod
    def among(cls, tables: Sequence[ImageTable], kinds: Sequence[str]) -> HashTables:
        """Return the tables among `tables` that have hashes of these kinds; InputError for a kind in no table."""
        found = {kind: [table for table in tables if kind in table.columns.names] for kind in kinds}
        for kind in kinds:
            if not found[kind]:
                raise InputError(f"{kind} hashes are listed, and no table of images has a column {kind}; {_by(kind)}")
        return cls(found)

    def files(self) -> list[tuple[str, str]]:
        """Return pairs of path and version of all files, sorted, as text without secrets."""
        tables = [table for own in self.of_kind.values() for table in own]
        files = {path: version for table in tables for path, version in table.files}
        return sorted((hidden(path), _named(version)) for path, version in files.items())

    def find(self, engine: Engine, hashes: Mapping[str, np.ndarray], bits: int, work: Path) -> np.ndarray:
        """Return the keys of the images with a listed hash, uint64[image, 2].

        Hashes of NEAR may differ in `bits` bits; `work` is a folder for the hashes that are shipped. InputError for a
        kind whose columns hold only nulls.
        """
        lists = engine.ship(Path(ListedHashes.of(hashes, bits).save(work / "listed_hashes")))
        items = [(table, file, kind) for kind, own in self.of_kind.items() for table in own for file in table.files]
        counted = engine.run(items, partial(_find, lists=lists))
        for kind in self.of_kind:
            if not counted[f"{_HASHES}{kind}"]:
                raise InputError(f"{kind} hashes are listed, and tables of images have nulls in {kind}; {_by(kind)}")
        hits = "".join(sorted(counted.beginning(_HIT)))
        return np.frombuffer(bytes.fromhex(hits), ">u8").astype(np.uint64).reshape(-1, 2)


def _find(item: tuple[ImageTable, tuple[str, Version], str], lists: Shipped) -> Tallies:
    table, file, kind = item
    listed, tallies = lists.opened(ListedHashes.open), Tallies()
    for batch in table.read(file, [kind]):
        found, given = listed.has(kind, batch[kind])
        tallies.add(f"{_HASHES}{kind}", given)
        keys = np.column_stack([batch[name].to_numpy() for name in KEY_NAMES])[found]
        for key in keys.astype(">i8"):
            tallies.add(f"{_HIT}{key.tobytes().hex()}", 1)
    return tallies


def _named(version: Version) -> str:
    """Return text that identifies the content of a file: its checksum, or else size, time of modification and ETag."""
    return version.checksum or f"{version.size} {version.modified} {version.etag}"


def _of_kind(kind: str, words: list[np.ndarray], distance: int) -> KeysOfSets | HashesOfSets:
    return HashesOfSets.of(words, distance) if kind == NEAR else KeysOfSets.of([_key(each) for each in words])


def _key(words: np.ndarray) -> np.ndarray:
    """Return the first 16 bytes of each hash, uint64[hash, 2]."""
    return np.ascontiguousarray(words[:, :2])


def _by(kind: str) -> str:
    by = {"sha256": "clip-hash writes it", "pdq": "clip-hash --pdq writes it"}
    return f"give one by --images: {by.get(kind, f'img2dataset writes it with --compute_hash {kind}')}"


@dataclass(frozen=True, eq=False)
class UidList:
    """Files that name images, one a line, or in a column uid or url; tasks read them."""

    name: str  # paths as the user gave them, without secrets
    files: tuple[str, ...]
    identity: str = "uid"
    columns: pa.Schema = pa.schema([])

    @classmethod
    def find(cls, paths: Paths) -> UidList:
        """Return the lists in files, folders, globs or URLs; InputError for none, or one that names no uids or URLs."""
        given = [*map(str, paths)]
        found = cls(", ".join(map(hidden, given)), tuple(file for path in given for file in _files(path)))
        for file in found.files:
            next((batch for batch in found.read(file) if batch.num_rows), None)
        return found

    def read(self, file: str, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the KEY of each image that a file names; InputError for a file of domains or hashes."""
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
