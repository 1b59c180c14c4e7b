"""Build and read the index of online balancing: for each tar, the offsets of its images and their texts.

The samples of tars are joined to matched images. An index is a folder with one file of INDEX_ROWS per tar, which
readers map into memory. A record batch of such a file is a *block*; readers divide the blocks among themselves.
index.json is written last: a folder with it is complete.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache, partial
from os import PathLike
from os.path import commonpath
from pathlib import Path
from sys import maxsize

import numpy as np
import pyarrow as pa

from curation.plugins.tars.joined import Numbered, Scan, each_tar, matched_images, require_samples
from curation.plugins.tars.samples import SAMPLES, local_tars_at
from curation.run.finished_run import matched_files
from curation.run.results import Results
from curation.schemas import TRAINED_TEXTS
from runtime.arrow import gather_rows
from runtime.engine import EngineLike
from runtime.errors import InputError
from runtime.folders.descriptor import Kind
from runtime.folders.folder import AlreadyComplete, Made, Wanted, making
from runtime.progress import Progress
from runtime.storage.arrays import MappedBatches, sums_of, write_batches
from runtime.storage.checksums import checksum_of
from runtime.storage.json_files import read_json
from runtime.storage.own_files import OwnFile
from runtime.storage.paths import absolute, names
from runtime.storage.whole import WORK
from runtime.tallies import Tallies, TaskResult

INDEX_VERSION = 2
INDEX_NAME = "index.json"
INDEX = Kind("an index of tars", "curation.plugins.online.build", INDEX_VERSION, INDEX_NAME)
OPEN = 1024  # A process keeps at most so many files of rows mapped: readers come back to a tar for each block.
# There is one row per sample that has a matched image: the sample, and the texts of the image.
INDEX_ROWS = SAMPLES.append(TRAINED_TEXTS)

BLOCK_ROWS = 1024  # So few rows of a block can be shared out evenly, and are enough to read at once.
WRITTEN = INDEX_ROWS.with_metadata({})  # Arrow's tables also have empty metadata; None would give files other bytes.
_SHARD = "shard"  # the name of facts, each with the number of a shard and its numbers of samples


@dataclass(frozen=True)
class Shard:
    """One tar, as it was when the index was built."""

    name: str  # its path below the common folder of all tars
    bytes: int
    modified: int  # the time of modification in ns; a copy of the tar may have another time
    samples: int = 0  # the number of images in the tar
    matched: int = 0  # the number of images with a matched text, which are rows of the index
    checksum: str | None = None  # the checksum of the file that holds the checksums of these rows


@dataclass(frozen=True)
class Index:
    """An opened index: its folder, and the tars (shards) as they were when it was built."""

    folder: Path
    tars: Path  # the common folder of the tars
    shards: tuple[Shard, ...]
    block_rows: int
    metadata: str | None  # the digest of the metadata to which the ids belong
    digest: int  # the CRC-32 of the shards and of the matched images

    @classmethod
    def open(cls, folder: str | PathLike[str], tars: str | PathLike[str] | None = None) -> Index:
        """Return the index in `folder`; `tars` is the common folder of the tars, if they were moved.

        InputError if index.json is missing, damaged or of another version.
        """
        folder = Path(folder)
        content = read_json(folder / INDEX_NAME)
        if content is None:
            raise InputError(
                f"{folder} has no complete {INDEX_NAME}; build the index with curation.plugins.online.build"
            )
        if content.get("version") != INDEX_VERSION:
            raise InputError(
                f"the index in {folder} has version {content.get('version')}, but this program reads version "
                f"{INDEX_VERSION}; build it again"
            )
        try:
            made_from = content["made_from"]
            tars = Path(made_from["tars"] if tars is None else tars)
            shards = tuple(Shard(**shard) for shard in content["shards"])
            digest = zlib.crc32(json.dumps(content["shards"]).encode(), made_from["matched"])
            return cls(folder, tars, shards, made_from["block_rows"], made_from["metadata"], digest)
        except (KeyError, TypeError) as error:
            raise InputError(f"{folder / INDEX_NAME} is damaged ({error!r}); build the index again") from None

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
        """The number of the first block of each shard, and at the end the number of all blocks: int64[shards + 1]."""
        blocks = [-(-shard.matched // self.block_rows) for shard in self.shards]
        return np.concatenate([[0], np.cumsum(blocks, dtype=np.int64)])

    def shard_of(self, block: int) -> int:
        """Return the number of the shard that holds the block with this number."""
        return int(np.searchsorted(self.first_blocks, block, "right")) - 1

    def rows(self, shard: int) -> MappedBatches:
        """Return the INDEX_ROWS of a shard, mapped into memory: one record batch per block.

        InputError if the file does not belong to index.json.
        """
        path = self.folder / file_name(shard)
        remedy = f"delete {self.folder} and build the index again"
        rows = _mapped(OwnFile(path, self.shards[shard].checksum, remedy))
        if rows.schema != INDEX_ROWS or len(rows) != self.first_blocks[shard + 1] - self.first_blocks[shard]:
            raise InputError(f"{path} does not belong to the {INDEX_NAME} beside it; {remedy}")
        return rows

    def tar(self, shard: int) -> Path:
        """Return the path of a shard's tar."""
        return self.tars / self.shards[shard].name


@lru_cache(OPEN)
def _mapped(file: OwnFile) -> MappedBatches:
    return MappedBatches(file)


def file_name(shard: int) -> str:
    """Return the name of the file with the rows of a shard."""
    return f"{shard:05d}.arrow"


def build(
    tars: str | PathLike[str] | Iterable[str | PathLike[str]],
    curated: str | PathLike[str],
    folder: str | PathLike[str],
    block_rows: int = BLOCK_ROWS,
    engine: EngineLike = None,
    progress: Progress | None = None,
) -> Index:
    """Return the index of `tars` in `folder`; build the index unless the folder has it already.

    `tars` are paths, folders or globs. `curated` is an output folder of curate, or its URL; the texts of each image are
    read from its gated/ if the run had a gate, otherwise from matched/. `engine` is a Spark session, or None for
    processes of this machine. After an interruption, the same call resumes. InputError if `folder` is a URL or holds
    anything but this index.
    """
    if block_rows < 1:
        raise InputError(f"block_rows is {block_rows}; it must be at least 1")
    if "://" in str(folder):
        raise InputError(f"an index cannot be at {folder}; pass a local folder, as training maps its files into memory")
    folder = absolute(folder)
    tar_inputs = local_tars_at(tars)
    run = Results.open(absolute(curated))
    base = Path(commonpath([Path(tar.path).parent for tar in tar_inputs]))
    shards = [Shard(Path(tar.path).relative_to(base).as_posix(), tar.size, tar.modified or 0) for tar in tar_inputs]
    files = matched_files(run)
    wanted = Wanted(INDEX, _made_from(base, shards, run.facts["made_from"], files, block_rows))
    if wanted.is_complete(folder) and WORK not in names(folder):  # The folder may be read-only.
        return Index.open(folder)
    # If several processes train together, one builds the index; the others wait until it is complete.
    with suppress(AlreadyComplete), making(engine, folder, wanted, progress, wait=True) as made:
        write = partial(_write, block_rows=block_rows)
        tables = [matched_images(files, run.counted[1])]
        result = each_tar(made, "write the rows", tar_inputs, tables, write)
        require_samples(made, int(result["matched"]), tar_inputs, f"among the images of {run.path}")
        made.complete({"shards": _described(shards, result)})
    return Index.open(folder)


def _made_from(base: Path, shards: list[Shard], run: dict, files: list[OwnFile], block_rows: int) -> dict:
    """Return the member `made_from` of index.json: the tars, the matched images (as a CRC-32), metadata and block size.

    It differs for other tars or images.
    """
    described = repr([run, [(file.path.name, file.path.stat().st_size) for file in files]])
    return {
        "tars": str(base),
        "shards": [[shard.name, shard.bytes, shard.modified] for shard in shards],
        "matched": zlib.crc32(described.encode()),
        "metadata": run.get("metadata"),
        "block_rows": block_rows,
    }


def _write(numbered: Numbered, made: Made, scan: Scan, block_rows: int) -> None:
    """Write the INDEX_ROWS of a tar, a record batch per block."""
    number, _ = numbered
    path = made.path("", file_name(number))
    rows = gather_rows(_rows(scan, made.result), block_rows, maxsize, exact=True)
    checksum = write_batches(path, WRITTEN, rows)
    made.result.note(_SHARD, [number, {name: int(made.result[name]) for name in ("samples", "matched")}])
    made.wrote("", path.name, checksum_of(path))
    made.wrote("", sums_of(path).name, checksum)


def _rows(scan: Scan, tallies: Tallies) -> Iterator[pa.RecordBatch]:
    """Yield the INDEX_ROWS of a tar in batches of any size; tally their number and the number of all samples."""
    for samples, joined in scan.read():
        tallies.add("samples", samples.num_rows)
        if joined is not None:
            columns = [*samples.take(joined["row"]).columns, joined[TRAINED_TEXTS.name]]
            tallies.add("matched", joined.num_rows)
            yield pa.RecordBatch.from_arrays(columns, schema=WRITTEN)


def _described(shards: list[Shard], result: TaskResult) -> list[dict]:
    """Return the shards as index.json lists them, one dict each, given the result of all tasks."""
    counts = dict(result.noted(_SHARD))
    return [
        asdict(shard) | counts[number] | {"checksum": result.files[sums_of(Path(file_name(number))).name]}
        for number, shard in enumerate(shards)
    ]
