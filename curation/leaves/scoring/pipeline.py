"""Score the images in tars, tar by tar, into a folder of Parquet files; a rerun continues an interrupted run.

The texts of images are those in the tars, or those that a run matched. Threads decode images a few batches ahead of the
model; the order of samples does not depend on the threads.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from curation.inputs.files import Input
from curation.leaves.by_uid.by_key import RowStream
from curation.leaves.by_uid.joined_tars import Scan, join_samples, matched_images, scan
from curation.leaves.scoring.scorer import Scorer
from curation.leaves.scoring.summary import summary
from curation.leaves.tars.headers import MOST, TALLY, require_sound
from curation.leaves.tars.pictures import MOST_BYTES, OK, TOO_LARGE, Decoded, decoded, flattened, strict_about_size
from curation.leaves.tars.samples import fault_of, local_tars_at, samples, texts
from curation.run.ledger import Ledger, Stamps
from curation.run.making import Claim, Filled, fill, write_part
from curation.run.results import MATCHED_PART, Results
from curation.schemas import TRAINED_TEXTS
from runtime.engine import Given, engine_of
from runtime.errors import AGAIN
from runtime.progress import Progress, advance
from runtime.storage.locks import require_apart
from runtime.storage.own_files import OwnFile, checksums_in, tally
from runtime.storage.parquet import part_writer, read_table
from runtime.storage.paths import make_folder
from runtime.tallies import Tallies

if TYPE_CHECKING:
    from PIL import Image

VERSION = 1
NOT_FINITE = "not_finite"  # half precision can overflow, and Spark takes NaN as larger than any number
# One row per image of a tar, in its order.
SCORED = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("key", pa.string()),  # of the sample in its tar
        pa.field("clip_score", pa.float32()),  # cosine of image and text, the highest if there are several texts
        pa.field("status", pa.string()),  # ok, or the reason why there is no score
    ]
)
# The rows if the texts are those of a run, in which an image may have several texts.
SCORED_OF_RUN = pa.schema(
    [
        *SCORED,
        pa.field("language", pa.string()),  # of the text with the highest score
        pa.field("scores", pa.list_(pa.float32())),  # of each text, in the order of `candidates` in matched/
    ]
)

NO_TEXT, NO_UID = "no_text", "no_uid"
TEXTS, TEXTS_ROWS = pa.schema([TRAINED_TEXTS]), 1 << 16  # a row per sample of a tar; rows of a row group
AHEAD = 2  # batches that are decoded while the model works
Prepare = Callable[["Image.Image"], Any]


@dataclass(frozen=True)
class ScoreRequest:
    """The images to score, the texts to score them with, and the output folder."""

    inputs: Sequence[str]  # tars: files, folders or globs
    output: str | PathLike[str]
    texts: str | PathLike[str] | None = None  # output folder of clip-curate; None: the texts in the tars
    overwrite: bool = False


def score_images(
    request: ScoreRequest, scorer: Scorer, progress: Progress | None = None, engine: Given = None
) -> Filled:
    """Write the scores of all images to the output folder, a file for each tar, and return the folder.

    `engine` joins the texts of a run to the tars: a Spark session, or None for processes of this machine.

    The same call continues an interrupted run, and scores only tars that were added. A damaged tar is read up to the
    damage. InputError for unusable inputs or output, or if most tars are damaged.
    """
    progress = progress or Progress()
    tars, run = local_tars_at(request.inputs), None if request.texts is None else Results.open(request.texts)
    given = [*request.inputs, *(tar.path for tar in tars), *([] if run is None else [str(run.path)])]
    require_apart(request.output, given)
    texts = "those of the tars" if run is None else f"those that a run matched ({_digest(run)})"
    claim = Claim("scores", "images", {"version": VERSION, **scorer.made_by, "texts": texts})

    def make(ledger: Ledger, work: Path) -> None:
        with progress.stage(f"score the images of {len(ledger.missing)} of {len(tars)} tars", "tars"):
            advance(total=len(ledger.missing))
            own = with_own_texts(ledger.missing) if run is None else with_texts_of(run, ledger.missing, work, engine)
            _score(own, scorer, ledger.stamps)

    def describe(ledger: Ledger) -> dict[str, Any]:
        damaged = {"tars": len(tars), "damaged": ledger.said_of_inputs(TALLY)}
        return claim.description | scorer.ran_on | damaged | summary(ledger)

    scores = fill(request.output, claim, tars, make, describe, request.overwrite)
    require_sound(scores.facts["damaged"], len(tars), MOST)
    return scores


def _digest(run: Results) -> str:
    """Return a checksum of a run's matched images; it does not change with a threshold or a gate."""
    files = [(file.path.name, file.checksum or file.path.stat().st_size) for file in run.files(MATCHED_PART)]
    return f"{zlib.crc32(repr(files).encode()):08x}"


def _score(tars: Iterable[Tar], scorer: Scorer, stamps: Stamps) -> None:
    """Write a table of scores for each tar, and after each table its stamp."""
    with strict_about_size(), threads(scorer.config.workers) as pool:
        found = batches(tars, scorer.config.batch_size, scorer.prepare, pool)
        for _, of_tar in groupby(found, key=lambda batch: batch.tar.source.path):
            _write(of_tar, scorer, stamps)
            advance(done=1)


def _write(of_tar: Iterator[Batch], scorer: Scorer, stamps: Stamps) -> None:
    first, tallies = next(of_tar), Tallies()
    if fault := fault_of(first.tar.samples):
        tallies.add(f"{TALLY}{fault}")
    rows = (rows_of(batch, _scores(batch, scorer)) for batch in chain([first], of_tar))
    write_part(stamps, [first.tar.source], rows, _schema(first.tar), tallies)


def _schema(tar: Tar) -> pa.Schema:
    return SCORED if tar.languages is None else SCORED_OF_RUN


def _scores(batch: Batch, scorer: Scorer) -> list:
    seen = {number: image.seen for number, image in enumerate(batch.images) if image.seen is not None}
    texts = [batch.tar.texts[batch.begin + number] for number in seen]
    return scorer.scores([*seen.values()], texts) if seen else []


def rows_of(batch: Batch, scores: Sequence[np.ndarray]) -> pa.RecordBatch:
    """Return the rows of SCORED or SCORED_OF_RUN of a batch.

    `scores` has for each decoded image, in order, an array with the scores of its texts.
    """
    samples = batch.tar.samples.slice(batch.begin, len(batch.images))
    seen, rows = iter(scores), []
    for number, (uid, key) in enumerate(zip(*(samples[name].to_pylist() for name in ("uid", "key")), strict=True)):
        status = batch.images[number].status
        row: dict[str, Any] = {"uid": uid, "key": key, "status": status}
        if status == OK:
            languages = batch.tar.languages[batch.begin + number] if batch.tar.languages else None
            row |= _of_image(next(seen), languages)
        rows.append(row)
    return pa.RecordBatch.from_pylist(rows, schema=_schema(batch.tar))


def _of_image(scores: np.ndarray, languages: list[str] | None) -> dict[str, Any]:
    """Return the fields of an image's row that depend on the scores and languages of its texts.

    If no score is finite, return only the status NOT_FINITE.
    """
    finite = np.isfinite(scores)
    if not finite.any():
        return {"status": NOT_FINITE}
    best = int(np.where(finite, scores, -np.inf).argmax())
    all_scores = pa.array(scores, pa.float32(), mask=~finite).to_pylist()
    return {"clip_score": scores[best], "scores": all_scores, "language": languages[best] if languages else None}


class Tar(NamedTuple):
    """A tar, and a list of texts for each sample; `languages` has a language for each text, or is None if unknown."""

    source: Input
    samples: pa.RecordBatch  # of SAMPLES
    texts: list[list[str]]
    languages: list[list[str]] | None = None


class Batch(NamedTuple):
    """Consecutive samples of a tar from row `begin` on: each image, prepared for the model, or why it is skipped."""

    tar: Tar
    begin: int
    images: list[Decoded[Any]]


def with_own_texts(tars: Sequence[Input]) -> Iterator[Tar]:
    """Yield each tar with the text in the `txt` file of each sample; a sample with a blank or no file has no text."""
    for tar in tars:
        path = Path(tar.path)
        own = [(text or b"").decode("utf-8", "replace") for text in texts(path)]
        yield Tar(tar, samples(path), [[text] if text.strip() else [] for text in own])


def with_texts_of(run: Results, tars: Sequence[Input], work: Path, given: Given) -> Iterator[Tar]:
    """Return the tars, each with all texts that a run matched to a sample's image, before any gate.

    `work` is a folder for temporary files.
    """
    engine = engine_of(given)
    files, sizes = scan(engine, tars, work / "scans", most_damaged=1.0)
    images, folder = matched_images(run.files(MATCHED_PART), run.facts["rows"]["matched"]), make_folder(work / "texts")
    write = partial(_write_texts, files=files, sizes=sizes, folder=folder)
    checksums = checksums_in(join_samples(files, sizes, [images]).write(engine, write))
    own = [OwnFile(folder / name, checksum, AGAIN) for name, checksum in checksums.items()]
    return (_tar(*each) for each in zip(tars, files, own, strict=True))


def _write_texts(
    number: int, stream: RowStream, files: Sequence[OwnFile], sizes: Sequence[int], folder: Path
) -> Tallies:
    """Write a row of TEXTS for each sample of tar `number`, null for samples without texts; tally the checksum."""
    path, tallies = folder / f"{number:05}.parquet", Tallies()
    with part_writer(path, TEXTS, TEXTS_ROWS) as writer:
        for samples, known in Scan(number, files[number], sizes[number], stream).read():
            at = np.full(samples.num_rows, -1)
            texts = pa.nulls(0, TRAINED_TEXTS.type)
            if known is not None:
                at[known["row"].to_numpy()] = np.arange(known.num_rows)
                texts = known[TRAINED_TEXTS.name]
            writer.write(pa.RecordBatch.from_arrays([texts.take(pa.array(at, mask=at < 0))], schema=TEXTS))
    tally(tallies, path, writer.checksum)
    return tallies


def _tar(tar: Input, scanned: OwnFile, texts: OwnFile) -> Tar:
    samples, own = read_table(scanned), read_table(texts)[TRAINED_TEXTS.name].to_pylist()
    columns = [column.combine_chunks() for column in samples.columns]
    of_each = ([[text[name] for text in some or ()] for some in own] for name in ("text", "language"))
    return Tar(tar, pa.RecordBatch.from_arrays(columns, schema=samples.schema), *of_each)


@contextmanager
def threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of threads; after the block, work that has not begun is cancelled."""
    pool = ThreadPoolExecutor(number)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def batches(tars: Iterable[Tar], size: int, prepare: Prepare, pool: ThreadPoolExecutor) -> Iterator[Batch]:
    """Yield the samples of each tar in order, `size` at a time, decoded and prepared in `pool`.

    A tar without samples gives an empty batch.
    """
    begun: deque[tuple[Tar, int, list[Future]]] = deque()
    for tar in tars:
        rows = range(tar.samples.num_rows)
        for begin in range(0, max(len(rows), 1), size):
            images = [pool.submit(_prepared, tar, row, prepare) for row in rows[begin : begin + size]]
            begun.append((tar, begin, images))
            if len(begun) > AHEAD:
                yield _finished(*begun.popleft())
    yield from (_finished(*each) for each in begun)


def _finished(tar: Tar, begin: int, images: list[Future]) -> Batch:
    return Batch(tar, begin, [image.result() for image in images])


def _prepared(tar: Tar, row: int, prepare: Prepare) -> Decoded[Any]:
    uid, offset, size = (tar.samples[name][row].as_py() for name in ("uid", "offset", "size"))
    if uid is None:
        return Decoded(NO_UID)
    if not tar.texts[row]:
        return Decoded(NO_TEXT)
    if size > MOST_BYTES:
        return Decoded(TOO_LARGE)
    with open(tar.source.path, "rb") as file:
        file.seek(offset)
        return decoded(file.read(size), lambda image: prepare(flattened(image).convert("RGB")))
