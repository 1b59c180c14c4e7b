"""Find tars, and the images of a run among their samples.

How the two are joined is in `join`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.join import CANDIDATES, TarUids, join, joined
from curation.schemas import MATCHED
from curation.tars.damage import require_sound
from curation.tars.samples import fault_of, samples
from runtime.errors import InputError
from runtime.storage.arrays import open_arrow
from runtime.storage.listing import expand
from runtime.storage.own_files import OwnFile, as_written
from runtime.storage.parquet import batches

_log = logging.getLogger(__name__)
BATCH_ROWS = 1 << 16  # matched images in memory at a time
IMAGES = pa.schema([MATCHED.field("uid"), CANDIDATES])  # what is joined of a matched image


def tars_at(tars: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Path]:
    """Return the absolute paths of all tars that the arguments name, in order and each once."""
    given = [tars] if isinstance(tars, str | PathLike) else list(tars)
    found = {path for each in given for path in _tars_of(str(each))}
    if not found:
        raise InputError(f"no tars at {', '.join(map(str, given)) or 'no path at all'}; give paths, folders or globs")
    return sorted(found)


def _tars_of(given: str) -> list[Path]:
    """Return the files that a path or glob names; of a folder, the tars directly in it."""
    if "://" in given:
        raise InputError(f"tars are at {given}; give local files: images are read from the middle of them")
    found = expand(given, deep=False)
    paths = [Path(path) for path in found.paths] if found else []
    return [path for path in paths if path.suffix == ".tar"] if Path(given).is_dir() else paths


def joined_tars(
    tars: list[Path], files: list[OwnFile], work: Path, most_damaged: float = 0.0
) -> Iterator[tuple[pa.RecordBatch, pa.Table]]:
    """Yield the SAMPLES of each tar, and the ROWS of those whose image is in `files`; `work` is for temporary files.

    Refuse tars of which a larger share than `most_damaged` is damaged.
    """
    yield from joined_images(tars, _images(files), IMAGES, work, most_damaged)


def joined_images(
    tars: list[Path], images: Iterable[pa.RecordBatch], columns: pa.Schema, work: Path, most_damaged: float = 0.0
) -> Iterator[tuple[pa.RecordBatch, pa.Table]]:
    """Yield the SAMPLES of each tar, and those of them that are an image, with the other `columns` of the images."""
    scans: list[OwnFile] = []
    damaged: dict[str, str] = {}
    uids = TarUids.of(_uids(tars, work, scans, damaged))
    require_sound(damaged, len(tars), most_damaged)
    for number, found in join(images, columns, uids, len(tars), work):
        scanned = open_arrow(scans[number]).get_batch(0)
        yield scanned, joined(scanned, found)
        scans[number].path.unlink()


def _uids(tars: list[Path], work: Path, scans: list[OwnFile], damaged: dict[str, str]) -> Iterator[pa.Array]:
    """Yield the uids of each tar, empty where none is stated, and write its samples to a file in `work`.

    These files are appended to `scans`, and damaged tars put into `damaged`. Samples without uid are counted.
    """
    without, number, first = 0, 0, ""
    for tar in tars:
        found, path = samples(tar), work / f"{len(scans)}.scanned"
        if fault := fault_of(found):
            damaged[str(tar)] = fault
        with pa.ipc.new_file(str(path), found.schema) as file:
            file.write_batch(found)
        scans.append(as_written(path))
        uids = found.column("uid")
        if uids.null_count and not first:
            first = f"{found.column('key').filter(uids.is_null())[0].as_py()!r} in {tar}"
        without, number = without + uids.null_count, number + len(uids)
        yield uids.fill_null("")  # which no image has
    _report(without, number, first)


def _report(without: int, number: int, first: str) -> None:
    """Say how many samples have no uid, such as the `first`; refuse tars of which none has one."""
    if without == number > 0:
        raise InputError(
            f"none of {number:,} samples has a json that states uid or url, such as {first}; give tars as img2dataset "
            "writes them, downloaded with --save_additional_columns '[\"uid\"]'"
        )
    if without:
        _log.warning(
            "%s of %s samples have no json that states uid or url, such as %s; they are passed over",
            *(f"{without:,}", f"{number:,}", first),
        )


def _images(files: list[OwnFile]) -> Iterator[pa.RecordBatch]:
    """Yield `uid` and `candidates` of the matched images that have any."""
    for file in files:
        try:
            for batch in batches(file, BATCH_ROWS, IMAGES.names):
                batch = batch.filter(pc.greater(pc.list_value_length(batch.column("candidates")), 0))
                yield batch.cast(IMAGES)
        except InputError:
            raise
        except (pa.ArrowException, KeyError) as error:
            raise InputError(
                f"{file.path} holds no matched images ({error}); give the output folder of curate"
            ) from None
