"""Build and read the index of online balancing: for each tar, where its images begin and their candidate texts.

An index is a folder with one memory-mapped file of ROWS per tar. Its record batches are *blocks*, the units that
readers divide among themselves. index.json is written last: a folder with it is complete.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from os import PathLike
from os.path import commonpath
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.by_uid.joined_tars import ROWS, joined_tars, tars_at
from curation.run.finished import matched_files, open_local
from runtime.errors import InputError
from runtime.storage.arrays import open_arrow
from runtime.storage.locks import WORK, owned
from runtime.storage.own_files import OwnFile, checksum_of
from runtime.storage.paths import make_folder, remove
from runtime.storage.whole import read_json, sync, whole, write_json

VERSION = 1
NAME = "index.json"
BLOCK_ROWS = 1024  # matched samples in a block: few enough to share out evenly, enough to read at once


@dataclass(frozen=True)
class Shard:
    """One tar, as it was when the index was built."""

    name: str  # path below the common folder of all tars
    bytes: int
    modified: int  # ns; a copy may have another
    samples: int = 0  # images in the tar
    matched: int = 0  # images with a matched text: rows of the index
    checksum: str | None = None  # of the file of these rows; None where an earlier version recorded none


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

    def rows(self, shard: int) -> pa.RecordBatchFileReader:
        """Return the rows of a shard, a record batch for each block, mapped into memory."""
        path = self.folder / file_name(shard)
        remedy = f"delete {self.folder} and build the index again"
        reader = open_arrow(OwnFile(path, self.shards[shard].checksum, remedy))
        blocks = self.first_blocks[shard + 1] - self.first_blocks[shard]
        if reader.schema != ROWS or reader.num_record_batches != blocks:
            raise InputError(f"{path} does not belong to the {NAME} beside it; {remedy}")
        return reader

    def tar(self, shard: int) -> Path:
        """Return the path of a shard's tar."""
        return self.tars / self.shards[shard].name


def build(
    tars: str | PathLike[str] | Iterable[str | PathLike[str]],
    curated: str | PathLike[str],
    folder: str | PathLike[str],
    block_rows: int = BLOCK_ROWS,
) -> Index:
    """Return the index in `folder` of tars (paths, folders or globs); build it unless it is there already.

    `curated` is an output folder of curate: its matched/, or gated/ after a gate, says which texts each image may have.
    """
    if block_rows < 1:
        raise InputError(f"block_rows is {block_rows}; it must be at least 1")
    folder, paths, run = Path(folder), tars_at(tars), open_local(curated)
    files = matched_files(run)
    base = Path(commonpath([path.parent for path in paths]))
    shards = [_shard(path, base) for path in paths]
    made_from = _made_from(base, shards, run.facts["made_from"], files, block_rows)
    if not _is_there(folder, made_from):
        with owned(folder, wait=True) as owner:  # of the processes of a training, one builds and the others find
            if not _is_there(folder, made_from):
                written = _write_shards(make_folder(owner.work), base, shards, files, block_rows)
                content = {"version": VERSION, "made_from": made_from, "shards": written}
                write_json(owner.work / NAME, content)
                _move([*map(file_name, range(len(written))), NAME], owner.work, folder)
    return Index.open(folder)


def _move(names: list[str], work: Path, folder: Path) -> None:
    """Move whole files to the folder of the index, all or none."""
    try:
        for name in names:
            (work / name).replace(folder / name)
        sync(folder)
    except OSError:
        for name in names:  # else the folder would be taken for one of other files
            remove(folder / name)
        raise


def _shard(path: Path, base: Path) -> Shard:
    stat = path.stat()
    return Shard(path.relative_to(base).as_posix(), stat.st_size, stat.st_mtime_ns)


def _made_from(base: Path, shards: list[Shard], run: dict, files: list[OwnFile], block_rows: int) -> dict:
    """Return what the index is made from, to tell it from an index of other tars or images."""
    described = repr([run, [(file.path.name, file.path.stat().st_size) for file in files]])
    return {
        "tars": str(base),
        "shards": [[shard.name, shard.bytes, shard.modified] for shard in shards],
        "matched": zlib.crc32(described.encode()),
        "metadata": run.get("metadata"),
        "block_rows": block_rows,
    }


def _is_there(folder: Path, made_from: dict) -> bool:
    """Return whether the folder holds this index; refuse one that holds anything else."""
    content = read_json(folder / NAME)
    if content is None:
        if folder.exists() and any(folder.glob("*")) and not (folder / WORK).exists():
            raise InputError(f"{folder} holds files that are no index; give an empty or new folder")
        return False
    differing = [key for key in made_from if content.get("made_from", {}).get(key) != made_from[key]]
    if differing or content.get("version") != VERSION:
        what = ", ".join(differing) or "version of this program"
        raise InputError(f"{folder} holds another index (other {what}); give another folder, or remove this one")
    return True


def _write_shards(folder: Path, base: Path, shards: list[Shard], files: list[OwnFile], block_rows: int) -> list[dict]:
    """Write the file of each shard; return what index.json says of them."""
    tars, written = [base / shard.name for shard in shards], []
    for shard, (scanned, rows) in enumerate(joined_tars(tars, files, folder)):
        checksum = _write_rows(rows, folder / file_name(shard), block_rows)
        numbers = {"samples": scanned.num_rows, "matched": len(rows), "checksum": checksum}
        written.append(asdict(shards[shard]) | numbers)
    return written


def _write_rows(rows: pa.Table, path: Path, block_rows: int) -> str:
    """Write the ROWS of a shard, a record batch for each block; return the checksum of the file."""
    with whole(path) as partial, pa.ipc.new_file(str(partial), rows.schema) as file:
        for batch in rows.combine_chunks().to_batches(max_chunksize=block_rows):
            file.write_batch(batch)
    return checksum_of(path)


def file_name(shard: int) -> str:
    """Return the name of the file of a shard's rows."""
    return f"{shard:05d}.arrow"
