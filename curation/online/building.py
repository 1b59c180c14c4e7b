"""Build the index of online balancing on Spark: join the samples of tars to matched images, and write their rows."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from os import PathLike
from os.path import commonpath
from pathlib import Path
from sys import maxsize

import pyarrow as pa

from curation.by_uid.joined_tars import Numbered, Scan, each_tar, matched_images
from curation.inputs.files import Input
from curation.online.index import NAME, ROWS, VERSION, Index, Shard, file_name
from curation.run.derived import Derivation, deriving, is_begun
from curation.run.finished import matched_files
from curation.run.making import Made
from curation.run.results import Results
from curation.schemas import TRAINED_TEXTS
from curation.tars.sources import local_tars_at
from runtime.arrow.batching import gather_rows
from runtime.engine.choice import Given
from runtime.errors import InputError
from runtime.progress import Progress
from runtime.storage.arrays import sums_of, write_batches
from runtime.storage.locks import is_free
from runtime.storage.own_files import OwnFile, checksum_of, checksums_in
from runtime.storage.paths import absolute
from runtime.storage.whole import read_json, write_json
from runtime.tallies import Tallies

BLOCK_ROWS = 1024  # matched samples in a block: few enough to share out evenly, enough to read at once
WRITTEN = ROWS.with_metadata({})  # as Arrow's tables have it: two ways to have none, with other bytes
SAMPLES, MATCHED = "samples.", "matched."  # before the number of a shard: names of tallies


def build(
    tars: str | PathLike[str] | Iterable[str | PathLike[str]],
    curated: str | PathLike[str],
    folder: str | PathLike[str],
    block_rows: int = BLOCK_ROWS,
    engine: Given = None,
    progress: Progress | None = None,
) -> Index:
    """Return the index in `folder` of tars (paths, folders or globs); build it unless it is there already.

    `curated` is an output folder of curate, or its URL: its matched/, or gated/ after a gate, says which texts each
    image may have. `engine` is a Spark session, or None for processes of this machine. The same call goes on after one
    that broke off.
    """
    if block_rows < 1:
        raise InputError(f"block_rows is {block_rows}; it must be at least 1")
    if "://" in str(folder):
        raise InputError(f"the index is to be at {folder}; give a local folder: training maps its files into memory")
    folder, found, run = absolute(folder), local_tars_at(tars), Results.open(absolute(curated))
    base = Path(commonpath([Path(tar.path).parent for tar in found]))
    shards = [_shard(tar, base) for tar in found]
    files = matched_files(run)
    wanted = _Wanted(_made_from(base, shards, run.facts["made_from"], files, block_rows), NAME)
    with suppress(_IsThere):
        wanted.require_usable(folder)  # before anything starts
        # Of the processes of a training, one builds and the others find.
        with deriving(engine, folder, wanted, progress, wait=True) as made:
            write = partial(_write, block_rows=block_rows)
            tallies = each_tar(made, "write the rows", found, [matched_images(files, run.counted[1])], write)
            written = _described(shards, tallies)
            content = {"version": VERSION, "made_from": wanted.description, "shards": written}
            write_json(made.path / NAME, content)
    return Index.open(folder)


class _IsThere(Exception):
    """The index that is asked for is in its folder."""


@dataclass(frozen=True)
class _Wanted(Derivation):
    """An index."""

    def require_usable(self, folder: Path) -> None:
        """Refuse a folder that holds anything but this index, or a part of it; raise _IsThere if it holds all of it."""
        content = read_json(folder / NAME)
        if content is None:
            if not (is_free(folder) or is_begun(folder)):
                raise InputError(f"{folder} holds files that are no index; give an empty or new folder")
            super().require_usable(folder)
            return
        made_from = content.get("made_from", {})
        differing = [key for key, value in self.description.items() if made_from.get(key) != value]
        if differing or content.get("version") != VERSION:
            what = ", ".join(differing) or "version of this program"
            raise InputError(f"{folder} holds another index (other {what}); give another folder, or remove this one")
        raise _IsThere


def _shard(tar: Input, base: Path) -> Shard:
    return Shard(Path(tar.path).relative_to(base).as_posix(), tar.size, tar.modified or 0)


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


def _write(numbered: Numbered, made: Made, scan: Scan, block_rows: int) -> None:
    """Write the ROWS of a tar, a record batch for each block; tally its samples, and those that are matched."""
    number, _ = numbered
    path = made.path("", file_name(number))
    rows = gather_rows(_rows(scan, number, made.tallies), block_rows, maxsize, exact=True)
    checksum = write_batches(path, WRITTEN, rows)
    made.wrote("", path.name, checksum_of(path))
    made.wrote("", sums_of(path).name, checksum)
    made.tallies.add(f"{SAMPLES}{number}", scan.samples)


def _rows(scan: Scan, number: int, tallies: Tallies) -> Iterator[pa.RecordBatch]:
    """Yield the ROWS of a tar, and tally them."""
    for samples, known in scan.read():
        if known is not None:
            columns = [*samples.take(known["row"]).columns, known[TRAINED_TEXTS.name]]
            tallies.add(f"{MATCHED}{number}", known.num_rows)
            yield pa.RecordBatch.from_arrays(columns, schema=WRITTEN)


def _sums_name(number: int) -> str:
    return sums_of(Path(file_name(number))).name


def _described(shards: list[Shard], tallies: Tallies) -> list[dict]:
    """Return what index.json says of the shards."""
    checksums = checksums_in(tallies)
    samples, matched = (tallies.take(name) for name in (SAMPLES, MATCHED))
    numbers = [
        {"samples": int(samples[name]), "matched": int(matched.get(name, 0)), "checksum": checksums[_sums_name(number)]}
        for number, name in enumerate(map(str, range(len(shards))))
    ]
    return [asdict(shard) | more for shard, more in zip(shards, numbers, strict=True)]
