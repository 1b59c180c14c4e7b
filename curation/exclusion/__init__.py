"""Exclude rows by uid, URL, domain, page or pattern, a batch at a time.

`lists` reads exclusion lists and has the sets in which rows are looked up. A listed hash excludes each image whose file
has this hash: the run finds the keys of these images in tables of hashes, and adds the keys by `Exclusion.without`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.exclusion.lists import HASHES, KINDS, KeySet, domain_keys, first_bad, flags, read_whole_list, url_keys
from runtime.arrow import exact_numbers, string_array, string_buffers, uid_numbers
from runtime.errors import InputError
from runtime.messages import quoted
from runtime.redaction import hidden
from runtime.storage.arrays import open_arrays, save_arrays
from runtime.tallies import Tallies

EXCLUSION_VERSION = 4  # This is the version of the format of saved exclusions.
_LISTED = tuple(kind for kind in KINDS if kind not in HASHES)
REASONS = ("excluded_hash", *(f"excluded_{kind}" for kind in _LISTED))  # A row gets the first reason that applies.
_NAMES = pa.array(REASONS)
_HEADER = "exclusion.json"
_SETS = {"uids": "uid", "urls": "url", "domains": "domain", "pages": "page"}  # set → kind of value
_SAVED = (*_SETS, "hits")
_EMPTY = KeySet.of([])
LISTED = "listed"  # This tally counts the excluded rows that a list names, by the list's digest.


@dataclass(frozen=True, eq=False)
class Exclusion:
    """Sets of excluded uids, URLs, domains of images and domains of pages, patterns of URLs, and hashes.

    An image whose hash is listed is excluded only if its key is in `hits`. If several lists were read, `lists` has one
    Exclusion for each list, so that the rows that each list names can be counted.
    """

    uids: KeySet
    urls: KeySet
    domains: KeySet
    pages: KeySet
    regexes: tuple[str, ...]
    digest: str  # 32 hex digits that do not depend on files, order and repetitions
    hashes: Mapping[str, np.ndarray] = field(default_factory=dict)  # kind → uint64[hash, word]
    hits: KeySet = _EMPTY  # keys of the images that have a listed hash
    name: str = ""  # the path of the list as it was given, without secrets
    lists: tuple[Exclusion, ...] = ()

    @classmethod
    def read(cls, paths: Iterable[str | PathLike[str]]) -> Exclusion:
        """Return the exclusion of the lists in these files; without files, nothing is excluded."""
        names = [*dict.fromkeys(map(str, paths))]
        forms = [_forms(read_whole_list(name, "the exclusion list")) for name in names]
        lists = [replace(cls._of_forms(values), name=hidden(name)) for name, values in zip(names, forms, strict=True)]
        if len(lists) == 1:
            return lists[0]
        together: dict[str, list] = {kind: [] for kind in KINDS}
        for values in forms:
            for kind, of_list in values.items():
                together[kind] += of_list
        return replace(cls._of_forms(together), lists=tuple(lists))

    @classmethod
    def without_hashes(cls, paths: Iterable[str | PathLike[str]]) -> Exclusion:
        """Return the same as `read`; InputError if a list has hashes, which are looked up only in tables of hashes."""
        read = cls.read(paths)
        if read.hashes:
            raise InputError(
                f"the exclusion lists contain hashes ({', '.join(read.hashes)}), which only clip-curate can look up; "
                "pass the lists to clip-curate, with the tables of clip-hash as --images"
            )
        return read

    @classmethod
    def of(
        cls,
        uids: Iterable[str] = (),
        urls: Iterable[str] = (),
        domains: Iterable[str] = (),
        pages: Iterable[str] = (),
        regexes: Iterable[str] = (),
    ) -> Exclusion:
        """Return the exclusion of these uids, URLs, domains, domains of pages, and patterns of URLs.

        >>> exclusion = Exclusion.of(domains=["example.org"], regexes=[r"\\.gif$"])
        >>> urls = ["https://www.example.org/a.jpg", "https://example.com/b.gif", "https://badexample.org/c.jpg"]
        >>> exclusion.excluded(pa.record_batch({"url": urls})).to_pylist()
        ['excluded_domain', 'excluded_regex', None]
        """
        lists: list[tuple[str, pa.Array]] = []
        for kind, values in zip(_LISTED, (uids, urls, domains, pages, regexes), strict=True):
            strings = string_array(values, f"the {kind} list")
            bad = first_bad(kind, strings)
            if bad is not None:
                raise InputError(f"{quoted(strings[bad])!r} is not {KINDS[kind].expected}")
            lists.append((kind, strings))
        return cls._of_forms(_forms(lists))

    @classmethod
    def _of_forms(cls, values: Mapping[str, list]) -> Exclusion:
        """Return the exclusion of values, given by kind, as `_forms` returns them."""
        sets: dict[str, Any] = {}
        hashed = blake2b(digest_size=16)
        for name, kind in _SETS.items():
            if name in ("uids", "urls"):
                sets[name] = KeySet.of(values[kind])
                content = [sets[name].keys]
            else:
                domains = pa.array(_each_once(values[kind]), pa.large_string())
                sets[name] = KeySet.of([domain_keys(domains)])
                content = list(reversed(string_buffers(domains)))
            hashed.update(f"{name} {len(sets[name])}\n".encode())
            for part in content:
                hashed.update(np.ascontiguousarray(part).data)
        regexes = tuple(_each_once(values["regex"]))
        hashed.update("\n".join(regexes).encode())
        hashes = {}
        for kind in HASHES:
            if not any(map(len, values[kind])):
                continue
            words = np.unique(np.concatenate(values[kind]), axis=0)
            hashes[kind] = words
            hashed.update(f"{kind} {len(words)}\n".encode())
            hashed.update(words.data)
        return cls(**sets, regexes=regexes, digest=hashed.hexdigest(), hashes=hashes)

    @property
    def by_list(self) -> tuple[Exclusion, ...]:
        """The exclusion of each list, in the order in which the lists were given."""
        return self.lists or (self,)

    @property
    def lists_digest(self) -> str:
        """A digest of the set of lists, independent of their order; the same values divided otherwise have another."""
        digests = sorted({listed.digest for listed in self.by_list})
        return blake2b(" ".join(digests).encode(), digest_size=16).hexdigest()

    def without(self, hits: Sequence[np.ndarray]) -> Exclusion:
        """Return this exclusion with `hits`: each list's keys, uint64[image, 2], of images with a listed hash."""
        lists = [replace(listed, hits=KeySet.of([keys])) for listed, keys in zip(self.by_list, hits, strict=True)]
        return replace(self, hits=KeySet.of(hits), lists=tuple(lists)) if self.lists else lists[0]

    def rows_of_lists(self, tallies: Tallies) -> list[dict[str, Any]]:
        """Return, for run.json, each list's name, its number of distinct values, and the number of pairs it names.

        `tallies` come from `out_of` or `tally_lists`. A pair may be named by several lists.
        """
        lists = [listed for listed in self.by_list if listed.name]
        return [
            {"name": listed.name, "values": listed.values, "found": tallies[LISTED, listed.digest]} for listed in lists
        ]

    @property
    def values(self) -> int:
        """The number of distinct uids, URLs, domains, pages, patterns and hashes."""
        sets = sum(len(getattr(self, name)) for name in _SETS)
        return sets + len(self.regexes) + sum(map(len, self.hashes.values()))

    def __len__(self) -> int:
        """Return the number of distinct uids, URLs, domains, pages, patterns, and images with listed hashes."""
        return len(self.regexes) + sum(len(getattr(self, name)) for name in _SAVED)

    def excluded(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the reason why each row is excluded, one of REASONS, or null for a row that stays.

        The batch must have the column url and, if pages are excluded, page_url. If uid is null or missing, the MD5 of
        the URL is used. A row whose url is null is not an image, and stays.
        """
        if not len(self):
            return pa.nulls(batch.num_rows, pa.string())
        numbers = np.full(batch.num_rows, len(REASONS))
        for reason, is_excluded in self._matches(batch):
            numbers[is_excluded & (numbers == len(REASONS))] = REASONS.index(reason)
        is_kept = (numbers == len(REASONS)) | ~flags(batch["url"].is_valid())
        return _NAMES.take(pa.array(numbers, mask=is_kept))

    def out_of(self, batches: Iterable[pa.RecordBatch], tallies: Tallies) -> Iterator[pa.RecordBatch]:
        """Yield batches (schema CANDIDATES) without excluded rows.

        Excluded rows are tallied as `dropped`, by reason, and by list (`tally_lists`). Their number is subtracted from
        the tally `pairs`, which includes them.
        """
        for batch in batches:
            reasons = self.excluded(batch)
            if reasons.null_count < len(reasons):
                for reason, rows in Counter(reasons.drop_null().to_pylist()).items():
                    tallies.add("dropped", rows, item=reason)
                tallies.add("pairs", reasons.null_count - len(reasons))
                self.tally_lists(batch.filter(reasons.is_valid()), tallies)
                batch = batch.filter(reasons.is_null())
            if batch.num_rows:
                yield batch

    def tally_lists(self, excluded: pa.RecordBatch, tallies: Tallies) -> None:
        """Tally how many of the rows `excluded` each list names, under the name LISTED, by the list's digest."""
        for digest, listed in {listed.digest: listed for listed in self.by_list}.items():
            others = listed.excluded(excluded).null_count if self.lists else 0
            tallies.add(LISTED, excluded.num_rows - others, item=digest)

    def save(self, directory: str | PathLike[str]) -> str:
        """Write the exclusion, without `hashes` and names, into a folder for workers to open; return its path."""
        sets = {name: getattr(self, name) for name in _SAVED}
        arrays = {f"{name}_keys": saved.keys for name, saved in sets.items()}
        arrays |= {f"{name}_starts": saved.starts for name, saved in sets.items()}
        header = {
            "version": EXCLUSION_VERSION,
            "digest": self.digest,
            "regexes": self.regexes,
            "lists": len(self.lists),
        }
        save_arrays(Path(directory), _HEADER, header, arrays)
        for number, listed in enumerate(self.lists):
            listed.save(Path(directory) / str(number))
        return str(directory)

    @classmethod
    def open(cls, directory: str | PathLike[str]) -> Exclusion:
        """Map a saved exclusion into memory shared by all processes of a machine; InputError if it is damaged."""
        header, arrays = open_arrays(Path(directory), _HEADER, EXCLUSION_VERSION)
        try:
            sets: dict[str, Any] = {name: KeySet(arrays[f"{name}_keys"], arrays[f"{name}_starts"]) for name in _SAVED}
            lists = tuple(cls.open(Path(directory) / str(number)) for number in range(header["lists"]))
            return cls(**sets, regexes=tuple(header["regexes"]), digest=header["digest"], lists=lists)
        except (KeyError, TypeError) as error:
            raise InputError(f"{directory} does not contain a complete exclusion ({error}); build it again") from None

    def _matches(self, batch: pa.RecordBatch) -> Iterator[tuple[str, np.ndarray]]:
        """Yield pairs of a reason and a mask, bool[row], of the rows to which it applies, the cheapest checks first."""
        urls = batch["url"]
        if len(self.hits):
            of_uids = _keys(batch, lambda uids: exact_numbers(uids).view(np.uint64))
            yield "excluded_hash", self.hits.contains(of_uids) | self.hits.contains(url_keys(urls))
        if len(self.uids):
            yield "excluded_uid", self.uids.contains(_keys(batch))
        if len(self.urls):
            yield "excluded_url", self.urls.contains(url_keys(urls))
        if len(self.domains):
            yield "excluded_domain", self.domains.covers(urls)
        if len(self.pages):
            yield "excluded_page", self.pages.covers(batch["page_url"])
        for pattern in self.regexes:
            yield "excluded_regex", flags(pc.match_substring_regex(urls, pattern))


def _forms(lists: Iterable[tuple[str, pa.Array]]) -> dict[str, list]:
    """Return, for each kind, a list of the arrays of this kind, each converted by the kind's `form`.

    `lists` yields pairs (kind, array).
    """
    values: dict[str, list] = {kind: [] for kind in KINDS}
    for kind, some in lists:
        values[kind].append(KINDS[kind].form(some))
    return values


def _each_once(lists: list[list[str]]) -> list[str]:
    return sorted(set(chain.from_iterable(lists)))


def _keys(batch: pa.RecordBatch, numbers: Callable[[pa.Array], np.ndarray] = uid_numbers) -> np.ndarray:
    """Return the key of each row's uid, uint64[row, 2], as `numbers` computes it; without a uid, the key of the URL."""
    if "uid" not in batch.schema.names or batch["uid"].null_count == batch.num_rows:
        return url_keys(batch["url"])
    has_uid = flags(batch["uid"].is_valid())
    if has_uid.all():
        return numbers(batch["uid"])
    keys = np.empty((batch.num_rows, 2), np.uint64)
    keys[has_uid] = numbers(batch["uid"].drop_null())
    keys[~has_uid] = url_keys(batch["url"].filter(pa.array(~has_uid)))
    return keys
