"""Read the index of online balancing: for each tar, where its images begin and their candidate texts.

An index is a folder with one memory-mapped file of ROWS per tar. Its record batches are *blocks*, the units that
readers divide among themselves. index.json is written last: a folder with it is complete.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from os import PathLike
from pathlib import Path

import numpy as np

from curation.schemas import TRAINED_TEXTS
from curation.tars.samples import SAMPLES
from runtime.errors import InputError
from runtime.storage.arrays import MappedBatches
from runtime.storage.own_files import OwnFile
from runtime.storage.whole import read_json

VERSION = 1
NAME = "index.json"
OPEN = 1024  # files of rows that stay mapped in a process: readers come back to a tar for each of its blocks
# One row per sample that has a matched image, with what training needs of both.
ROWS = SAMPLES.append(TRAINED_TEXTS)


@dataclass(frozen=True)
class Shard:
    """One tar, as it was when the index was built."""

    name: str  # path below the common folder of all tars
    bytes: int
    modified: int  # ns; a copy may have another
    samples: int = 0  # images in the tar
    matched: int = 0  # images with a matched text: rows of the index
    checksum: str | None = None  # of the checksums of these rows


@dataclass(frozen=True)
class Index:
    """An index folder, opened."""

    folder: Path
    tars: Path  # the common folder of the tars
    shards: tuple[Shard, ...]
    block_rows: int
    metadata: str | None  # digest of the entries that the ids belong to
    digest: int  # of shards and matched images

    @classmethod
    def open(cls, folder: str | PathLike[str], tars: str | PathLike[str] | None = None) -> Index:
        """Return the index in `folder`; `tars` is the common folder of the tars, if they were moved."""
        folder = Path(folder)
        content = read_json(folder / NAME)
        if content is None:
            raise InputError(f"{folder} holds no whole {NAME}; build it with curation.online.build")
        if content.get("version") != VERSION:
            raise InputError(
                f"{folder} holds version {content.get('version')}, this program reads {VERSION}: build it again"
            )
        try:
            made_from = content["made_from"]
            tars = Path(made_from["tars"] if tars is None else tars)
            shards = tuple(Shard(**shard) for shard in content["shards"])
            digest = zlib.crc32(json.dumps(content["shards"]).encode(), made_from["matched"])
            return cls(folder, tars, shards, made_from["block_rows"], made_from["metadata"], digest)
        except (KeyError, TypeError) as error:
            raise InputError(f"{folder / NAME} is damaged ({error!r}): build it again") from None

    @property
    def samples(self) -> int:
        """The number of images in all tars."""
        return sum(shard.samples for shard in self.shards)

    @property
    def matched(self) -> int:
        """The number of images in all tars that have a matched text."""
        return sum(shard.matched for shard in self.shards)

    @cached_property
    def first_blocks(self) -> np.ndarray:
        """The number of each shard's first block, and at the end the number of all blocks."""
        blocks = [-(-shard.matched // self.block_rows) for shard in self.shards]
        return np.concatenate([[0], np.cumsum(blocks, dtype=np.int64)])

    def shard_of(self, block: int) -> int:
        """Return the number of the shard that holds a block."""
        return int(np.searchsorted(self.first_blocks, block, "right")) - 1

    def rows(self, shard: int) -> MappedBatches:
        """Return the rows of a shard, a record batch for each block, mapped into memory."""
        path = self.folder / file_name(shard)
        remedy = f"delete {self.folder} and build the index again"
        rows = _mapped(OwnFile(path, self.shards[shard].checksum, remedy))
        if rows.schema != ROWS or len(rows) != self.first_blocks[shard + 1] - self.first_blocks[shard]:
            raise InputError(f"{path} does not belong to the {NAME} beside it; {remedy}")
        return rows

    def tar(self, shard: int) -> Path:
        """Return the path of a shard's tar."""
        return self.tars / self.shards[shard].name


@lru_cache(OPEN)
def _mapped(file: OwnFile) -> MappedBatches:
    return MappedBatches(file)


def file_name(shard: int) -> str:
    """Return the name of the file of a shard's rows."""
    return f"{shard:05d}.arrow"
