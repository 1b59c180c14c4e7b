"""The index of online balancing, opened: for each tar, where its images lie and which texts they may have.

A file of ROWS per tar, memory-mapped and cut into blocks, which are what readers share out. `online_build` makes it.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.online.join import ROWS
from runtime.errors import InputError
from runtime.storage.whole import read_json

VERSION = 1
NAME = "index.json"


@dataclass(frozen=True)
class Shard:
    """One tar and what the index knows of it."""

    name: str  # below the common folder of all tars
    bytes: int
    modified: int  # ns; a copy elsewhere may have another
    samples: int = 0  # images in the tar
    matched: int = 0  # of them with a matched text: rows of the index


@dataclass(frozen=True)
class Index:
    """An index folder, opened."""

    folder: Path
    tars: Path  # the folder below which the tars lie
    shards: tuple[Shard, ...]
    block_rows: int
    metadata: str | None  # digest of the entries that the ids belong to
    digest: int  # of shards and matched images

    @classmethod
    def open(cls, folder, tars=None) -> Index:
        """Return the index in `folder`; `tars` is where their common folder is now, if they were moved."""
        folder = Path(folder)
        content = read_json(folder / NAME)
        if content is None:
            raise InputError(f"{folder} holds no whole {NAME}; build it with curation.online.dataset.index")
        if content.get("version") != VERSION:
            raise InputError(
                f"{folder} holds version {content.get('version')}, this program reads {VERSION}: build it again"
            )
        try:
            return cls._of(folder, tars, content)
        except (KeyError, TypeError) as error:
            raise InputError(f"{folder / NAME} is damaged ({error!r}): build it again") from None

    @classmethod
    def _of(cls, folder: Path, tars, content: dict) -> Index:
        made_from = content["made_from"]
        tars = Path(made_from["tars"] if tars is None else tars)
        shards = tuple(Shard(**shard) for shard in content["shards"])
        digest = zlib.crc32(json.dumps(content["shards"]).encode(), made_from["matched"])
        return cls(folder, tars, shards, made_from["block_rows"], made_from["metadata"], digest)

    @property
    def samples(self) -> int:
        """Images in all tars."""
        return sum(shard.samples for shard in self.shards)

    @property
    def matched(self) -> int:
        """Images in all tars that have a matched text."""
        return sum(shard.matched for shard in self.shards)

    @cached_property
    def first_blocks(self) -> np.ndarray:
        """The number of each shard's first block, and at the end the number of all blocks."""
        blocks = [-(-shard.matched // self.block_rows) for shard in self.shards]
        return np.concatenate([[0], np.cumsum(blocks, dtype=np.int64)])

    def shard_of(self, block: int) -> int:
        """Return the number of the shard that holds a block."""
        return int(np.searchsorted(self.first_blocks, block, "right")) - 1

    def rows(self, shard: int) -> pa.RecordBatchFileReader:
        """Return the rows of a shard, a batch per block, mapped into memory."""
        path = self.folder / file_name(shard)
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path} cannot be read ({error}): build the index again") from None
        blocks = self.first_blocks[shard + 1] - self.first_blocks[shard]
        if reader.schema != ROWS or reader.num_record_batches != blocks:
            raise InputError(f"{path} does not belong to the {NAME} beside it: build the index again")
        return reader

    def tar(self, shard: int) -> Path:
        """Return the path of a shard's tar."""
        return self.tars / self.shards[shard].name


def file_name(shard: int) -> str:
    """Return the name of the file of a shard's rows."""
    return f"{shard:05d}.arrow"
