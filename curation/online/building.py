"""Build the index of online balancing from tars and matched images, once, in any folder.

index.json is written last: a folder that has it is complete.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import asdict
from os import PathLike
from os.path import commonpath
from pathlib import Path

import pyarrow as pa

from curation.by_uid.joined_tars import joined_tars, tars_at
from curation.online.index import NAME, VERSION, Index, Shard, file_name
from runtime.errors import InputError
from runtime.storage.locks import WORK, owned
from runtime.storage.own_files import OwnFile, checksum_of, own_files
from runtime.storage.paths import make_folder
from runtime.storage.whole import STAMP, read_json, whole, write_json

BLOCK_ROWS = 1024  # matched samples in a block: few enough to share out evenly, enough to read at once


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
    folder, paths = Path(folder), tars_at(tars)
    files, stamp = _counted(Path(curated))
    if not files:
        raise InputError(f"{curated} holds no matched images; give the output folder of curate")
    base = Path(commonpath([path.parent for path in paths]))
    shards = [_shard(path, base) for path in paths]
    made_from = _made_from(base, shards, stamp.get("made_from", {}), files, block_rows)
    if not _is_there(folder, made_from):
        with owned(folder, wait=True) as owner:  # of the processes of a training, one builds and the others find
            if not _is_there(folder, made_from):
                written = _write_shards(make_folder(owner.work), base, shards, files, block_rows)
                for name in map(file_name, range(len(written))):
                    (owner.work / name).replace(folder / name)
                write_json(folder / NAME, {"version": VERSION, "made_from": made_from, "shards": written})
    return Index.open(folder)


def _shard(path: Path, base: Path) -> Shard:
    stat = path.stat()
    return Shard(path.relative_to(base).as_posix(), stat.st_size, stat.st_mtime_ns)


def _counted(curated: Path) -> tuple[list[OwnFile], dict]:
    """Return the files of the images that a run counted, and what they were made from."""
    facts = read_json(curated / "run.json") or {}
    if "gated" not in facts.get("rows", {}):
        matched = curated / "matched"
        stamp = _stamp(matched)
        remedy = f"delete {matched} and run the same command of curate again"
        return own_files(matched, stamp.get("checksums"), remedy), stamp
    known = {Path(name) for name in facts.get("checksums", {}) if name.startswith("gated/")}
    checksums = {path.name: facts["checksums"][str(path)] for path in known}
    files = own_files(curated / "gated", checksums or None, "run the same command of curate again")
    return files, {"made_from": facts.get("made_from", {}), "gated": dict(sorted(checksums.items()))}


def _stamp(matched: Path) -> dict:
    """Return the stamp of matched images, empty where there is none; a damaged one is refused."""
    file = OwnFile(matched / STAMP, None, f"delete {matched} and run the same command of curate again")
    stamp = read_json(file.path)
    if stamp is None and file.path.exists():
        raise file.damaged("its checksum differs, or it is no JSON")
    return stamp or {}


def _made_from(base: Path, shards: list[Shard], stamp: dict, files: list[OwnFile], block_rows: int) -> dict:
    """Return what the index is made from, to tell it from an index of other tars or images."""
    described = repr([stamp, [(file.path.name, file.path.stat().st_size) for file in files]])
    return {
        "tars": str(base),
        "shards": [[shard.name, shard.bytes, shard.modified] for shard in shards],
        "matched": zlib.crc32(described.encode()),
        "metadata": stamp.get("metadata"),
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
