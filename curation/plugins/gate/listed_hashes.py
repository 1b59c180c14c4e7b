"""Find the images with a listed hash (SHA-256, MD5 or PDQ) in tables of images.

Tasks look up the listed hashes in the tables, and return the keys of images with such a hash; the run excludes these
images before anything is matched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from curation.exclusion.lists import HASHES
from curation.image_ids import KEY_NAMES
from curation.plugins.gate.evaluation import MAX_SETS, NEAR, HashesOfSets, Kept, KeysOfSets, SavedSets
from curation.plugins.gate.given_tables import GivenTables
from curation.plugins.joins.image_tables import ImageTable
from runtime.engine import Engine
from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.shipping import Shipped
from runtime.storage.listing import Version
from runtime.tallies import TaskResult

_HASHES = "hashes"  # the tally of hashes by kind
_HITS = "hits"  # Each fact of this name is, in hexadecimal digits, the mask of the lists with an image, and its key.


class ListedHashes(SavedSets):
    """The hashes of lists; a hash of the kind NEAR also matches hashes that differ from it in at most `distance` bits.

    Each bit of a mask stands for a list.
    """

    @classmethod
    def of(cls, lists: Sequence[Mapping[str, np.ndarray]], distance: int) -> ListedHashes:
        """Return the hashes of at most MAX_SETS lists; a list has arrays uint64[hash, words] by kind of hash."""
        kinds: dict[str, Kept] = {}
        for kind in {*chain.from_iterable(lists)}:
            nothing = np.empty((0, HASHES[kind] // 8), np.uint64)
            words = [listed.get(kind, nothing) for listed in lists]
            kinds[kind] = HashesOfSets.of(words, distance) if kind == NEAR else KeysOfSets.of(words)
        return cls(kinds, distance)


@dataclass(frozen=True, eq=False)
class HashTables:
    """The tables of images that have a column of hashes, by kind of hash."""

    of_kind: Mapping[str, Sequence[ImageTable]]

    @classmethod
    def among(cls, tables: GivenTables, kinds: Sequence[str]) -> HashTables:
        """Return the tables among `tables` that have hashes of these kinds; InputError for a kind in no table."""
        tables_of_kind = {kind: tables.having(kind) for kind in kinds}
        for kind in kinds:
            if not tables_of_kind[kind]:
                raise InputError(
                    f"--exclude has {kind} hashes, but no table of images has a column {kind}; {_by(kind)}"
                )
        return cls(tables_of_kind)

    def files(self) -> list[tuple[str, str]]:
        """Return the path and the version of each file of the tables, as texts without secrets, sorted.

        The version identifies a file's content: its checksum, or else size, time of modification and ETag.
        """
        files = set(file for _, file, _ in self._items())
        return sorted((hidden(path), at.checksum or f"{at.size} {at.modified} {at.etag}") for path, at in files)

    def _items(self) -> list[tuple[ImageTable, tuple[str, Version], str]]:
        """Return each file of the tables, with its table and the kind of hash for which it is read."""
        items = []
        for kind, tables in self.of_kind.items():
            for table in tables:
                items += [(table, file, kind) for file in table.files]
        return items

    def find(
        self, engine: Engine, lists: Sequence[Mapping[str, np.ndarray]], bits: int, work: Path
    ) -> list[np.ndarray]:
        """Return, for each list, the keys of the images with one of its hashes, uint64[image, 2].

        A list has its hashes by kind. Hashes of NEAR may differ in `bits` bits; `work` is a folder for the files by
        which tasks get the listed hashes. InputError for a kind whose columns hold only nulls.
        """
        found = []
        for begin in range(0, len(lists), MAX_SETS):
            some = lists[begin : begin + MAX_SETS]
            hashes = engine.ship(ListedHashes.of(some, bits).save(work / f"listed_hashes_{begin}"))
            masks, keys = self._hits(engine, hashes)
            found += [keys[masks >> np.uint64(bit) & np.uint64(1) == 1] for bit in range(len(some))]
        return found

    def _hits(self, engine: Engine, hashes: Shipped) -> tuple[np.ndarray, np.ndarray]:
        """Return the masks, uint64, of the lists that have images with a listed hash, and the keys of these images."""
        counted = engine.run(self._items(), partial(_find_hashes, hashes=hashes))
        for kind in self.of_kind:
            if not counted[_HASHES, kind]:
                raise InputError(
                    f"--exclude has {kind} hashes, but tables of images have only nulls in {kind}; {_by(kind)}"
                )
        hits = "".join(sorted({*counted.noted(_HITS)}))
        rows = np.frombuffer(bytes.fromhex(hits), ">u8").astype(np.uint64).reshape(-1, 3)
        return rows[:, 0], np.ascontiguousarray(rows[:, 1:])


def _find_hashes(item: tuple[ImageTable, tuple[str, Version], str], hashes: Shipped) -> TaskResult:
    table, file, kind = item
    listed = hashes.opened(ListedHashes.open)
    result = TaskResult()
    for batch in table.read(file, [kind]):
        result.add(_HASHES, len(batch) - batch[kind].null_count, item=kind)
        if kind not in listed.kinds:
            continue
        masks = listed.by_hash(kind, batch[kind])
        keys = [batch[name].to_numpy().view(np.uint64) for name in KEY_NAMES]
        hits = np.column_stack([masks, *keys])[masks != 0]
        result.note(_HITS, *(hit.tobytes().hex() for hit in hits.astype(">u8")))
    return result


def _by(kind: str) -> str:
    by = {"sha256": "clip-hash writes it", "pdq": "clip-hash --pdq writes it"}
    return f"pass one by --images: {by.get(kind, f'img2dataset writes it with --compute_hash {kind}')}"
