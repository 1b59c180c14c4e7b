"""Join images of a run to the samples of tars by uid, when neither fits in memory.

Memory holds one number per uid of the tars. The images are read once, and those whose uid has one of these numbers are
written to temporary files, sorted by tar. Then the whole uids are compared, so two uids may share a number.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.schemas import CANDIDATE, MATCHED
from curation.tars.damage import require_sound
from curation.tars.samples import SAMPLES, fault_of, samples
from runtime.draws import draws
from runtime.errors import InputError
from runtime.storage.arrays import open_arrow
from runtime.storage.key_parts import MOST_PARTS, in_parts
from runtime.storage.listing import expand
from runtime.storage.own_files import OwnFile, as_written
from runtime.storage.parquet import batches

_log = logging.getLogger(__name__)
BATCH_ROWS = 1 << 16  # matched images in memory at a time

# Training needs no pages: an index has none.
CANDIDATES = pa.field("candidates", pa.list_(pa.struct([field for field in CANDIDATE if field.name != "page_url"])))
IMAGES = pa.schema([MATCHED.field("uid"), CANDIDATES])  # what is joined of a matched image
# One row per sample that has a matched image, with what training needs of both.
ROWS = SAMPLES.append(CANDIDATES)
SAMPLE = pa.field("sample", pa.int64())  # the number of a sample among those of all tars


def tars_at(tars: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Path]:
    """Return the absolute paths of all tars that the arguments name, in order and each once."""
    given = [tars] if isinstance(tars, str | PathLike) else list(tars)
    found = {path for each in given for path in _tars_of(str(each))}
    if not found:
        raise InputError(f"no tars at {', '.join(map(str, given)) or 'no path at all'}; give paths, folders or globs")
    return sorted(found)


def _tars_of(given: str) -> list[Path]:
    """Return the files that a path or glob names; for a folder, the tars directly in it."""
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
    """Yield the SAMPLES of each tar, and the samples that are an image, with the images' other `columns`."""
    scans: list[OwnFile] = []
    damaged: dict[str, str] = {}
    drawn = [draws(0, "place", uids) for uids in _uids(tars, work, scans, damaged)]
    require_sound(damaged, len(tars), most_damaged)
    samples = _Drawn.of(np.concatenate(drawn))
    begins = np.cumsum([0, *map(len, drawn)])  # the number of the first sample of each tar
    found = _by_tar(map(samples.find, images), pa.schema([SAMPLE, *columns]), begins, work / "found")
    for scan, of_tar in zip(scans, found, strict=True):
        scanned = open_arrow(scan).get_batch(0)
        yield scanned, _joined(scanned, of_tar)
        scan.path.unlink()


@dataclass(frozen=True, eq=False)
class _Drawn:
    """All samples, sorted by random numbers drawn for their uids."""

    numbers: np.ndarray  # ascending
    samples: np.ndarray

    @classmethod
    def of(cls, numbers: np.ndarray) -> _Drawn:
        order = np.argsort(numbers, kind="stable")
        return cls(numbers[order], order)

    def find(self, images: pa.RecordBatch) -> pa.RecordBatch:
        """Return each SAMPLE that an image may be, with the image's columns: none, one, or several for an image."""
        sought = draws(0, "place", images["uid"])
        first = np.searchsorted(self.numbers, sought)
        number = np.searchsorted(self.numbers, sought, "right") - first
        image = np.repeat(np.arange(len(sought)), number)
        found = np.arange(len(image)) + np.repeat(first - np.cumsum(number) + number, number)
        columns = [self.samples[found], *images.take(pa.array(image)).columns]
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema([SAMPLE, *images.schema]))


def _by_tar(found: Iterable[pa.RecordBatch], schema: pa.Schema, begins: np.ndarray, work: Path) -> Iterator[pa.Table]:
    """Yield the found rows of each tar, sorted, `sample` as a row of that tar; memory holds a part of the tars."""
    tars = len(begins) - 1
    parts = min(MOST_PARTS, tars)
    bounds = [tars * part // parts for part in range(parts + 1)]  # of parts, in tars
    part_of = partial(_part_of, ends=begins[bounds[1:]])
    for part, rows in enumerate(in_parts(found, schema, parts, work, part_of)):
        rows = rows.sort_by("sample")
        samples = rows["sample"].to_numpy()
        for tar in range(bounds[part], bounds[part + 1]):
            begin, end = np.searchsorted(samples, begins[tar : tar + 2])
            own = pa.array(samples[begin:end] - begins[tar])
            yield rows.slice(begin, end - begin).set_column(0, SAMPLE, own)
    work.rmdir()


def _part_of(samples: np.ndarray, parts: int, ends: np.ndarray) -> np.ndarray:
    return np.searchsorted(ends, samples, "right")


def _joined(samples: pa.RecordBatch, found: pa.Table) -> pa.Table:
    """Return the samples of one tar that have an image, in their order, with the other columns of the image."""
    found = found.filter(pc.equal(pc.take(samples["uid"], found["sample"]), found["uid"]))
    rows = found["sample"].to_numpy()
    repeated = rows[1:][np.diff(rows) == 0]
    if len(repeated):
        uid = samples["uid"][int(repeated[0])]
        raise InputError(f"the images of the run hold uid {uid} more than once; give the images of one run of curate")
    table = pa.Table.from_batches([samples.take(rows)])
    for field in found.drop_columns(["sample", "uid"]).schema:
        table = table.append_column(field, found[field.name])
    return table


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
    """Log how many samples have no uid, with `first` as an example; refuse tars in which no sample has one."""
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
        for batch in batches(file, BATCH_ROWS, IMAGES.names):
            yield batch.filter(pc.greater(pc.list_value_length(batch["candidates"]), 0)).cast(IMAGES)
