"""Hash all pictures of tars and folders into a folder of Parquet files; an interrupted run is resumed.

SHA-256 is computed from the bytes of a file, and pHash and PDQ from the visible content. A bit of a pHash is set if one
of the 64 lowest frequencies of the picture, in grey and scaled to 32 × 32 pixels, is above their median. The bits are
the same as in `imagehash.phash`, in the order of its hexadecimal form. Here the cosines are integers, so sums are
exact: if frequencies tie, as in a plain or mirrored picture, no rounding error decides a bit.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from curation.plugins.tars import samples
from curation.plugins.tars.headers import DAMAGED, MAX_BAD_SHARE, DamagedTar, require_sound, told
from runtime.argument_types import typed
from runtime.arguments import Parser, absolute_path, add_flags, helps
from runtime.arrow import gather
from runtime.console import command
from runtime.engine import EngineLike, engine_for
from runtime.errors import InputError
from runtime.folders.descriptor import Kind
from runtime.folders.folder import FinishedFolder, Made, Wanted, WorkItem, making
from runtime.folders.stamps import Input
from runtime.packages import require_packages
from runtime.progress import ConsoleProgress, Progress
from runtime.tallies import TaskResult
from runtime.terminal import print_result
from runtime.wording import counted

if TYPE_CHECKING:
    from PIL import Image


SIDE = 32  # the number of pixels on a side of the scaled picture
KEPT_FREQUENCIES = 8  # the number of frequencies in each direction, from zero up
_SCALE = 1 << 22  # Cosines are multiplied by this factor; sums over 1024 pixels of 255 then stay below 2^62.
_ANGLES = np.pi / (2 * SIDE) * np.outer(np.arange(KEPT_FREQUENCIES), 2 * np.arange(SIDE) + 1)
_COSINES = np.rint(_SCALE * np.cos(_ANGLES)).astype(np.int64)

# One row per picture. Hashes are bytes in the order of their hexadecimal form.
HASHED = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("url", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("sha256", pa.string()),  # the hash of the stored bytes, in hexadecimal digits
        pa.field("phash", pa.binary(8)),
        pa.field(
            "phash_mirrored", pa.binary(8)
        ),  # the pHash of the mirror image, by which evaluation sets are compared
        pa.field("pdq", pa.binary(32)),
        pa.field("status", pa.string()),  # ok, or the reason why there is no hash
    ]
)
HASHES = Kind("hashes of pictures", "clip-hash", version=3)
# One task hashes pictures of folders into one file, up to these limits.
TASK_PICTURES = 10_000
TASK_BYTES = 1 << 30
NO_PICTURE = "no_picture"
_BATCH_PICTURES = 1000  # the number of pictures in a batch of `hashed_rows`


@dataclass(frozen=True)
class Hashes(FinishedFolder):
    """The folder of hashes, Parquet files with rows of HASHED, and the facts of its descriptor."""

    tars: int
    damaged: dict[str, str]  # the fault of each damaged tar, by its path
    statuses: dict[str, int]  # pictures by status; NO_PICTURE counts keys of tars without a picture, which have no row


@typed
def hash_images(
    engine: EngineLike,
    inputs: Sequence[str | PathLike[str]],
    output: str | Path,
    *,
    pdq: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Hashes:
    """Write the hashes of all pictures in `inputs`, which are tars, folders, globs or URLs, into the folder `output`.

    A file is written for each tar, and for each 10,000 pictures of folders. The same call continues an interrupted run,
    and hashes only pictures that were added. A damaged tar is read up to the damage. `pdq` adds PDQ hashes, and needs
    the package pdqhash; `overwrite` replaces other hashes in the folder. InputError for unusable inputs or output, or
    if too many tars are damaged or too many pictures have no hash.
    """
    progress = progress or Progress()
    require_packages(("PIL", "pdqhash") if pdq else ("PIL",))
    sources = samples.find(inputs)
    apart = [*inputs, *(source.path for source in sources)]
    with making(engine, output, Wanted(HASHES, {"pdq": pdq}, apart, overwrite, grows=True), progress) as folder:
        part = folder.part([WorkItem([source], source) for source in sources])
        if part.missing:
            work = tasks(item.content for item in part.missing)
            workers = folder.engine
            with progress.stage(f"hash the pictures of {len(part.missing)} of {len(sources)} files"):
                workers.run([WorkItem(task, task) for task in work], part.task(partial(_hash, pdq=pdq)))
        result = part.commit()
        tars = sum(source.format == samples.TAR for source in sources)
        damaged = dict(sorted(result.noted(DAMAGED)))
        facts: dict[str, Any] = {"tars": tars, "damaged": damaged, "statuses": samples.statuses(result)}
        folder.complete(facts)
    hashes = Hashes(folder.path, facts, **facts)
    require_sound(hashes.damaged, hashes.tars, MAX_BAD_SHARE)
    _require_pictures(hashes.statuses)
    return hashes


def _require_pictures(statuses: dict[str, int]) -> None:
    """Raise InputError if more than the share MAX_BAD_SHARE of the pictures has no hash; NO_PICTURE does not count."""
    broken = {status: number for status, number in statuses.items() if status not in (samples.OK, NO_PICTURE)}
    bad = sum(broken.values())
    total = bad + statuses.get(samples.OK, 0)
    if bad > MAX_BAD_SHARE * total:
        reasons = ", ".join(f"{number:,} {status}" for status, number in broken.items())
        raise InputError(
            f"{bad:,} of {total:,} pictures have no hash ({reasons}); replace the broken pictures, or leave them out"
        )


def tasks(sources: Iterable[Input]) -> list[list[samples.Source]]:
    """Return the sources of each task, which hashes them into one file: one tar, or many pictures."""
    listed = cast("list[samples.Source]", list(sources))
    pictures = (source for source in listed if source.format == samples.PICTURE)
    tars = ([source] for source in listed if source.format == samples.TAR)
    return [*tars, *gather(pictures, lambda source: source.size, TASK_BYTES, TASK_PICTURES)]


def hashed_rows(pictures: Iterable[samples.Picture], pdq: bool) -> Iterator[pa.RecordBatch]:
    """Yield the hashes of pictures as batches of HASHED; `pdq` adds PDQ hashes."""
    for some in gather(pictures, lambda _: 1, _BATCH_PICTURES):
        yield pa.RecordBatch.from_pylist([_hashed_row(picture, pdq) for picture in some], schema=HASHED)


def _hashed_row(picture: samples.Picture, pdq: bool) -> dict[str, Any]:
    hashes = {"status": samples.TOO_LARGE} if picture.data is None else hash_picture(picture.data, pdq)
    return {"uid": picture.uid, "url": picture.url, **hashes}


def _hash(task: list[samples.Source], made: Made, pdq: bool) -> None:
    samples.write_rows_of(made, hashed_rows(_pictures(task, made.result), pdq), HASHED)


def _pictures(task: list[samples.Source], result: TaskResult) -> Iterator[samples.Picture]:
    """Yield the pictures of all sources of a task. A damaged tar is read up to the damage, and its fault is noted."""
    for source in task:
        try:
            yield from samples.read(source, lambda _: result.add(samples.STATUS, item=NO_PICTURE))
        except DamagedTar as damage:
            result.note(DAMAGED, [source.path, str(damage)])


def hash_picture(data: bytes, with_pdq: bool = False) -> dict[str, Any]:
    """Return the fields of HASHED, except uid and url, of a picture; `data` are its file's bytes.

    Fields of a picture that cannot be decoded are None, except sha256, status and perhaps the size.
    """
    with samples.strict_about_size():
        picture = samples.decoded(data, lambda image: _hashes(image, with_pdq))
    hashes = dict.fromkeys(("phash", "phash_mirrored", "pdq"))
    row = {"width": picture.width, "height": picture.height, **hashes, "status": picture.status}
    return row | {"sha256": sha256(data).hexdigest()} | (picture.seen or {})


def _hashes(image: Image.Image, with_pdq: bool) -> dict[str, bytes | None]:
    from PIL import Image

    flat = samples.flattened(image)
    small = np.asarray(flat.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    return {"phash": phash(small), "phash_mirrored": phash(small[:, ::-1]), "pdq": _pdq(flat) if with_pdq else None}


def _pdq(flat: Image.Image) -> bytes:
    bits, _ = import_module("pdqhash").compute(np.asarray(flat.convert("RGB")))
    return np.packbits(bits.astype(bool)).tobytes()


def phash(pixels: np.ndarray) -> bytes:
    """Return the 8 bytes of the pHash of a picture scaled to grey pixels, uint8[32, 32].

    >>> phash(np.zeros((32, 32), np.uint8)).hex(), phash(np.full((32, 32), 7, np.uint8)).hex()
    ('0000000000000000', '8000000000000000')
    """
    frequencies = (_COSINES @ pixels.astype(np.int64) @ _COSINES.T).ravel()
    # The median of 64 values lies between the middle two, so a value above the median is above the lower of the two.
    middle = KEPT_FREQUENCIES * KEPT_FREQUENCIES // 2 - 1
    lower_middle = np.partition(frequencies, middle)[middle]
    return np.packbits(frequencies > lower_middle).tobytes()


NAME = "clip-hash"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line `argv` (None: the process's own); bad input prints one sentence and exits with status 2."""
    args = parse(argv)
    with command(NAME):
        print_result(hash_lines(run(args)))


def run(args: Namespace) -> Hashes:
    """Hash pictures by the values of a command line, and return the folder of hashes."""
    how = {"pdq": args.pdq, "overwrite": args.overwrite, "progress": ConsoleProgress()}
    return hash_images(engine_for(args, "hash"), args.input, args.output, **how)


def hash_lines(hashes: Hashes) -> str:
    """Return the lines that the command prints at the end: counts by status, damaged tars and the output folder."""
    broken = {status: number for status, number in hashes.statuses.items() if status != samples.OK}
    reasons = ", ".join(f"{number:,} {status}" for status, number in broken.items()) or "none"
    first = f"{counted(hashes.statuses.get(samples.OK, 0), 'picture')} hashed; without a hash: {reasons}"
    return "\n".join([first, *told(hashes.damaged, hashes.tars), f"hashes: {hashes.path}"])


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Return the values of the command line `argv` (None: the process's own)."""
    parser = Parser.of(NAME, __package__)
    add_flags(parser, helps(__package__, "input"), nargs="+", required=True, type=absolute_path)
    add_flags(parser, helps(__package__, "output"), required=True, type=absolute_path)
    add_flags(parser, helps(__package__, "switches"), action="store_true")
    parser.add_engine()
    return parser.parse_args(argv)
