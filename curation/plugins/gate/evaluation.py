"""Find the pictures of evaluation sets among images, and their exact texts, such as class prompts, among texts.

Pictures are found by URL, file (SHA-256), pHash within a distance, or embedding. Keys of 16 bytes (of URLs, files and
texts) must be equal; two pHashes may differ in some bits, and the cosine of two embeddings must reach a threshold. A
set has the pHash of each picture and the pHash of its mirror image. A mask, uint64, says which sets have an image: bit
k stands for the k-th set.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from os import PathLike
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.column_names import RECOGNISED, USUAL, recognised
from curation.config import require_distance
from curation.exclusion.lists import HASHES, KeySet, url_keys
from curation.inputs.candidates import clean_array
from curation.inputs.tables.parquet_tables import is_table_file, opened_table, table_batches, text_lines
from curation.plugins.joins.image_tables import BATCH_ROWS, files_in, opened_parquet
from curation.plugins.near_duplicates.index import WORD_BITS, BandIndex, Tables, hash_words, is_low_detail
from curation.plugins.near_duplicates.vectors import LeastCosine, require_vectors, scaled, usable_numbers
from runtime.arrow import Strings, string_array, uid_numbers
from runtime.errors import InputError
from runtime.messages import quoted_names
from runtime.redaction import hidden
from runtime.storage.arrays import open_arrays, save_arrays
from runtime.storage.listing import without_query

Saved = TypeVar("Saved", bound="SavedSets")

SETS_VERSION = 1
MAX_SETS = 60  # Each set is a bit of a mask of 64 bits.
PHASH, EMBEDDING = "phash", "embedding"
PHASH_NEAR = 4  # Of the 64 bits of a pHash, 4 may differ in copies; docs/how-to/near-copies.md gives the reason.
NEAR = "pdq"  # the kind of listed hashes that may differ in some bits
HASH_BYTES = HASHES | {PHASH: 8}  # the length of a hash in bytes, by its kind
_MIRRORED = "phash_mirrored"
_HASHES = (PHASH, _MIRRORED)  # the columns of a table whose hashes an image is compared with
_HEADER = "sets.json"
_EXPECTED_PICTURES = "a table of pictures: Parquet files with a column url, sha256 or phash, as clip-hash writes them"
_OF_THE_WEB = "^[0-9a-fA-F]{32}$"  # This matches the uid of a URL, but not a uid that is a path in a folder.


@dataclass(frozen=True, eq=False)
class KeysOfSets:
    """Distinct keys (16 bytes) of sets, in the arrays of a KeySet.

    sets[i] is the mask, uint64, of the sets that have the i-th key.
    """

    keys: np.ndarray
    starts: np.ndarray
    sets: np.ndarray

    @classmethod
    def of(cls, keys_by_set: Sequence[np.ndarray]) -> KeysOfSets:
        """Return the distinct keys of all sets; `keys_by_set` has the keys of each set, uint64[key, word].

        Only the first 16 bytes of each key, its first two words, are kept.
        """
        cut = [np.ascontiguousarray(words[:, :2]) for words in keys_by_set]
        keys = KeySet.of(cut)
        return cls(keys.keys, keys.starts, _sets([keys.find(words) for words in cut], len(keys)))

    def find(self, words: np.ndarray, distance: int = 0) -> np.ndarray:
        """Return, for each key of uint64[key, word], the mask of the sets that have it; 0 for an unknown key."""
        places = KeySet(self.keys, self.starts).find(np.ascontiguousarray(words[:, :2]))
        return np.append(self.sets, np.uint64(0))[places]  # an unknown key has the index -1


@dataclass(frozen=True, eq=False)
class HashesOfSets:
    """The distinct hashes of sets, all of one length, and the arrays of an index that finds hashes near a given one.

    sets[i] is the mask, uint64, of the sets that have the i-th hash.
    """

    words: np.ndarray  # uint64[hash, words]
    sets: np.ndarray
    flips: np.ndarray  # This array and the next ones are the arrays of a BandIndex; they are empty without hashes.
    places: np.ndarray
    starts: np.ndarray
    members: np.ndarray

    @classmethod
    def of(cls, hashes_by_set: Sequence[np.ndarray], distance: int) -> HashesOfSets:
        """Return the distinct hashes of all sets, and index them for `distance`.

        `hashes_by_set` has the hashes of each set, uint64[hash, words]; there must be at least one set.
        """
        words, places = np.unique(np.concatenate(hashes_by_set), axis=0, return_inverse=True)
        ends = np.cumsum([len(hashes) for hashes in hashes_by_set])[:-1]
        sets = _sets(np.split(places.reshape(-1), ends), len(words))
        if not len(words):
            return cls(words, sets, *[np.empty(0, np.int64)] * 4)
        index = BandIndex.of(words, range(len(words)), np.arange(WORD_BITS * words.shape[1]), distance)
        flips = np.array(index.tables.flips, np.int64)
        return cls(words, sets, flips, index.positions, index.starts, index.members)

    def find(self, words: np.ndarray, distance: int) -> np.ndarray:
        """Return, for each of `words`, uint64[hash, word], the mask of the sets with a hash within `distance` bits.

        `distance` must be the one for which `of` indexed the hashes.
        """
        out = np.zeros(len(words), np.uint64)
        if len(self.words):
            tables = Tables(self.places.shape[1], tuple(self.flips.tolist()))
            both = np.concatenate([self.words, words])
            index = BandIndex(tables, self.places, self.starts, self.members)
            for pairs in index.pairs(both, distance, len(self.words)):
                np.bitwise_or.at(out, pairs[:, 0] - len(self.words), self.sets[pairs[:, 1]])
        return out


@dataclass(frozen=True, eq=False)
class VectorsOfSets:
    """The distinct embeddings of each set, sorted, and the least cosine of near embeddings, an array of one number.

    The embeddings of the k-th set are vectors[bounds[k]:bounds[k + 1]].
    """

    vectors: np.ndarray  # float32[vector, dimension], `scaled` to numbers of at most 1
    bounds: np.ndarray
    cosine: np.ndarray

    @classmethod
    def of(cls, vectors: Sequence[list[np.ndarray]], cosine: float) -> VectorsOfSets:
        """Return the distinct embeddings of each set; InputError if no set has an array, or if dimensions differ.

        `vectors` has, for each set, a list of arrays float32[vector, dimension], each as `scaled` returns it. `cosine`
        is the least cosine of embeddings that count as near.
        """
        widths = {array.shape[1] for array in chain.from_iterable(vectors)}
        if len(widths) != 1:
            content = f"embeddings of {len(widths)} lengths" if widths else f"no column {EMBEDDING}"
            raise InputError(
                f"--decontaminate-cosine compares embeddings, but the tables of evaluation sets have {content}; pass "
                "the embeddings of one model"
            )
        sets = [np.unique(np.concatenate([np.empty((0, *widths), np.float32), *of_set]), axis=0) for of_set in vectors]
        return cls(np.concatenate(sets), np.cumsum([0, *map(len, sets)]), np.array([cosine]))

    def find(self, vectors: np.ndarray, distance: int = 0) -> np.ndarray:
        """Return, for each vector, the mask of the sets with an embedding near it: one with at least the least cosine.

        `vectors` is float32[vector, dimension], as `scaled` returns it; `distance` is not used.
        """
        near = LeastCosine(self.vectors.shape[1], float(self.cosine[0]))
        out = np.zeros(len(vectors), np.uint64)
        for bit, (begin, end) in enumerate(pairwise(self.bounds.tolist())):
            out |= near.has_near(vectors, self.vectors[begin:end]).astype(np.uint64) << np.uint64(bit)
        return out


def _sets(places: Sequence[np.ndarray], number: int) -> np.ndarray:
    """Return, for each index below `number`, the mask of the sets that have it; places[k]: indices of the k-th set."""
    sets = np.zeros(number, np.uint64)
    for bit, indices in enumerate(places):
        sets[indices] |= np.uint64(1 << bit)
    return sets


Kept = KeysOfSets | HashesOfSets | VectorsOfSets
# The class for each kind of key; kinds that are not listed here have the class KeysOfSets.
_KINDS: dict[str, Callable[..., Kept]] = {PHASH: HashesOfSets, NEAR: HashesOfSets, EMBEDDING: VectorsOfSets}


@dataclass
class EvaluationSet:
    """The name of an evaluation set, and numbers of pictures in its table."""

    name: str
    pictures: int = 0
    plain: int = 0  # the number of pictures with the pHash of a plain picture, which is not looked up
    unmirrored: int = 0  # the number of pictures with any other pHash, but without a pHash of the mirror image


@dataclass(frozen=True, eq=False)
class SavedSets:
    """The keys, hashes and embeddings of sets, by kind, which are saved for workers to open.

    Hashes of the kinds PHASH and NEAR may differ in at most `distance` bits.
    """

    kinds: Mapping[str, Kept]
    distance: int = 0
    sets: tuple[EvaluationSet, ...] = ()

    def by_hash(self, kind: str, column: pa.Array) -> np.ndarray:
        """Return, for each image, the mask of the sets that have its hash in `column` (bytes or hexadecimal digits).

        The mask is 0 for null, and for the pHash of a plain picture, which would be near every plain picture.
        """
        words, is_given = hash_words(column, kind, HASH_BYTES[kind])
        rows = np.flatnonzero(is_given & ~is_low_detail(words) if kind == PHASH else is_given)
        out = np.zeros(len(words), np.uint64)
        out[rows] = self.kinds[kind].find(words[rows], self.distance)
        return out

    def save(self, directory: str | PathLike[str]) -> Path:
        """Write the sets to a folder, for workers to open; return the path of the folder."""
        header = {
            "version": SETS_VERSION,
            "distance": self.distance,
            "sets": [vars(described) for described in self.sets],
        }
        arrays: dict[str, np.ndarray] = {}
        for kind, kept in self.kinds.items():
            arrays |= {f"{kind}_{key}": array for key, array in vars(kept).items()}
        save_arrays(Path(directory), _HEADER, header, arrays)
        return Path(directory)

    @classmethod
    def open(cls: type[Saved], directory: str | PathLike[str]) -> Saved:
        """Map saved sets into memory, which all processes of a machine share; InputError for damaged ones."""
        header, arrays = open_arrays(Path(directory), _HEADER, SETS_VERSION)
        by_kind: defaultdict[str, dict[str, np.ndarray]] = defaultdict(dict)
        for name, array in arrays.items():
            kind, _, key = name.partition("_")
            by_kind[kind][key] = array
        try:
            kinds: dict[str, Kept] = {kind: _KINDS.get(kind, KeysOfSets)(**kept) for kind, kept in by_kind.items()}
            return cls(kinds, header["distance"], tuple(EvaluationSet(**described) for described in header["sets"]))
        except (KeyError, TypeError) as error:
            raise InputError(f"{directory} does not hold complete sets ({error}); build them again") from None


@dataclass(frozen=True, eq=False)
class EvaluationSets(SavedSets):
    """The pictures of evaluation sets; a mask, uint64, says which sets have an image: bit k stands for sets[k]."""

    @classmethod
    def read(cls, tables: Iterable[str | PathLike[str]], distance: int, cosine: float | None = None) -> EvaluationSets:
        """Return the sets in tables: files, folders, globs or URLs of Parquet; the last part of a path names the set.

        `cosine` is the least cosine of near embeddings; None: embeddings are not compared. InputError for a table
        without any URLs, hashes or embeddings, and for a distance that is too large for copies.
        """
        require_distance(distance, WORD_BITS)
        paths = sorted(_named(list(map(str, tables))).items())
        sets = [_read(name, path, cosine is not None) for name, path in paths]
        kinds: dict[str, Kept] = {}
        for kind in ("url", "sha256"):
            kinds[kind] = KeysOfSets.of([table.of(kind) for table in sets])
        if cosine is not None:
            kinds[EMBEDDING] = VectorsOfSets.of([table.arrays[EMBEDDING] for table in sets], cosine)
        kinds[PHASH] = HashesOfSets.of([table.of(PHASH) for table in sets], distance)
        return cls(kinds, distance, tuple(table.described for table in sets))

    def by_url(self, uids: Strings) -> np.ndarray:
        """Return, for each image, the mask (uint64) of the sets with a picture of its uid; a null is in no set.

        The uid may be the MD5 of a URL, so it also finds a picture by its URL.
        """
        strings = string_array(uids, "uids")
        out = np.zeros(len(strings), np.uint64)
        masks = self.kinds["url"].find(uid_numbers(strings.drop_null()), 0)
        out[strings.is_valid().to_numpy(zero_copy_only=False)] = masks
        return out

    def by_column(self, name: str, column: pa.Array) -> np.ndarray:
        """Return, for each image, the mask of the sets that have its value in the column `name`, or a near value.

        `name` is one of `columns`: a hash or an embedding. The mask is 0 for null, for a plain picture's pHash, and for
        an embedding that has only zeros or is not finite.
        """
        if name != EMBEDDING:
            return self.by_hash(name, column)
        out = np.zeros(len(column), np.uint64)
        if isinstance(sets := self.kinds[EMBEDDING], VectorsOfSets):
            require_vectors(column.type, f"column {EMBEDDING} of a table of images")
            numbers, rows = usable_numbers(column, sets.vectors.shape[1], "tables of images and of sets")
            out[rows] = sets.find(scaled(numbers))
        return out

    @property
    def columns(self) -> list[str]:
        """The columns of tables of images that are compared with the sets."""
        return [name for name in ("sha256", PHASH, EMBEDDING) if name in self.kinds]

    @property
    def cosine(self) -> float | None:
        """The least cosine of embeddings that count as near; None if embeddings are not compared."""
        sets = self.kinds.get(EMBEDDING)
        return float(sets.cosine[0]) if isinstance(sets, VectorsOfSets) else None

    @property
    def names(self) -> list[str]:
        """The names of the sets, in the order of the bits of a mask."""
        return [described.name for described in self.sets]

    @property
    def has_urls(self) -> bool:
        """Whether any picture can be found by its URL."""
        return bool(len(vars(self.kinds["url"])["keys"]))

    def sets_of(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return, for each image of a MATCHED batch, the mask of the sets that have its uid or URL."""
        return self.by_url(batch["uid"]) | self.kinds["url"].find(url_keys(batch["url"]), 0)


@dataclass
class _Table:
    """The keys and hashes in an evaluation set's table, by kind, which are collected batch by batch."""

    described: EvaluationSet
    arrays: dict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch of rows; it may have the columns url, uid, sha256, EMBEDDING and _HASHES."""
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        self.described.pictures += batch.num_rows
        if "url" in columns:
            self.arrays["url"].append(url_keys(columns["url"].drop_null()))
        if "uid" in columns:
            uids = columns["uid"].cast(pa.large_string())
            self.arrays["url"].append(uid_numbers(uids.filter(pc.match_substring_regex(uids, _OF_THE_WEB))))
        if "sha256" in columns:
            words, is_given = hash_words(columns["sha256"], "sha256", HASH_BYTES["sha256"])
            self.arrays["sha256"].append(words[is_given, :2])
        if EMBEDDING in columns:
            require_vectors(columns[EMBEDDING].type, f"column {EMBEDDING}")
            for first in (vectors := columns[EMBEDDING].drop_null()).slice(0, 1):
                self.arrays[EMBEDDING].append(scaled(usable_numbers(vectors, len(first), self.described.name)[0]))
        mirrored = columns.get(_MIRRORED, pa.nulls(batch.num_rows))
        for name in filter(columns.__contains__, _HASHES):
            words, is_given = hash_words(columns[name], name, HASH_BYTES[PHASH])
            plain = is_low_detail(words)
            self.arrays[PHASH].append(words[is_given & ~plain])
            if name != _MIRRORED:
                self.described.plain += int((is_given & plain).sum())
                self.described.unmirrored += mirrored.filter(pa.array(is_given & ~plain)).null_count

    def of(self, kind: str) -> np.ndarray:
        """Return the keys or hashes of a kind, uint64[picture, words]."""
        return np.concatenate([np.empty((0, 1 if kind == PHASH else 2), np.uint64), *self.arrays[kind]])


def _named(paths: Sequence[str]) -> dict[str, str]:
    """Return the path of each set by its name, the path's last part; InputError for equal names or too many sets."""
    named = {without_query(path).rstrip("/").rpartition("/")[2]: path for path in paths}
    if len(named) < len(paths):
        shown = ", ".join(map(hidden, paths))
        raise InputError(
            f"two of the evaluation sets {shown} have the same name, the last part of their path; rename one"
        )
    if len(paths) > MAX_SETS:
        raise InputError(f"{len(paths)} evaluation sets are passed, and at most {MAX_SETS} are possible; combine some")
    return named


def _read(name: str, path: str, with_vectors: bool) -> _Table:
    """Return the keys, hashes and embeddings in a set's table; InputError for a table without any."""
    table = _Table(EvaluationSet(name))
    for file, version in files_in(path, _EXPECTED_PICTURES):
        with opened_parquet(file, version) as parquet:
            kinds = _columns(parquet.schema.names, file, [EMBEDDING] if with_vectors else [])
            for batch in parquet.batches([*kinds], BATCH_ROWS):
                try:
                    table.add(batch.rename_columns([kinds[column] for column in batch.schema.names]))
                except InputError as error:
                    raise InputError(f"{file}: {error}") from None
    if not any(map(len, chain.from_iterable(table.arrays.values()))) and not table.described.plain:
        shown = hidden(path)
        raise InputError(
            f"{shown} contains no picture: it has no URL, no SHA-256 and no pHash; expected {_EXPECTED_PICTURES}"
        )
    return table


def _columns(names: Sequence[str], path: str, more: Sequence[str]) -> dict[str, str]:
    """Return the columns to read: name → meaning, which is url, uid, sha256, or one of _HASHES or of `more`.

    InputError if there is none besides uids; `path` names the table in the error.
    """
    kinds = dict.fromkeys(RECOGNISED["url"], "url") | dict.fromkeys(RECOGNISED["uid"], "uid")
    kinds |= {column: column for column in ("sha256", *_HASHES, *more)}
    columns = {name: kinds[name.lower()] for name in names if name.lower() in kinds}
    if not {*columns.values()} - {"uid"}:
        raise InputError(f"{path} has the columns {quoted_names(names)}; expected {_EXPECTED_PICTURES}")
    return columns


@dataclass(frozen=True, eq=False)
class EvaluationTexts(SavedSets):
    """Texts that no image may have, as keys of 16 bytes; each file of texts is a set.

    A key is a hash of a complete text, which is first cleaned like alt texts, case-folded and normalized to NFC.
    """

    @classmethod
    def read(cls, paths: Iterable[str | PathLike[str]]) -> EvaluationTexts:
        """Return the texts in files: one a line, or in the column text or caption of Parquet, CSV or TSV.

        Files may be compressed (.gz, .zst). InputError for a file that cannot be read, or that contains no text.
        """
        named = _named([*dict.fromkeys(map(str, paths))])
        return cls._of({name: np.concatenate(_keys_in(path)) for name, path in named.items()})

    @classmethod
    def of(cls, texts: Strings) -> EvaluationTexts:
        """Return these texts, cleaned, as a set.

        >>> texts = EvaluationTexts.of(["A photo of a dog. ", "Straße"])
        >>> texts.fails(pa.array(["a Photo of a Dog.", "a photo of a dog", "STRASSE", None])).tolist()
        [True, False, True, False]
        """
        return cls._of({"texts": _keys(clean_array(string_array(texts, "texts")))})

    @classmethod
    def _of(cls, keys: Mapping[str, np.ndarray]) -> EvaluationTexts:
        """Return the texts of sets, given by the name of the set."""
        return cls({"text": KeysOfSets.of([*keys.values()])}, sets=tuple(map(EvaluationSet, keys)))

    def __len__(self) -> int:
        """Return the number of distinct texts."""
        return len(vars(self.kinds["text"])["keys"])

    def fails(self, texts: pa.Array) -> np.ndarray:
        """Return a mask, bool[text]: which texts are in any set; false for null.

        The texts must be cleaned as the texts of images are.
        """
        return self.sets_of_texts(texts) != 0

    def sets_of_texts(self, texts: pa.Array) -> np.ndarray:
        """Return, for each cleaned text, the mask (uint64) of the sets that have it; 0 for null."""
        return self.kinds["text"].find(url_keys(_folded(string_array(texts, "texts"))), 0)


def _keys_in(path: str) -> list[np.ndarray]:
    """Return the keys of the texts in a file, batch by batch; InputError for a file without text."""
    with opened_table(path, "the file of evaluation texts") as file:
        if is_table_file(path):
            texts = (batch.column(0) for batch in table_batches(file, path, lambda names: _column(names, path)))
        else:
            texts = (lines for _, lines in text_lines(file, path))
        keys = [_keys(clean_array(strings)) for strings in texts]
    if not any(map(len, keys)):
        raise InputError(f"{path} contains no text; pass a file with one text a line, or a table with a column text")
    return keys


def _column(names: list[str], path: str) -> list[str]:
    column = recognised("text", names, path)
    if column is None:
        wanted = " or ".join(RECOGNISED["text"][:USUAL])
        raise InputError(f"{path} has the columns {quoted_names(names)}; expected one named {wanted}")
    return [column]


def _keys(texts: pa.Array) -> np.ndarray:
    """Return the keys, uint64[text, 2], of the texts that are neither null nor empty."""
    return url_keys(_folded(texts.filter(pc.not_equal(texts, ""))))


def _folded(texts: pa.Array) -> pa.Array:
    """Return texts case-folded and in NFC; a null stays null."""
    folded = pc.ascii_lower(texts)
    foreign = pc.invert(pc.string_is_ascii(texts)).fill_null(False)
    if not pc.any(foreign).as_py():
        return folded
    others = [unicodedata.normalize("NFC", text.casefold()) for text in texts.filter(foreign).to_pylist()]
    return pc.replace_with_mask(folded, foreign, pa.array(others, folded.type))
