"""Find the pictures of evaluation sets among images: by URL, file (SHA-256), pHash within a distance, or embedding.

Keys of 16 bytes (of URLs and files) must be equal; picture hashes may differ in some bits, and embeddings must have a
least cosine. A set has the pHash of each picture and the pHash of its mirror image. A mask, uint64, says which sets
have an image: bit k stands for the k-th set. `evaluation_texts` finds the exact texts of evaluation sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import require_distance
from curation.exclusion.lists import KeySet, url_keys
from curation.inputs.tables.columns import RECOGNISED
from curation.leaves.by_uid.tables import ROWS, opened, parquet_files
from curation.leaves.near_copies.index import WORD_BITS, BandIndex, Tables, hash_words, is_plain
from curation.leaves.near_copies.vectors import LeastCosine, require_vectors, scaled, usable_numbers
from runtime.arrow import Strings, string_array, uid_numbers
from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.storage.arrays import open_arrays, save_arrays

NO_SET = np.uint64(0)
_WORDS = {"urls": 2, "sha256": 2, "hashes": 1}  # uint64 in a key or hash of each kind

VERSION = 1
MOST_SETS = 60  # each set is a bit of a mask
SHA256_BYTES, PHASH_BYTES = 32, 8
_MIRRORED = "phash_mirrored"
_HASHES = ("phash", _MIRRORED)  # the columns of a table whose hashes an image is compared with
_HEADER = "evaluation.json"
EMBEDDING = "embedding"
_EXPECTED = "a table of pictures: Parquet files with a column url, sha256 or phash, as clip-hash writes them"
_OF_THE_WEB = "^[0-9a-fA-F]{32}$"  # matches the uid of a URL, and no uid that is a path in a folder


@dataclass(frozen=True)
class EvaluationSet:
    """The name of an evaluation set, and numbers of pictures in its table."""

    name: str
    pictures: int
    plain: int  # pictures with the pHash of a plain picture, which is not looked up
    unmirrored: int  # pictures with any other pHash, but none of the mirror image


@dataclass(frozen=True, eq=False)
class EvaluationSets:
    """The pictures of evaluation sets; a mask, uint64, says which sets have an image: bit k stands for sets[k]."""

    sets: tuple[EvaluationSet, ...]
    distance: int
    urls: KeysOfSets
    sha256: KeysOfSets
    hashes: HashesOfSets
    vectors: VectorsOfSets | None = None  # None: embeddings are not compared

    @classmethod
    def read(cls, tables: Iterable[str | PathLike[str]], distance: int, cosine: float | None = None) -> EvaluationSets:
        """Return the sets in tables: files, folders, globs or URLs of Parquet, named by the last part of the path.

        `cosine` is the least one of embeddings; None: these are not compared. InputError for a table without URLs,
        hashes and embeddings, and for a distance that is too large for copies.
        """
        require_distance(distance, WORD_BITS)
        paths = sorted(_named(list(map(str, tables))).items())
        found = [_read(name, path, cosine is not None) for name, path in paths]
        own = {kind: [each.all(kind) for each in found] for kind in _WORDS}
        keys, hashes = (
            (KeysOfSets.of(own["urls"]), KeysOfSets.of(own["sha256"])),
            HashesOfSets.of(own["hashes"], distance),
        )
        vectors = None if cosine is None else VectorsOfSets.of([each.found[EMBEDDING] for each in found], cosine)
        return cls(tuple(each.described for each in found), distance, *keys, hashes, vectors)

    def by_url(self, uids: Strings | np.ndarray) -> np.ndarray:
        """Return, for each image, the mask of the sets that have its URL or uid: uint64[image].

        `uids` are uids, or keys from `uid_numbers` or `url_keys`: the MD5 of a URL is a uid, too. A null matches
        nothing.
        """
        if isinstance(uids, np.ndarray):
            return self.urls.find(uids)
        strings = string_array(uids, "uids")
        out = np.zeros(len(strings), np.uint64)
        out[strings.is_valid().to_numpy(zero_copy_only=False)] = self.urls.find(uid_numbers(strings.drop_null()))
        return out

    def by_sha256(self, column: pa.Array) -> np.ndarray:
        """Return, for each image, the mask of the sets that have its SHA-256 (bytes or digits); 0 for null."""
        keys, is_given = _sha256_keys(column)
        return np.where(is_given, self.sha256.find(keys), np.uint64(0))

    def by_phash(self, column: pa.Array) -> np.ndarray:
        """Return, for each image, the mask of the sets with a pHash within the distance of its own; 0 for null.

        The mask is also 0 for the hash of a plain picture, which would be near every plain picture.
        """
        words, is_given = hash_words(column, "phash", PHASH_BYTES)
        rows = np.flatnonzero(is_given & ~is_plain(words))
        out = np.zeros(len(words), np.uint64)
        out[rows] = self.hashes.find(words[rows], self.distance)
        return out

    def by_embedding(self, column: pa.Array) -> np.ndarray:
        """Return, for each image, the mask of the sets with an embedding near its own; 0 for null, zeros and NaN."""
        out = np.zeros(len(column), np.uint64)
        if self.vectors is not None:
            require_vectors(column.type, f"column {EMBEDDING} of a table of images")
            numbers, rows = usable_numbers(column, self.vectors.vectors.shape[1], "tables of images and of sets")
            out[rows] = self.vectors.find(scaled(numbers))
        return out

    @property
    def columns(self) -> list[str]:
        """The columns of tables of images that are compared with the sets."""
        return ["sha256", "phash"] + [EMBEDDING] * (self.vectors is not None)

    @property
    def names(self) -> list[str]:
        """The names of the sets, in the order of the bits of a mask."""
        return [each.name for each in self.sets]

    @property
    def has_urls(self) -> bool:
        """Whether any picture can be found by its URL."""
        return len(self.urls.keys) > 0

    def known(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return, for each image of a MATCHED batch, the mask of the sets that have its uid or URL."""
        return self.by_url(batch["uid"]) | self.by_url(url_keys(batch["url"]))

    def save(self, directory: str | PathLike[str]) -> str:
        """Write the sets to a folder, for workers to open; return the path of the folder."""
        header = {"version": VERSION, "distance": self.distance, "sets": [vars(each) for each in self.sets]}
        parts: dict[str, KeysOfSets | HashesOfSets | VectorsOfSets]
        parts = {"urls": self.urls, "sha256": self.sha256, "hashes": self.hashes}
        parts |= {"vectors": self.vectors} if self.vectors else {}
        save_arrays(Path(directory), _HEADER, header, joined(parts))
        return str(directory)

    @classmethod
    def open(cls, directory: str | PathLike[str]) -> EvaluationSets:
        """Map saved sets into memory, which all processes of a machine share; InputError for damaged ones."""
        header, arrays = open_arrays(Path(directory), _HEADER, VERSION)
        own = parted(arrays)
        try:
            sets = tuple(EvaluationSet(**each) for each in header["sets"])
            vectors = VectorsOfSets(**own["vectors"]) if "vectors" in own else None
            keys = KeysOfSets.open(own["urls"]), KeysOfSets.open(own["sha256"])
            return cls(sets, header["distance"], *keys, HashesOfSets.open(own["hashes"]), vectors)
        except (KeyError, TypeError) as error:
            raise InputError(f"{directory} holds no whole evaluation sets ({error}): build them again") from None


def _sha256_keys(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the first 16 bytes of each SHA-256, uint64[row, 2], and a mask, bool[row]: which rows have one."""
    words, is_given = hash_words(column, "sha256", SHA256_BYTES)
    return np.ascontiguousarray(words[:, :2]), is_given


@dataclass
class _Table:
    """The keys and hashes in an evaluation set's table, which are collected batch by batch."""

    name: str
    pictures: int = 0
    plain: int = 0
    unmirrored: int = 0
    found: dict[str, list[np.ndarray]] = field(default_factory=lambda: {kind: [] for kind in (*_WORDS, EMBEDDING)})

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch of rows; it may have the columns url, uid, sha256, EMBEDDING and _HASHES."""
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        self.pictures += batch.num_rows
        if "url" in columns:
            self.found["urls"].append(url_keys(columns["url"].drop_null()))
        if "uid" in columns:
            uids = columns["uid"].cast(pa.large_string())
            self.found["urls"].append(uid_numbers(uids.filter(pc.match_substring_regex(uids, _OF_THE_WEB))))
        if "sha256" in columns:
            keys, is_given = _sha256_keys(columns["sha256"])
            self.found["sha256"].append(keys[is_given])
        if EMBEDDING in columns:
            require_vectors(columns[EMBEDDING].type, f"column {EMBEDDING}")
            for first in (known := columns[EMBEDDING].drop_null()).slice(0, 1):
                self.found[EMBEDDING].append(scaled(usable_numbers(known, len(first), self.name)[0]))
        mirrored = columns.get(_MIRRORED, pa.nulls(batch.num_rows))
        for name in filter(columns.__contains__, _HASHES):
            words, is_given = hash_words(columns[name], name, PHASH_BYTES)
            plain = is_plain(words)
            self.found["hashes"].append(words[is_given & ~plain])
            if name != _MIRRORED:
                self.plain += int((is_given & plain).sum())
                self.unmirrored += pc.sum(mirrored.filter(pa.array(is_given & ~plain)).is_null()).as_py() or 0

    def all(self, kind: str) -> np.ndarray:
        """Return all keys or hashes of a kind."""
        return np.concatenate([np.empty((0, _WORDS[kind]), np.uint64), *self.found[kind]])

    @property
    def described(self) -> EvaluationSet:
        return EvaluationSet(self.name, self.pictures, self.plain, self.unmirrored)


def _named(paths: Sequence[str]) -> dict[str, str]:
    """Return the paths by the names of their sets, the last parts of the paths; InputError for equal names."""
    named = {(path.partition("?")[0] if "://" in path else path).rstrip("/").rpartition("/")[2]: path for path in paths}
    if len(named) < len(paths):
        given = ", ".join(map(hidden, paths))
        raise InputError(f"of the evaluation sets {given} two paths end alike; their ends name the sets")
    if len(paths) > MOST_SETS:
        raise InputError(f"{len(paths)} evaluation sets are given; at most {MOST_SETS} can be told apart")
    return named


def _read(name: str, path: str, with_vectors: bool) -> _Table:
    """Return what is compared in the files of a table; refuse a table without any URL, hash or embedding."""
    table = _Table(name)
    for file, version in parquet_files(path, _EXPECTED):
        with opened(file, version) as parquet:
            known = _columns(parquet.schema.names, file, [EMBEDDING] if with_vectors else [])
            for batch in parquet.batches([*known], ROWS):
                try:
                    table.add(pa.RecordBatch.from_arrays(batch.columns, [known[each] for each in batch.schema.names]))
                except InputError as error:
                    raise InputError(f"{file}: {error}") from None
    if not any(map(len, chain.from_iterable(table.found.values()))) and not table.plain:
        shown = hidden(path)
        raise InputError(f"{shown} names no picture: it holds no URL, no SHA-256 and no pHash; expected {_EXPECTED}")
    return table


def _columns(names: Sequence[str], path: str, more: Sequence[str]) -> dict[str, str]:
    """Return the columns to read, by name: each is a url, a uid, a sha256, one of _HASHES or one of `more`.

    InputError if none of `names` is a URL or a hash.
    """
    known = {column: kind for kind in ("url", "uid") for column in RECOGNISED[kind]}
    known |= {column: column for column in ("sha256", *_HASHES, *more)}
    found = {name: kind for name in names if (kind := known.get(name.lower()))}
    if not {*found.values()} - {"uid"}:
        raise InputError(f"{path} has the columns {', '.join(names)}; expected {_EXPECTED}")
    return found


@dataclass(frozen=True, eq=False)
class KeysOfSets:
    """Distinct keys of 16 bytes; sets[i] is the mask, uint64, of the sets that have the i-th key."""

    keys: KeySet
    sets: np.ndarray

    @classmethod
    def of(cls, given: Sequence[np.ndarray]) -> KeysOfSets:
        """Return the distinct keys of all sets; `given` has the keys of each set, uint64[key, 2]."""
        keys = KeySet.of(given)
        return cls(keys, _sets([keys.find(each) for each in given], len(keys)))

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Return the mask of the sets that have each key, uint64[key, 2]; NO_SET for an unknown key."""
        places = self.keys.find(keys)
        return np.append(self.sets, NO_SET)[places]  # an unknown key has the index -1

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, as `open` takes them."""
        return {"keys": self.keys.keys, "starts": self.keys.starts, "sets": self.sets}

    @classmethod
    def open(cls, arrays: dict[str, np.ndarray]) -> KeysOfSets:
        """Return the keys that `arrays` returned as these arrays."""
        return cls(KeySet(arrays["keys"], arrays["starts"]), arrays["sets"])


@dataclass(frozen=True, eq=False)
class HashesOfSets:
    """Distinct hashes of one length, and an index to find near ones.

    sets[i] is the mask, uint64, of the sets that have the i-th hash.
    """

    words: np.ndarray  # uint64[hash, words]
    sets: np.ndarray
    index: BandIndex | None  # None if there are no hashes

    @classmethod
    def of(cls, given: Sequence[np.ndarray], distance: int) -> HashesOfSets:
        """Return the distinct hashes of all sets, and index them for `distance`.

        `given` has the hashes of each set, uint64[hash, words]; there must be at least one set.
        """
        words, places = np.unique(np.concatenate(given), axis=0, return_inverse=True)
        ends = np.cumsum([len(each) for each in given])[:-1]
        sets = _sets(np.split(places.reshape(-1), ends), len(words))
        bits = np.arange(WORD_BITS * words.shape[1])
        return cls(words, sets, BandIndex.of(words, range(len(words)), bits, distance) if len(words) else None)

    def find(self, words: np.ndarray, distance: int) -> np.ndarray:
        """Return, for each of `words`, the mask of the sets with a hash within `distance`, that of the index."""
        out = np.zeros(len(words), np.uint64)
        if self.index is not None:
            both = np.concatenate([self.words, words])
            for pairs in self.index.pairs(both, distance, len(self.words)):
                np.bitwise_or.at(out, pairs[:, 0] - len(self.words), self.sets[pairs[:, 1]])
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, as `open` takes them."""
        arrays = {"words": self.words, "sets": self.sets}
        if self.index is not None:
            parts = {name: getattr(self.index, name) for name in ("places", "starts", "members")}
            arrays |= parts | {"flips": np.array(self.index.tables.flips, np.int64)}
        return arrays

    @classmethod
    def open(cls, arrays: dict[str, np.ndarray]) -> HashesOfSets:
        """Return the hashes that `arrays` returned as these arrays."""
        index = None
        if "flips" in arrays:
            tables = Tables(arrays["places"].shape[1], tuple(arrays["flips"].tolist()))
            index = BandIndex(tables, *(arrays[name] for name in ("places", "starts", "members")))
        return cls(arrays["words"], arrays["sets"], index)


@dataclass(frozen=True, eq=False)
class VectorsOfSets:
    """The distinct embeddings of each set, sorted, and the least cosine, an array of one number.

    bounds[k] and bounds[k + 1] are the begin and the end of the k-th set in `vectors`.
    """

    vectors: np.ndarray  # float32[vector, dimension], `scaled`
    bounds: np.ndarray
    cosine: np.ndarray

    @classmethod
    def of(cls, given: Sequence[list[np.ndarray]], cosine: float) -> VectorsOfSets:
        """Return the embeddings of all sets; InputError if there is none, or if their lengths differ.

        `given` has for each set arrays of float32[vector, dimension], `scaled`.
        """
        widths = {each.shape[1] for each in chain.from_iterable(given)}
        if len(widths) != 1:
            found = f"embeddings of {len(widths)} lengths" if widths else f"no column {EMBEDDING}"
            raise InputError(
                f"--decontaminate-cosine compares embeddings, and its tables have {found}; give one model's"
            )
        own = [np.unique(np.concatenate([np.empty((0, *widths), np.float32), *each]), axis=0) for each in given]
        return cls(np.concatenate(own), np.cumsum([0, *map(len, own)]), np.array([cosine]))

    def find(self, vectors: np.ndarray) -> np.ndarray:
        """Return the mask of the sets that have an embedding near each of float32[vector, dimension], `scaled`."""
        near, out = LeastCosine(self.vectors.shape[1], float(self.cosine[0])), np.zeros(len(vectors), np.uint64)
        for bit, (begin, end) in enumerate(pairwise(self.bounds.tolist())):
            out |= near.has_near(vectors, self.vectors[begin:end]).astype(np.uint64) << np.uint64(bit)
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return {name: getattr(self, name) for name in ("vectors", "bounds", "cosine")}


def joined(parts: Mapping[str, KeysOfSets | HashesOfSets | VectorsOfSets]) -> dict[str, np.ndarray]:
    """Return the arrays of parts, whose names hold no underscore, as `parted` takes them."""
    return {f"{name}_{key}": array for name, part in parts.items() for key, array in part.arrays().items()}


def parted(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of each part by name."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        part, _, key = name.partition("_")
        found.setdefault(part, {})[key] = array
    return found


def _sets(places: Sequence[np.ndarray], number: int) -> np.ndarray:
    """Return a mask of sets for each of `number` indices: places[k] are the indices that the k-th set has."""
    sets = np.zeros(number, np.uint64)
    for bit, own in enumerate(places):
        sets[own] |= np.uint64(1 << bit)
    return sets
