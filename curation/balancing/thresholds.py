"""Count the texts that contain each entry, and turn the counts into thresholds and sampling rates.

A count is an exact integer per entry id, over the texts of all languages. The rest is arithmetic on arrays, the
balancing step of the algorithm; `sampling` samples by the rates.
"""

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, starmap
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated
from zlib import crc32

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike
from pyarrow.parquet import ParquetFile

from curation.config import ASSUMED_TAIL_SHARE, ENGLISH, SIZE_PROBES, CurationConfig
from curation.schemas import COUNTS, ENTRY_IDS
from metadata.entries import Entries
from runtime.argument_types import require_integer, typed
from runtime.arrow import numbers, parts
from runtime.errors import InputError
from runtime.messages import quoted, shown
from runtime.storage.json_files import read_json
from runtime.storage.own_files import OwnFile, intact, refusing
from runtime.storage.parquet import open_parquet, write_tables
from runtime.storage.paths import as_path

COUNTS_VERSION = b"2"  # Version 1 had a row for every entry of the metadata.
SEEN = pa.schema([pa.field("id", pa.int32()), pa.field("count", pa.int64())])


@typed
@dataclass(frozen=True, eq=False)
class EntryCounts:
    """The number of texts that contain each entry, by id; `digest` identifies the metadata that has these ids."""

    values: np.ndarray  # int64[id]: the number of texts that contain the entry
    digest: str

    @classmethod
    def zeros(cls, size: int, digest: str) -> "EntryCounts":
        """Return `size` counts of zero."""
        require_integer("size", size, 0)
        return cls(np.zeros(size, np.int64), digest)

    def count(self, entries: pa.Array | pa.ChunkedArray | Sequence) -> "EntryCounts":
        """Add to each entry's count the number of these texts that contain the entry; change and return self.

        `entries` has one list of distinct entry ids per text.
        """
        chunks = [entry_ids(chunk, len(self.values))[0] for chunk in entry_chunks(entries)]
        for ids in chunks:
            np.add.at(self.values, ids, 1)
        return self

    def seen(self) -> pa.RecordBatch:
        """Return a batch of `id` and `count` for the entries with a count above zero; workers send this batch."""
        ids = np.flatnonzero(self.values).astype(np.int32)
        return pa.RecordBatch.from_arrays([pa.array(ids), pa.array(self.values[ids])], schema=SEEN)

    def add_seen(self, batch: pa.RecordBatch | pa.Table) -> "EntryCounts":
        """Add the counts of a batch or table that `seen` returned; change and return self."""
        ids = batch.column("id").to_numpy()
        counts = batch.column("count").to_numpy()
        require_among(ids, len(self.values))
        np.add.at(self.values, ids, counts)
        return self

    def __add__(self, other: "EntryCounts") -> "EntryCounts":
        _require_digest(self.digest, other.digest, "the other counts")
        return EntryCounts(self.values + other.values, self.digest)

    def __len__(self) -> int:
        return len(self.values)

    def by_language(self, languages: Mapping[str, slice]) -> dict[str, np.ndarray]:
        """Return the counts of each language; `languages` maps a language to its slice of ids."""
        return {language: self.values[ids] for language, ids in languages.items()}

    def save(self, path: str | Path, entries: Entries, rates: np.ndarray | None = None) -> str:
        """Write a Parquet file with a row for each entry with a count above zero; return the file's checksum.

        `rates` has a rate for each id; if it is None, the file's rates are null. The metadata of the file's schema
        state the number of entries of each language.
        """
        _require_digest(self.digest, entries.digest, "the entries")
        listed = sizes_of(entries.languages).encode()
        stated = {
            "version": COUNTS_VERSION,
            "digest": self.digest,
            "languages": listed,
            "checksum": f"{crc32(listed):08x}",
        }
        schema = COUNTS.with_metadata(stated)
        return write_tables(as_path(path), self._tables(entries, rates, schema), schema)

    @classmethod
    def open(cls, path: str | Path, digest: str | None = None) -> "EntryCounts":
        """Read the counts at `path`; InputError for a damaged file, or if the metadata's digest is not `digest`."""
        return CountedEntries.open(path, digest).counts

    def _tables(self, entries: Entries, rates: np.ndarray | None, schema: pa.Schema) -> Iterator[pa.Table]:
        """Yield a table for each language that has entries with a count above zero, with a row for each of them."""
        for language, ids in entries.languages.items():
            positions = np.flatnonzero(self.values[ids])
            counted = positions + ids.start
            if len(counted):
                columns = [
                    pa.array(counted, pa.int32()),
                    pa.repeat(language, len(counted)),
                    entries.of(language).take(pa.array(positions)).cast(pa.string()),
                    pa.array(self.values[counted]),
                    pa.nulls(len(counted), pa.float32()) if rates is None else pa.array(rates[counted], pa.float32()),
                ]
                yield pa.Table.from_arrays(columns, schema=schema)


@dataclass(frozen=True, eq=False)
class CountedEntries:
    """The content of a counts.parquet: a row for each entry that a text has, and each language's slice of ids."""

    rows: pa.Table  # schema COUNTS
    languages: dict[str, slice]
    digest: str

    @classmethod
    def open(cls, path: str | Path, digest: str | None = None) -> "CountedEntries":
        """Read the file at `path`; InputError if it is damaged, or if the metadata's digest is not `digest`."""
        url = as_path(path)
        checksums = (read_json(url.with_name("run.json")) or {}).get("checksums", {})  # run.json is in the same folder.
        counts_file = OwnFile(url, checksums.get(url.name), "run the same command of clip-curate again")
        with refusing(counts_file):
            try:
                with intact(counts_file) as local, open_parquet(local) as file:
                    counted = cls._read(file, path)
            except FileNotFoundError:
                raise InputError(
                    f"{path} does not exist, but every finished run has it in its folder; restore the folder, or pass "
                    "another run"
                ) from None
        if digest is not None:
            _require_digest(counted.digest, digest, "the entries", f"the counts at {path}")
        return counted

    @property
    def counts(self) -> EntryCounts:
        """The number of texts of each entry, by id."""
        return EntryCounts(self._by_id("count", np.zeros(self._size, np.int64)), self.digest)

    @property
    def rates(self) -> np.ndarray:
        """The rate of each entry, float32[id]: 1 if no text has the entry; NaN if the file has a null as its rate."""
        return self._by_id("rate", np.ones(self._size, np.float32))

    @property
    def _size(self) -> int:
        return _end(self.languages)

    def _by_id(self, column: str, out: np.ndarray) -> np.ndarray:
        out[self.rows["id"].to_numpy()] = self.rows[column].to_numpy()
        return out

    @classmethod
    def _read(cls, file: ParquetFile, path: str | Path) -> "CountedEntries":
        stated = file.schema_arrow.metadata or {}
        if not file.schema_arrow.equals(COUNTS) or b"digest" not in stated:
            raise InputError(f"{path} does not contain counts of entries; pass the counts.parquet of a finished run")
        if stated.get(b"version") != COUNTS_VERSION:
            raise InputError(
                f"{path} has version {stated.get(b'version')!r}, but this program reads version {COUNTS_VERSION!r}; "
                "count the entries again"
            )
        languages = slices_of(stated.get(b"languages", b"{}"))
        rows = file.read()  # All columns are read, so that all checksums are compared.
        ids, counts = rows["id"], rows["count"]
        whole = len(rows) == file.metadata.num_rows and not ids.null_count and not counts.null_count
        whole &= stated.get(b"checksum") == b"%08x" % crc32(stated.get(b"languages", b""))
        if not whole or not _ascend(ids.to_numpy(), _end(languages)) or (counts.to_numpy() < 1).any():
            fault = "does not contain one count for each entry that a text has"
            raise InputError(f"{path} {fault}; count the entries again")
        return cls(rows, languages, stated[b"digest"].decode())


def _require_digest(counts_digest: str, digest: str, owner: str, counts: str = "these counts") -> None:
    if digest != counts_digest:
        raise InputError(
            f"{counts} belong to metadata {quoted(counts_digest)}, but {owner} belong to {quoted(digest)}; "
            "use the metadata that the texts were matched with, or match again"
        )


def _ascend(ids: np.ndarray, end: int) -> bool:
    return bool((np.diff(ids) > 0).all() and not (len(ids) and (ids[0] < 0 or ids[-1] >= end)))


def sizes_of(languages: Mapping[str, slice]) -> str:
    """Return the number of entries of each language that has any, as JSON, given their slices of ids."""
    sizes = {code: ids.stop - ids.start for code, ids in languages.items()}
    return json.dumps({code: size for code, size in sizes.items() if size})


def slices_of(sizes: str | bytes) -> dict[str, slice]:
    """Return the slice of ids of each language, given the result of `sizes_of`."""
    numbers = json.loads(sizes)
    ends = np.cumsum([0, *numbers.values()]).tolist()
    return dict(zip(numbers, starmap(slice, pairwise(ends)), strict=True))


def _end(languages: Mapping[str, slice]) -> int:
    return max((ids.stop for ids in languages.values()), default=0)


def entry_ids(entries: pa.Array, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of all lists as int32, and the lists' offsets in it; InputError unless each id is in [0, size)."""
    ids, offsets = parts(entries)
    if ids.null_count:
        raise InputError(f"{ids.null_count} entry ids are null; every id must be a number below {size}")
    ids = ids.to_numpy()
    require_among(ids, size)
    return ids, offsets


def hold_any(entries: pa.Array, marks: np.ndarray) -> np.ndarray:
    """Return bool[list]: whether the list holds an id for which `marks` (bool[id]) is true; false if empty or null."""
    ids, offsets = entry_ids(entries, len(marks))
    before = np.concatenate([[0], np.cumsum(marks[ids])])
    return before[offsets[1:]] > before[offsets[:-1]]


def entry_chunks(entries: pa.Array | pa.ChunkedArray | Iterable) -> list[pa.Array]:
    """Return lists of ids, given as Arrow or Python sequences, as a list of Arrow arrays of (large) lists of int32."""
    try:
        if not isinstance(entries, pa.Array | pa.ChunkedArray):
            entries = pa.array(entries, ENTRY_IDS)
        elif entries.type not in (ENTRY_IDS, pa.large_list(pa.int32())):
            entries = entries.cast(pa.large_list(pa.int32()))
    except (pa.ArrowException, OverflowError, TypeError):
        raise InputError(
            "entries must be a list of ids (integers of 32 bits) for each text, such as [[0, 5], []]; "
            f"got {_of_wrong_type(entries)}"
        ) from None
    return entries.chunks if isinstance(entries, pa.ChunkedArray) else [entries]


def _of_wrong_type(entries: pa.Array | pa.ChunkedArray | Iterable) -> str:
    """Describe `entries` for an error message: the type of an Arrow array, or the beginning of any other value."""
    if isinstance(entries, pa.Array | pa.ChunkedArray):
        return f"an array of {entries.type}"
    return shown(entries)


def require_among(ids: np.ndarray, size: int) -> None:
    """Raise an InputError if an id is below 0, or is `size` or more."""
    for id in (ids.min(), ids.max()) if len(ids) else ():
        if not 0 <= id < size:
            raise InputError(
                f"entry id {id} is not among the {size} entries that have a count or rate; pass one for each entry of "
                "the metadata that these texts were matched with"
            )


def tail_share(counts: ArrayLike, t: float) -> float:
    """Return the share of all matches that belong to entries counted less than `t`; 0 if there are no matches.

    >>> tail_share([1, 2, 7, 10], t=5)
    0.15
    """
    return Distribution.of(counts).tail_share(t)


def threshold(counts: ArrayLike, p: float) -> int:
    """Return the count whose cumulative share of matches is nearest to `p`; the smaller one of two equally near counts.

    A cumulative share includes all smaller counts. The threshold is 1 if all counts are 0, or if there are none.

    >>> threshold([1, 3, 6, 10], p=0.15)
    3
    """
    return Distribution.of(counts).threshold(p)


def rates(counts: ArrayLike, t: float) -> np.ndarray:
    """Return the float32 sampling rate of each entry, min(1, t / count): an entry keeps about `t` texts at most.

    >>> rates([0, 3, 6, 10], t=3).round(2).tolist()
    [1.0, 1.0, 0.5, 0.30000001192092896]
    """
    t = float(_checked_threshold(t))
    return np.minimum(1.0, t / np.maximum(_checked_counts(counts), 1)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Distribution:
    """The counts of one language, sorted once, so that several thresholds can be tried.

    Shares are quotients of exact integers, which Python rounds correctly.
    """

    ascending: np.ndarray  # counts above zero, because zeros would give a rare language t = 0
    sums: np.ndarray  # sums[i] = ascending[:i].sum(); one element longer than ascending

    @classmethod
    def of(cls, counts: "ArrayLike | Distribution") -> "Distribution":
        """Return the distribution of `counts`, which need not be sorted; a Distribution is returned unchanged."""
        if isinstance(counts, Distribution):
            return counts
        counts = _checked_counts(counts)
        ascending = np.sort(counts[counts > 0])
        return cls(ascending, np.concatenate([np.zeros(1, np.int64), np.cumsum(ascending)]))

    @property
    def total(self) -> int:
        """The number of all matches of the language."""
        return int(self.sums[-1])

    def tail_share(self, t: float) -> float:
        """Return the share of all matches that belong to entries counted less than `t`."""
        return self.tail_matches(t) / self.total if self.total else 0.0

    def tail_matches(self, t: float) -> int:
        """Return the number of matches that belong to entries counted less than `t`."""
        return int(self.sums[bisect_left(self.ascending, _checked_threshold(t))])

    def threshold(self, p: float) -> int:
        """Return the count whose cumulative share of matches is nearest to `p`; 1 if there are no matches."""
        p = _checked_share(p)
        if not self.total:
            return 1
        # A share is nearest until p passes the midpoint between it and the next share. The midpoint is rounded as p is,
        # so that ties are recognised: [1, 9] has the shares 0.1 and 1, whose midpoint equals p = 0.55.
        nearest = bisect_left(range(len(self.ascending) - 1), p, key=self._midpoint)
        return int(self.ascending[nearest])

    def _midpoint(self, i: int) -> float:
        return (int(self.sums[i + 1]) + int(self.sums[i + 2])) / (2 * self.total)


CountsOfLanguages = Annotated[
    Mapping[str, ArrayLike | Distribution], "the counts of each language, as {'en': [30, 2, 5]}"
]


@typed
@dataclass(frozen=True)
class Thresholds:
    """The threshold t of each language, and the tail share: the share of matches on entries counted less than t."""

    tail_share: float
    of_language: Mapping[str, int]
    assumed: bool = False  # True: no share was given, and English has no match; `tail_share` is ASSUMED_TAIL_SHARE

    @classmethod
    def of(cls, counts: CountsOfLanguages, english_threshold: int, tail_share: float | None = None) -> "Thresholds":
        """Return thresholds that give every language the tail share of English at its threshold, or `tail_share`.

        `counts` maps a language to its counts or their `Distribution`. The threshold of English is always
        `english_threshold`.
        """
        english_threshold = _whole_threshold(english_threshold)
        distributions = {language: Distribution.of(of_language) for language, of_language in counts.items()}
        english = distributions.get(ENGLISH)
        if tail_share is None and english and english.total:
            tail_share = english.tail_share(english_threshold)
        p = _checked_share(ASSUMED_TAIL_SHARE if tail_share is None else tail_share)
        of_language = {language: distribution.threshold(p) for language, distribution in distributions.items()}
        if english:
            of_language[ENGLISH] = english_threshold
        return cls(p, of_language, assumed=tail_share is None)

    @classmethod
    def same(cls, counts: CountsOfLanguages, t: int) -> "Thresholds":
        """Return the threshold `t` for every language; the tail share is computed over the matches of all languages."""
        distributions = {language: Distribution.of(of_language) for language, of_language in counts.items()}
        total = sum(distribution.total for distribution in distributions.values())
        tail = sum(distribution.tail_matches(t) for distribution in distributions.values())
        return cls(tail / total if total else 0.0, dict.fromkeys(distributions, _whole_threshold(t)))

    @classmethod
    def unlimited(cls, counts: CountsOfLanguages) -> "Thresholds":
        """Return for each language a threshold above all its counts, so that every rate is 1; the tail share is 1."""
        distributions = {language: Distribution.of(of_language) for language, of_language in counts.items()}
        return cls(1.0, {code: unlimited_threshold(of_code.ascending) for code, of_code in distributions.items()})


def thresholds_at(t: int, counts: CountsOfLanguages, config: CurationConfig) -> Thresholds:
    """Return each language's threshold if English has `t`: by tail share, the same, or unlimited, as `config` says."""
    if not config.balance:
        return Thresholds.unlimited(counts)
    return Thresholds.same(counts, t) if config.one_threshold else Thresholds.of(counts, t, config.tail_share)


@typed
def rates_of(counts: ArrayLike, languages: Mapping[str, slice], thresholds: Thresholds) -> np.ndarray:
    """Return the float32 rate of each id; `languages` maps a language to its slice of ids."""
    counts = _checked_counts(counts)
    out = np.ones(len(counts), np.float32)
    for language, ids in languages.items():
        out[ids] = rates(counts[ids], thresholds.of_language[language])
    return out


def rates_at(counts: np.ndarray, languages: Mapping[str, slice], candidates: list[Thresholds]) -> np.ndarray:
    """Return the rate of each entry at each of `candidates`, float32[id, candidate]."""
    out = np.empty((len(counts), len(candidates)), np.float32)
    for column, thresholds in enumerate(candidates):
        out[:, column] = rates_of(counts, languages, thresholds)
    return out


@dataclass(frozen=True)
class SizedThreshold:
    """The English threshold found for a target size, and the expected number of images at this threshold."""

    threshold: int
    size: float
    reached: bool  # False: the size is below the target, even at the largest threshold allowed


def unlimited_threshold(counts: ArrayLike) -> int:
    """Return the smallest threshold above all counts, at which every rate is 1."""
    return int(np.max(_checked_counts(counts), initial=0)) + 1


def threshold_for_size(
    size_of: Callable[[list[int]], list[float]], target: float, upper: int, probes: int = SIZE_PROBES
) -> SizedThreshold:
    """Return the smallest threshold from 1 to `upper` whose expected size is at least `target`, or else `upper`.

    `size_of` maps a list of ascending thresholds to their sizes in one pass over the data; a larger threshold never has
    a smaller size. Each call has at most `probes` thresholds.
    """
    if not isinstance(target, Real) or not target > 0:
        raise InputError(f"the target size is {target!r}; it must be a number above 0")
    low = 1
    high = _whole_threshold(upper)
    size = float(size_of([high])[0])
    if size < target:
        return SizedThreshold(high, size, reached=False)
    while low < high:  # The answer is in low … high, and `size` is the size at `high`.
        candidates = _probes(low, high, probes)
        sizes = [float(value) for value in size_of(candidates)]
        first = next((i for i, value in enumerate(sizes) if value >= target), len(sizes))
        if first < len(sizes):
            high = candidates[first]
            size = sizes[first]
        if first > 0:
            low = candidates[first - 1] + 1
    return SizedThreshold(high, size, reached=True)


def _probes(low: int, high: int, number: int) -> list[int]:
    """Return at most `number` ascending thresholds in low … high - 1: spaced by ratio in a wide range, else evenly.

    The thresholds looked for are small compared with the largest count, so ratios save passes.
    """
    if high > low * (number + 1):
        spaced = [round(low * (high / low) ** (i / (number + 1))) for i in range(1, number + 1)]
    else:
        spaced = [low + (high - low) * i // (number + 1) for i in range(1, number + 1)]
    return sorted({min(max(threshold, low), high - 1) for threshold in spaced})


def _checked_counts(counts: ArrayLike) -> np.ndarray:
    """Return `counts` as int64; InputError unless it is one-dimensional, with integers of at least 0."""
    array = numbers(counts, "counts")
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise InputError(f"counts are {array.dtype} of shape {array.shape}; pass a one-dimensional array of integers")
    if array.dtype.kind == "f":
        odd = np.flatnonzero(array != np.floor(array))
        if len(odd):
            fault = f"counts contain {array[odd[0]]} at position {odd[0]}"
            raise InputError(f"{fault}; pass integers, and 0 for an entry that no text has")
    if len(array) and array.min() < 0:
        raise InputError(f"counts contain {array.min()}, but a number of texts is at least 0; pass numbers of texts")
    if array.sum(dtype=np.float64) >= 2**63:
        raise InputError("the counts add up to 2^63 or more, which integers of 64 bits cannot hold; pass fewer texts")
    return array.astype(np.int64, copy=False)


def _checked_threshold(t: float) -> float:
    if not isinstance(t, Real) or not t >= 1:
        raise InputError(f"the threshold is {t!r}; it must be a number of texts, at least 1")
    return t


def _whole_threshold(t: int) -> int:
    if not isinstance(t, Integral):
        raise InputError(f"the threshold is {t!r}; it must be an integer")
    return int(_checked_threshold(t))


def _checked_share(p: float) -> float:
    if not isinstance(p, Real) or not 0 <= p <= 1:
        raise InputError(f"the tail share is {p!r}; it must be a number from 0 to 1")
    return float(p)
